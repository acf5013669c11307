"""Picture files: which they are, in which order they play, and how one is decoded.

Transparency is dropped. Of more than 8 bits the upper 8 are kept: the range is that of the file's type (12 bits where a
TIFF declares them; of floats 0 … 1), never that of the values that happen to be in a picture, or a film would flicker.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from tdseg.errors import DataError

FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "JPEG": (".jpeg", ".jpg"),
    "PNG": (".apng", ".png"),
    "PPM": (".pgm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""The formats that may be opened, by Pillow's names, with the suffixes of their files. Pillow tells a format by what is
in the file, whatever its name, and hands PostScript to another program: nothing else is ever tried."""
IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
DARK = 16
"""8-bit value that a picture of more bits reaches nowhere if its values have only 12 of 16 bits."""

ORIENTATION = 0x0112
"""EXIF tag."""

RGB = NDArray[np.uint8]
"""(H, W, 3)."""


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name; hidden ones are none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def natural_order(path: Path) -> list[str | int]:
    """Sort key by which frame 2 comes before frame 10."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", path.name)]


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder in natural order; none where there is no folder.

    Raises:
        OSError: it may not be read.
    """
    return sorted(filter(is_image, folder.iterdir()), key=natural_order) if os.path.isdir(folder) else []


def read_image(path: Path) -> RGB:
    """A picture as uint8 (H, W, 3) RGB, upright; of an animated one, the first.

    Raises:
        DataError: the file is missing, damaged or no image, or values are out of the range of its type.

    Warns:
        UserWarning: more than 8 bits, of which the upper ones are not used: it comes out almost black.
    """
    with open_image(path) as image:
        return upright_rgb(image, path)


def orientation(path: Path) -> int:
    """How a picture is turned by EXIF to be upright, as its standard numbers it: 1, not at all, … 8.

    Raises:
        DataError: the file is missing, damaged or no image.
    """
    with open_image(path) as image:
        value = image.getexif().get(ORIENTATION, 1)
    return value if value in range(2, 9) else 1


def upright_rgb(opened: Image.Image, path: Path) -> RGB:
    """The picture that an opened file stands at as uint8 (H, W, 3) RGB, upright; see :func:`read_image`."""
    deep = any(
        ";16" in str(tile[3]) for tile in getattr(opened, "tile", [])
    )  # Pillow itself keeps the upper 8 of three channels' bits
    tags = getattr(opened, "tag_v2", {})
    image = ImageOps.exif_transpose(opened)
    if image.mode != "F" and not image.mode.startswith("I"):
        rgb = np.array(image.convert("RGB"))
        if deep and rgb.max() < DARK:
            _say_dark(path, f"up to {256 * int(rgb.max()) + 255} of 65535")
        return rgb
    values = np.asarray(image)  # of one channel, which convert() would clip rather than scale
    white = 1.0 if image.mode == "F" else (1 << min(tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0], 16)) - 1.0
    grey = _upper_bits(values, white, path)
    if values.any() and grey.max() < DARK:
        _say_dark(path, f"{values.min():.5g} … {values.max():.5g} of {white:g}")
    if image.mode != "F" and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # white is 0
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, axis=2)


def _upper_bits(values: NDArray[Any], white: float, path: Path) -> NDArray[np.uint8]:
    """Values from 0 to white with 8 bits.

    Raises:
        DataError: values below 0, above white, or that are no numbers.
    """
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= white:  # which is not true of NaN
        raise DataError(
            f"{path}: values {low:.9g} … {high:.9g}",
            expected=f"{'floats' if white == 1 else 'integers'} from 0, black, to {white:g}, white",
            do="scale the values of all pictures alike into that range, or save them with 8 bits",
        )
    scaled = np.rint(values * np.float32(255)) if white == 1 else values.astype(np.int64) * 256 // int(white + 1)
    return scaled.astype(np.uint8)


def _say_dark(path: Path, values: str) -> None:
    """Warn of a picture whose upper bits are not used, once for all of its folder."""
    if path.parent not in _dark_folders:
        _dark_folders.add(path.parent)
        warnings.warn(
            f"{path}: values {values} come out almost black. Unless it is dark, scale the values of all pictures alike "
            "(those of 12 bits in 16: times 16), or save them with 8 bits",
            stacklevel=4,
        )


_dark_folders: set[Path] = set()


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """A picture file of one of the `FORMATS`, to be decoded inside.

    Raises:
        DataError: the file is missing, damaged, no image, or of too many pixels.
    """
    try:
        with Image.open(path, formats=tuple(FORMATS)) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path}: {str(error).partition(',')[0].lower()}",  # it says how many, and how many there may be
            expected=f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels",
            do="cut it into parts, or make it smaller",
        ) from None
    except (DataError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # its readers raise what they meet: OSError, ValueError, SyntaxError, TypeError, KeyError
        raise DataError(
            f"{path}: {getattr(error, 'strerror', None) or 'not a readable image'}",
            expected=f"an image that exists and may be read: {', '.join(FORMATS)}",
            do="check the path, or copy the file again; save pictures of other formats as PNG",
        ) from None
