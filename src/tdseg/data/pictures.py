"""Image and label files as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tdseg.data.clip import Color
from tdseg.errors import DataError
from tdseg.masks.draw import color_table
from tdseg.masks.reading import color_codes, read_pixels
from tdseg.metrics.iou import VOID
from tdseg.video.reader import IMAGE_SUFFIXES, natural_order

WRONG = 254
"""In tables: a value or colour that is no class."""
MOST_CLASSES = 253


class LabelError(DataError):
    """A label that was read, but holds what is no class, or is of another size than its image."""


class LabelReader:
    """Turns label files into classes.

    Args:
        values: class, or VOID, of each pixel value of indexed and grey files; 255 is ignored unless it is said.
        colors: class, or VOID, of each colour of coloured files.
    """

    def __init__(self, values: Mapping[int, int], colors: Mapping[Color, int] | None = None) -> None:
        self._values = np.full(256, WRONG, np.uint8)
        for value, index in {VOID: VOID, **values}.items():
            self._values[value] = index
        self._known = f"values {_ranges(sorted({*values, VOID}))}"
        self._colors: NDArray[np.uint8] | None = None
        if colors:
            self._colors = np.full(1 << 24, WRONG, np.uint8)
            self._colors[color_codes(np.array(list(colors), np.uint8))] = list(colors.values())

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """(H, W) class indices, VOID where there is none.

        Raises:
            LabelError: a value or colour that is none of those known.
            DataError: the file is missing, no image, or has more than 8 bits.
        """
        pixels = read_pixels(path)
        if pixels.ndim == 3 and self._colors is None:
            raise LabelError(
                f"{path}: a coloured label", expected=f"one 8-bit channel, {self._known}", do="save class indices"
            )
        if pixels.ndim == 2 and self._colors is not None and not (self._values < WRONG).any():
            raise LabelError(f"{path}: an indexed label", expected="the colours of the classes", do="save it as RGB")
        table = self._values if pixels.ndim == 2 or self._colors is None else self._colors
        label: NDArray[np.uint8] = table[pixels if pixels.ndim == 2 else color_codes(pixels)]
        if (wrong := label == WRONG).any():
            y, x = np.argwhere(wrong)[0]
            raise self._error(path, pixels[y, x], f"x={x}, y={y}", int(wrong.sum()))
        return label

    def _error(self, path: Path, pixel: NDArray[np.uint8], place: str, count: int) -> LabelError:
        if pixel.ndim:
            return LabelError(
                f"{path}: colour {' '.join(map(str, pixel))} at {place}, {count} such pixels in all",
                expected="the colours of the classes alone",
                do="add the colour; those blended at edges need labels that are saved without scaling or compression",
            )
        return LabelError(
            f"{path}: value {pixel} at {place}, {count} such pixels in all", expected=self._known, do="correct the file"
        )


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, upright.

    Raises:
        DataError: the file is missing, damaged or no image.
    """
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises
        why = getattr(error, "strerror", None) or "not a whole image"
        raise DataError(f"{path}: {why}", expected="an image that can be read", do="copy the file again") from None


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder in natural order (2 before 10); none where there is no folder."""
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
    return sorted(files, key=natural_order)


def default_palette(count: int) -> tuple[Color, ...]:
    """Colours for classes that have none of their own."""
    return tuple((int(r), int(g), int(b)) for r, g, b in color_table()[:count])


def _ranges(values: list[int]) -> str:
    """ "0 … 3, 255" of [0, 1, 2, 3, 255]."""
    starts = [value for value in values if value - 1 not in values]
    ends = [value for value in values if value + 1 not in values]
    return ", ".join(f"{a}" if a == b else f"{a} … {b}" for a, b in zip(starts, ends, strict=True))
