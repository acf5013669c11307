"""Picture files: which they are, in which order they play, and how one is decoded.

Transparency is dropped, and more than 8 bits are reduced to 8.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tdseg.errors import DataError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

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
    """A picture as uint8 (H, W, 3) RGB, upright.

    Raises:
        DataError: the file is missing, damaged or no image.
    """
    with open_image(path) as file:
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):  # 16-bit grayscale, which convert() would clip rather than scale
            gray = (np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8)
            return np.repeat(gray[..., None], 3, axis=2)
        return np.array(image.convert("RGB"))


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """A picture file, to be decoded inside.

    Raises:
        DataError: the file is missing, damaged or no image.
    """
    try:
        with Image.open(path) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path}: {str(error).partition(',')[0].lower()}",  # it says how many, and how many there may be
            expected="an image of fewer pixels",
            do="resize it, or cut it into parts",
        ) from None
    except (OSError, ValueError, SyntaxError) as error:  # all else that Pillow raises
        raise DataError(
            f"{path}: {getattr(error, 'strerror', None) or 'not a readable image'}",
            expected="an image that exists and may be read",
            do="check the path, or copy the file again",
        ) from None
