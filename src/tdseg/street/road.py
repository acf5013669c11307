"""The ground: a map of the street from above, with its mip pyramid, seen in perspective."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tdseg.street.plan import LENGTH, Light, Lot, Plan
from tdseg.street.texture import CLASS, Colour, Floats, Label, Words, noise, pack, scale, vary
from tdseg.street.view import View

ALONG, ACROSS = 0.25, 0.04  # metres per texel
HALF_WIDTH = 20.48  # metres; what lies beyond repeats the last column
WHITE: Colour = (196, 198, 194)


class Ground:
    """Road, pavements and gardens of a plan, in the light of a day."""

    def __init__(self, rng: np.random.Generator, plan: Plan, light: Light) -> None:
        self._across = (np.arange(round(2 * HALF_WIDTH / ACROSS), dtype=np.float32) + 0.5) * ACROSS - HALF_WIDTH
        rows, columns = round(LENGTH / ALONG), len(self._across)
        self._rgb = np.empty((rows, columns, 3), np.float32)
        self._label = np.empty((rows, columns), np.uint8)
        self._surfaces(rng, plan)
        self._patches(rng, plan)
        self._marks(rng, plan)
        wear = 1 + 0.05 * noise(rng, (rows, columns), 60, octaves=3)
        brightness = np.clip(wear, 0.7, 1.25) * self._sunlight(rng, plan, light) * light.day
        np.clip(self._rgb * brightness[..., None], 0, 215, out=self._rgb)
        self._levels = _pyramid(self._rgb, self._label)
        self._texels: Words = np.concatenate([level.ravel() for level in self._levels])
        self._starts = np.cumsum([0] + [level.size for level in self._levels[:-1]])
        self._grain = _grain(rng)
        del self._rgb, self._label

    def paint(self, below: Words, columns: Floats, z: Floats, view: View, offset: Floats) -> None:
        """Fill rows of constant depth z; offset is the centre line's x at each, columns count from the axis."""
        pixel = z / view.focal  # metres across per pixel
        level = np.clip(np.log2(pixel / ACROSS) + 0.6, 0, len(self._levels) - 1).astype(np.int32)
        high = np.array([lv.shape[0] for lv in self._levels])[level]
        wide = np.array([lv.shape[1] for lv in self._levels], np.float32)[level]
        along = (view.along + z) % LENGTH
        row = np.minimum((along / LENGTH * high).astype(np.int32), high - 1)
        start = self._starts[level] + row * wide.astype(np.int32)
        step = pixel * wide / (2 * HALF_WIDTH)
        zero = (HALF_WIDTH - offset) / (2 * HALF_WIDTH) * wide
        place = columns * step[:, None] + zero[:, None]
        np.clip(place, 0, wide[:, None] - 1, out=place)
        index = place.astype(np.int32)
        index += start[:, None].astype(np.int32)
        self._texels.take(index, out=below, mode="clip")
        near = int(np.searchsorted(-z, -26.0))
        grain_row = (along[near:] / 0.03).astype(np.int32) % 256
        texel = np.maximum(pixel[near:], 0.012)
        grain_column = (columns * (pixel[near:] / texel)[:, None] - (offset[near:] / texel)[:, None]).astype(np.int32)
        grain_column &= 255
        grain_column += (grain_row * 256)[:, None]
        below[near:] += self._grain.take(grain_column, mode="clip")

    def _surfaces(self, rng: np.random.Generator, plan: Plan) -> None:
        asphalt = vary(rng, (98, 100, 104), 14)
        kerb = vary(rng, (140, 138, 132), 12)
        self._fill(slice(None), self._span(1, -plan.half_road, plan.half_road), asphalt, Label.ROAD)
        everywhere = slice(None)
        for side in (-1, 1):
            half, edge = plan.half_road, plan.edge(side)
            paving = vary(rng, ((112, 110, 108), (128, 118, 108), (100, 100, 104))[rng.integers(3)], 12)
            self._fill(everywhere, self._span(side, half, HALF_WIDTH), paving, Label.PAVEMENT)
            self._rgb[::3, self._span(side, half, edge)] *= 0.9
            self._fill(everywhere, self._span(side, half - 0.3, half), scale(asphalt, 0.8), Label.ROAD)
            self._fill(everywhere, self._span(side, half, half + 0.16), kerb, Label.PAVEMENT)
            if plan.pavements[side > 0] > 3.2 and rng.random() < 0.4:
                verge = self._span(side, half + 0.3, half + 1.4)
                self._fill(everywhere, verge, vary(rng, (74, 86, 48), 10), Label.TREE)
        for lot in plan.lots:
            self._lot(rng, plan, lot, asphalt)

    def _lot(self, rng: np.random.Generator, plan: Plan, lot: Lot, asphalt: Colour) -> None:
        rows = slice(round(lot.start / ALONG), round(lot.end / ALONG))
        if lot.kind == "junction":
            self._fill(rows, self._span(lot.side, plan.half_road - 0.3, HALF_WIDTH), scale(asphalt, 0.96), Label.ROAD)
            stop = slice(rows.start + 2, rows.start + round((lot.end - lot.start) / ALONG / 2))
            self._fill(stop, self._span(lot.side, plan.half_road + 0.2, plan.half_road + 0.45), WHITE, Label.ROAD)
        elif lot.kind == "garden" or rng.random() < 0.4:
            self._fill(
                rows, self._span(lot.side, plan.edge(lot.side), HALF_WIDTH), vary(rng, (70, 84, 44), 14), Label.TREE
            )

    def _patches(self, rng: np.random.Generator, plan: Plan) -> None:
        """Repairs, tar seams and manhole covers."""
        for _ in range(36):
            row, width = int(rng.integers(len(self._label) - 80)), float(rng.uniform(0.5, 2.4))
            middle = float(rng.uniform(-plan.half_road, plan.half_road - width))
            self._rgb[row : row + int(rng.integers(3, 70)), self._span(1, middle, middle + width)] *= rng.uniform(
                0.8, 1.12
            )
        for _ in range(14):
            row, middle = int(rng.integers(len(self._label) - 4)), float(rng.uniform(-1, 1)) * (plan.half_road - 0.8)
            self._rgb[row : row + 3, self._span(1, middle - 0.32, middle + 0.32)] *= 0.55
        for side in (-1, 1):  # tyre tracks, darkened by oil in the middle of the lane
            lane = np.exp(-(((self._across - side * plan.lane) / 0.45) ** 2))
            self._rgb *= (1 - 0.09 * lane)[None, :, None]

    def _marks(self, rng: np.random.Generator, plan: Plan) -> None:
        dash, gap = ((2, 4), (4, 2), (3, 6), (100, 0))[rng.integers(4)]
        rows = np.arange(len(self._label)) * ALONG % (dash + gap) < dash
        wear = float(rng.uniform(0.55, 1.0))
        if rng.random() < 0.85:
            self._stripe(rows, np.abs(self._across) < 0.07, WHITE, wear)
        always = np.ones(len(self._label), bool)
        for lot in plan.lots:
            if lot.kind == "junction":
                always[round(lot.start / ALONG) : round(lot.end / ALONG)] = False
        style = rng.choice(["none", "double yellow", "single yellow", "white"], p=[0.3, 0.3, 0.2, 0.2])
        for side, parked in zip((-1, 1), plan.parking, strict=True):
            d = self._across * side
            if parked:
                bays = np.arange(len(self._label)) * ALONG % 6 < 0.25
                line = plan.half_road - plan.bay
                self._stripe(always & rng.choice([True, False]), np.abs(d - line) < 0.05, WHITE, wear * 0.8)
                self._stripe(always & bays, (d > line) & (d < plan.half_road - 0.3), WHITE, wear * 0.8)
            elif style != "none":
                colour = WHITE if style == "white" else (196, 168, 74)
                for inset in (0.35, 0.55) if style == "double yellow" else (0.35,):
                    self._stripe(always, np.abs(d - plan.half_road + inset) < 0.05, colour, wear)
        if rng.random() < 0.5:
            start = int(rng.uniform(0.1, 0.8) * len(self._label))
            bars = (np.floor((self._across + 40) / 0.5) % 2 == 0) & (np.abs(self._across) < plan.half_road - 0.3)
            crossing = np.zeros(len(self._label), bool)
            crossing[start : start + 12] = True
            self._stripe(crossing, bars, WHITE, wear)

    def _sunlight(self, rng: np.random.Generator, plan: Plan, light: Light) -> Floats:
        """Brightness (rows, columns): buildings and trees on the sunny side throw shadows."""
        shape = self._label.shape
        if not light.sunny:
            near = np.maximum(np.abs(self._across) - plan.half_road, 0)
            return np.broadcast_to(1 - 0.05 * np.minimum(near, 4), shape).astype(np.float32)
        lit = np.ones(shape, np.float32)
        d = self._across * light.sun_side
        skew = float(rng.uniform(-0.6, 0.6))
        for lot in plan.lots:
            if lot.side != light.sun_side or lot.kind in ("junction", "garden"):
                continue
            reach = lot.height * light.sun_slope
            edge = plan.edge(lot.side) + lot.setback - reach
            first = round((lot.start + skew * reach) / ALONG)
            rows = np.arange(first, first + round((lot.end - lot.start) / ALONG)) % shape[0]
            lit[np.ix_(rows, np.flatnonzero(d > edge))] = light.shade
        dapple = noise(rng, shape, 40, octaves=3) > 0.7
        wood = noise(rng, (shape[0], 1), 90) > 0.5
        lit[dapple & wood & (d > -1.0)] = light.shade
        small = Image.fromarray(lit).resize((shape[1] // 4, shape[0]), Image.Resampling.BOX)
        return np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))

    def _span(self, side: int, near: float, far: float) -> slice:
        """The columns between two distances from the centre line, on one side."""
        first, last = sorted((side * near, side * far))
        return slice(max(0, round((first + HALF_WIDTH) / ACROSS)), max(0, round((last + HALF_WIDTH) / ACROSS)))

    def _fill(self, rows: slice, columns: slice, colour: Colour, label: Label) -> None:
        self._rgb[rows, columns] = colour
        self._label[rows, columns] = label

    def _stripe(
        self,
        rows: np.ndarray[tuple[int], np.dtype[np.bool_]],
        columns: np.ndarray[tuple[int], np.dtype[np.bool_]],
        colour: Colour,
        strength: float,
    ) -> None:
        where = np.ix_(np.flatnonzero(rows), np.flatnonzero(columns))
        self._rgb[where] += (np.array(colour, np.float32) - self._rgb[where]) * strength


def _pyramid(rgb: Floats, label: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> list[Words]:
    """Levels of half the width and a quarter of the length each: at depth z a pixel covers z² along, z across."""
    levels = [pack(rgb, label)]
    for _ in range(3):
        rgb = (rgb[::4] + rgb[1::4] + rgb[2::4] + rgb[3::4]) / np.float32(8)
        rgb = rgb[:, ::2] + rgb[:, 1::2]
        label = label[1::4, ::2]
        levels.append(pack(rgb, label))
    return levels


def _grain(rng: np.random.Generator) -> Words:
    """Asphalt's stones as words to add to colours: 256 × 256 texels of 1.2 cm by 3 cm, flattened."""
    stones = noise(rng, (256, 256), 3, octaves=2) + 0.6 * rng.standard_normal((256, 256), np.float32)
    grey = np.clip(12 + 4.5 * stones, 0, 39).astype(np.uint8)
    return pack(np.repeat(grey[..., None], 3, axis=-1), 0).ravel() & ~CLASS
