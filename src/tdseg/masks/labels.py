"""Pixels of mask and label files, and their classes, by value or by colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from tdseg.errors import DataError
from tdseg.masks.palette import Color, Palette
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID
from tdseg.video.pictures import open_image

Channel = TypeVar("Channel", int, NDArray[np.uint32])
WHITE = 0xFFFFFF
"""Colour of void in the palettes that tdseg writes."""
GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


class LabelError(DataError):
    """A label that was read, but holds what is no class, or is of another size than its image.

    Attributes:
        mask: the classes of its other pixels, (H, W), VOID where there is none; None where nothing is known.
    """

    mask: Mask | None = None


class Pixels(NamedTuple):
    """The pixels of a mask or label."""

    values: NDArray[np.uint8]
    """(H, W) values, or (H, W, 3) RGB."""
    mode: str = ""
    """Of a file: P, indexed, L, grey, 1, of one bit, or RGB; empty where the values are from none."""
    palette: NDArray[np.uint8] | None = None
    """(N, 3) RGB of each value of an indexed, grey or 1-bit file."""

    def used(self) -> NDArray[np.intp]:
        """The values that occur, growing."""
        return np.flatnonzero(np.bincount(self.values.ravel(), minlength=256))


class ClassTable:
    """The class of each value of indexed and grey pixels, and of each colour.

    An indexed file can be read by its values, and by the colours that its own palette gives them. Whatever draws or
    compresses pictures numbers the entries of a palette as it likes. So colours win where every entry that is used has
    the colour of a class, or the white of void; else values do. But if an entry has the colour of another class than
    its value, and the next that of none, neither reading is sure, and the file is refused. In what tdseg writes, both
    agree. Grey and 1-bit files are read by colour only if all classes have grey ones, or none has a value.

    Args:
        values: class, or VOID, of each value; 255 is VOID unless it is said.
        colors: class, or VOID, of each colour; without them coloured pixels are refused.
        source: palette that both are from, for errors; "" where they are those of a data set.
        listed: file in which the user lists the classes and what is ignored, for advice; "" where there is none.
    """

    def __init__(
        self,
        values: Mapping[int, int],
        colors: Mapping[Color, int] | None = None,
        source: str = "",
        listed: str = "",
    ) -> None:
        self._source, self._listed = source, listed
        known = _ranges(sorted(values if source else {*values, VOID}))
        self._known = f"{known} as in {source}, or {VOID} for void" if source else f"values {known}"
        indexed = not colors or any(index != VOID for index in values.values())
        self._values = _table(256, {VOID: VOID, **values}) if indexed else None
        self._colors = _table(1 << 24, {_codes(*color): index for color, index in colors.items()}) if colors else None
        self._grey = self._values is None or all(len(set(color)) == 1 for color in colors or ())

    @classmethod
    def of(cls, palette: Palette) -> ClassTable:
        """The classes of a palette, by index and by colour."""
        indices = [VOID if name.lower() == "void" else index for index, name in enumerate(palette.names)]
        colors = [(r, g, b) for r, g, b in palette.colors.tolist()]
        return cls(dict(enumerate(indices)), dict(zip(colors, indices, strict=True)), palette.source)

    def classes(self, pixels: Pixels, name: str) -> Mask:
        """(H, W) class indices, VOID where there is none.

        Args:
            pixels: of a file, or values alone.
            name: where they are from, for errors.

        Raises:
            LabelError: a value or colour that is none of those known; a palette that can be read in two ways.
        """
        indexed = pixels.values.ndim == 2
        if indexed:
            by_color = self._by_color(pixels, name)
            table = self._values if by_color is None else by_color
        else:
            table = self._colors
        if table is None and indexed:
            raise LabelError(f"{name}: an indexed label", expected="the colours of the classes", do="save it as RGB")
        if table is None:
            expected = f"one 8-bit channel, {self._known}"
            error = LabelError(f"{name}: a coloured label", expected=expected, do="save class indices")
            raise self._binary(name, pixels.values) or error
        found = table[pixels.values if indexed else _codes(*np.moveaxis(pixels.values.astype(np.uint32), -1, 0))]
        if not found.all():
            error = self._unknown(name, pixels.values, np.argwhere(found == 0))
            error.mask = (np.where(found == 0, VOID + 1, found) - 1).astype(np.uint8)
            raise error
        return (found - 1).astype(np.uint8)

    def _by_color(self, pixels: Pixels, name: str) -> NDArray[np.uint16] | None:
        """(256,): of each value that is used its class + 1, by its colour; None where values are to be read as such.

        Raises:
            LabelError: some colours are those of other classes than the values, the rest of none.
        """
        used = pixels.used()
        if self._colors is None or pixels.palette is None or used[-1] >= len(pixels.palette):
            return None
        codes = _codes(*pixels.palette[used].astype(np.uint32).T)
        found = self._colors[codes]
        if pixels.mode != "P" and not (self._grey and found.all()):
            return None
        unknown = (found == 0) & (codes != WHITE)
        if not unknown.any() and found.any():
            table = np.zeros(256, np.uint16)
            table[used] = np.where(found == 0, VOID + 1, found)
            return table
        if found.any() and (self._values is None or (self._values[used] != found)[found != 0].any()):
            color = pixels.palette[used[unknown][0]].tolist()
            raise LabelError(
                f"{name}: an indexed label whose colours are those of classes, but for {' '.join(map(str, color))}",
                expected="a palette with the colours of the classes alone, or values that are the same classes",
                do=f"{self._add(color)}; if its values are the classes, save it as grey",
            )
        return None

    def _unknown(self, name: str, values: NDArray[np.uint8], places: NDArray[np.intp]) -> LabelError:
        """The error for pixels that are no class, whose (y, x) are given."""
        y, x = places[0]
        at = f"at x={x}, y={y}, {len(places)} such pixels in all"
        if values.ndim == 3:
            return self._binary(name, values) or LabelError(
                f"{name}: colour {' '.join(map(str, values[y, x]))} {at}",
                expected=f"the colours of {self._source or 'the classes alone'}",
                do=f"{self._add(values[y, x].tolist())}; those blended at edges need masks that are saved without "
                "scaling or compression",
            )
        return LabelError(
            f"{name}: {'class' if self._source else 'value'} {values[y, x]} {at}",
            expected=self._known,
            do="add the class to the palette" if self._source else self._add(int(values[y, x])),
        )

    def _add(self, got: int | list[int]) -> str:
        """What to do about a value or colour that is no class."""
        if self._listed:
            return f"if it is no class, write ignore: [{got}] in {self._listed}; else add its class there"
        return "correct the file" if isinstance(got, int) else "add the colour"

    def _binary(self, name: str, values: NDArray[np.uint8]) -> LabelError | None:
        """The error for coloured pixels that are black and white alone; None for others."""
        if not np.isin(values, (0, VOID)).all() or (values != values[..., :1]).any():
            return None
        return LabelError(f"{name}: {BINARY}", expected=f"{self._known}, or the colours of classes", do=PAINTED)


BINARY = "looks like a binary mask of 0 and 255"
PAINTED = (
    "give the classes these values as colours, in data.yaml as classes: [{name: background, color: [0, 0, 0]}, {name: "
    "thing, color: [255, 255, 255]}], in a palette file as 0 0 0 background and 255 255 255 thing"
)


def read_pixels(path: Path) -> Pixels:
    """The pixels of a mask or label file, upright; transparency is dropped.

    Raises:
        DataError: the file is missing, damaged or no image, or has other than 8 bits.
    """
    with open_image(path) as file:
        image = ImageOps.exif_transpose(file)
        mode = OPAQUE.get(image.mode, image.mode)
        if mode not in {"P", "L", "1", "RGB"}:
            raise not_indexed(str(path), mode, "save it with 8 bits")
        image = image if mode == image.mode else image.convert(mode)
        values = np.asarray(image).astype(np.uint8, copy=False)
        palette = {"L": GREYS, "1": GREYS[::VOID]}.get(mode)
        if mode == "P":
            palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return Pixels(values, mode, palette)


OPAQUE = {"RGBA": "RGB", "LA": "L"}
"""Modes without their transparency."""


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
