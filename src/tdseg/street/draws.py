"""Random draws: items of tables, tints of colours, smooth noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from tdseg.street.texture import Colour, Floats, scale

Item = TypeVar("Item")


class Draws(np.random.Generator):
    """A generator of random numbers that also draws what streets are made of."""

    def streams(self, count: int) -> list[Draws]:
        """Independent generators, unmoved by what is drawn from this one."""
        return [Draws(bits) for bits in self.bit_generator.spawn(count)]

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return self.random() < probability

    def pick(self, items: Sequence[Item], odds: Sequence[float] | None = None) -> Item:
        """One of the items, each as likely as the others unless odds, which add up to 1, are given."""
        return items[int(self.integers(len(items)) if odds is None else self.choice(len(items), p=odds))]

    def name(self, table: Mapping[str, tuple[Any, ...]]) -> str:
        """A key of a table whose rows begin with their odds."""
        return self.pick(list(table), [row[0] for row in table.values()])

    def tint(self, colour: Colour, spread: float, light: float = 1.0) -> Colour:
        """The colour with a random tint and brightness, times `light`."""
        values = np.array(colour) * light + self.normal(0, spread) + self.normal(0, spread * 0.3, 3)
        return scale(np.clip(values, 4, 250))

    def noise(self, shape: tuple[int, int], cell: float, *, octaves: int = 1) -> Floats:
        """Smooth noise (h, w) of about unit variance; `cell` is the size of the coarsest blobs in pixels."""
        height, width = shape
        total = np.zeros(shape, np.float32)
        weight = 1.0
        for _ in range(octaves):
            grid = (max(2, round(height / cell) + 1), max(2, round(width / cell) + 1))
            coarse = Image.fromarray(self.standard_normal(grid, np.float32))
            total += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
            weight, cell = weight * 0.55, max(1.0, cell / 2)
        return total

    def surface(self, colour: Colour, shape: tuple[int, int], rough: float, cell: float, *, octaves: int) -> Floats:
        """The colour (h, w, 3), brighter and darker by noise of the standard deviation `rough`."""
        brightness = np.clip(1 + rough * self.noise(shape, cell, octaves=octaves), 0.3, 2)
        return np.asarray(np.array(colour, np.float32) * brightness[..., None], np.float32)
