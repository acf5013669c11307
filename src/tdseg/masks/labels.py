"""Pixels of mask and label files, and their classes, by value or by colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import DataError
from tdseg.masks.classmap import Mask
from tdseg.masks.palette import Color, Palette
from tdseg.metrics.iou import VOID
from tdseg.video.pictures import open_image

Channel = TypeVar("Channel", int, NDArray[np.uint32])


class LabelError(DataError):
    """A label that was read, but holds what is no class, or is of another size than its image."""


class ClassTable:
    """The class of each value of indexed and grey pixels, and of each colour.

    Args:
        values: class, or VOID, of each value; 255 is VOID unless it is said.
        colors: class, or VOID, of each colour; without them coloured pixels are refused.
        source: palette that both are from, for errors; "" where they are those of a data set.
    """

    def __init__(self, values: Mapping[int, int], colors: Mapping[Color, int] | None = None, source: str = "") -> None:
        self._source = source
        known = _ranges(sorted(values if source else {*values, VOID}))
        self._known = f"{known} as in {source}, or {VOID} for void" if source else f"values {known}"
        indexed = not colors or any(index != VOID for index in values.values())
        self._values = _table(256, {VOID: VOID, **values}) if indexed else None
        self._colors = _table(1 << 24, {_codes(*color): index for color, index in colors.items()}) if colors else None

    @classmethod
    def of(cls, palette: Palette) -> ClassTable:
        """The classes of a palette, by index and by colour."""
        indices = [VOID if name.lower() == "void" else index for index, name in enumerate(palette.names)]
        colors = [(r, g, b) for r, g, b in palette.colors.tolist()]
        return cls(dict(enumerate(indices)), dict(zip(colors, indices, strict=True)), palette.source)

    def classes(self, pixels: NDArray[np.uint8], name: str) -> Mask:
        """(H, W) class indices, VOID where there is none.

        Args:
            pixels: (H, W) values or (H, W, 3) RGB.
            name: where they are from, for errors.

        Raises:
            LabelError: a value or colour that is none of those known.
        """
        indexed = pixels.ndim == 2
        table = self._values if indexed else self._colors
        if table is None and indexed:
            raise LabelError(f"{name}: an indexed label", expected="the colours of the classes", do="save it as RGB")
        if table is None:
            expected = f"one 8-bit channel, {self._known}"
            raise LabelError(f"{name}: a coloured label", expected=expected, do="save class indices")
        found = table[pixels if indexed else _codes(*np.moveaxis(pixels.astype(np.uint32), -1, 0))]
        if not found.all():
            raise self._unknown(name, pixels, np.argwhere(found == 0))
        return (found - 1).astype(np.uint8)

    def _unknown(self, name: str, pixels: NDArray[np.uint8], places: NDArray[np.intp]) -> LabelError:
        """The error for pixels that are no class, whose (y, x) are given."""
        y, x = places[0]
        at = f"at x={x}, y={y}, {len(places)} such pixels in all"
        if pixels.ndim == 3:
            return LabelError(
                f"{name}: colour {' '.join(map(str, pixels[y, x]))} {at}",
                expected=f"the colours of {self._source or 'the classes alone'}",
                do="add the colour; those blended at edges need masks that are saved without scaling or compression",
            )
        return LabelError(
            f"{name}: {'class' if self._source else 'value'} {pixels[y, x]} {at}",
            expected=self._known,
            do="add the class to the palette" if self._source else "correct the file",
        )


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """The pixels of a mask or label file: (H, W) values where it is indexed or grey, else (H, W, 3) RGB.

    Raises:
        DataError: the file is missing, damaged or no image, or has other than 8 bits.
    """
    with open_image(path) as image:
        mode, pixels = image.mode, np.asarray(image.convert("RGB") if image.mode == "RGBA" else image)
    if mode not in {"P", "L", "1", "RGB", "RGBA"}:
        raise not_indexed(str(path), mode, "save it with 8 bits")
    return pixels.astype(np.uint8, copy=False)


def not_indexed(name: str, mode: str, do: str) -> DataError:
    """The error for a mask whose pixels are no classes."""
    return DataError(
        f"{name}: a mask of mode {mode}, not indexed",
        expected="8-bit indexed or grey PNG whose values are the classes",
        do=do,
    )


def _table(size: int, classes: Mapping[int, int]) -> NDArray[np.uint16]:
    """(size,): of each key its class + 1, 0 of all else. Of zeros the system makes pages when they are written to."""
    table = np.zeros(size, np.uint16)
    table[list(classes)] = np.array(list(classes.values())) + 1
    return table


def _codes(red: Channel, green: Channel, blue: Channel) -> Channel:
    """A number for each colour."""
    return (red << 16) + (green << 8) + blue


def _ranges(values: list[int]) -> str:
    """ "0 … 3, 255" of [0, 1, 2, 3, 255]."""
    starts = [value for value in values if value - 1 not in values]
    ends = [value for value in values if value + 1 not in values]
    return ", ".join(f"{a}" if a == b else f"{a} … {b}" for a, b in zip(starts, ends, strict=True))
