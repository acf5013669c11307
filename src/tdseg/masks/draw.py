"""Masks made visible: overlays, indexed PNGs, and a still with a legend."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg.files import whole_file
from tdseg.masks.legend import BACKGROUND, shares_strip
from tdseg.masks.palette import Colors
from tdseg.metrics.iou import VOID


def overlay(
    frame: NDArray[np.uint8], mask: NDArray[np.uint8], colors: Colors, opacity: float = 0.5
) -> NDArray[np.uint8]:
    """Frame and class colours, by default half and half, with a thin light line between classes.

    Args:
        frame: uint8 (H, W, 3) RGB.
        mask: class index per pixel, uint8 (H, W).
        colors: RGB of every mask value.
        opacity: of the colours and the line, 0 … 1.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    differs = np.zeros(mask.shape, dtype=bool)
    np.not_equal(mask[:, 1:], mask[:, :-1], out=differs[:, 1:])
    differs[1:] |= mask[1:] != mask[:-1]
    lined = np.maximum(mask, np.multiply(differs, VOID, dtype=np.uint8))
    weight = round(opacity * 256)
    blended = _dimmed(frame, 256 - weight)
    blended += np.asarray(
        indexed(lined, _dimmed(colors, weight)).convert("RGB")
    )  # Pillow's table look-up is the fastest at hand
    return blended


def _dimmed(pixels: NDArray[np.uint8], weight: int) -> NDArray[np.uint8]:
    """pixels · weight / 256, rounded down."""
    if weight == 128:  # the usual one, and five times as fast
        return np.right_shift(pixels, 1, dtype=np.uint8)
    return (np.multiply(pixels, weight, dtype=np.uint16) >> 8).astype(np.uint8)


def save_mask(path: Path, mask: NDArray[np.uint8], colors: Colors) -> None:
    """Write a mask as 8-bit indexed PNG: the pixel values are the classes, the palette shows them in colour.

    Raises:
        OutputError: the file cannot be written; nothing of it is left.
    """
    with whole_file(path) as staged:
        write_mask(staged, mask, colors)


def write_mask(file: Path | BinaryIO, mask: NDArray[np.uint8], colors: Colors) -> None:
    """As `save_mask`, where nobody looks before it is whole.

    Raises:
        OSError: the file cannot be written.
    """
    # Masks are runs of one value: looking for runs alone takes three quarters of the time, for two thirds of the bytes.
    indexed(mask, colors).save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)


def preview(frame: NDArray[np.uint8], mask: NDArray[np.uint8], classes: Sequence[str], colors: Colors) -> Image.Image:
    """A still: the frame, its overlay beside it, and below them the classes seen, by their share of the picture."""
    height, width = mask.shape
    margin = 16
    entries = shares_strip(mask, classes, colors, 2 * width + margin)
    still = Image.new("RGB", (2 * width + 3 * margin, height + entries.height + 3 * margin), BACKGROUND)
    still.paste(Image.fromarray(frame), (margin, margin))
    still.paste(Image.fromarray(overlay(frame, mask, colors)), (width + 2 * margin, margin))
    still.paste(entries, (margin, height + 2 * margin))
    return still


def indexed(mask: NDArray[np.uint8], colors: Colors) -> Image.Image:
    """A mask, (H, W), as 8-bit indexed picture: its values are the classes, the palette shows them in colour."""
    image = Image.fromarray(mask)
    image.putpalette(colors.tobytes())
    return image
