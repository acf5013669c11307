"""A frame with two masks of it, and where they differ, as one picture of four panels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg.masks import draw
from tdseg.masks.palette import Colors
from tdseg.metrics.basic import Mask
from tdseg.video.pictures import RGB

APART = np.array([255, 60, 150], np.float32)


def four_panels(
    frame: RGB, masks: tuple[Mask, Mask], apart: NDArray[np.bool_], colors: Colors, panel: tuple[int, int]
) -> RGB:
    """The frame and where its masks differ above, the masks over it below.

    Args:
        frame: (H, W, 3).
        masks: (H, W) each: left and right.
        apart: (H, W), where they differ.
        colors: of the classes.
        panel: (height, width) of a panel; the picture has twice of both.
    """
    small = _resized(frame, panel, Image.Resampling.BOX)
    sides = (draw.overlay(small, _resized(mask, panel, Image.Resampling.NEAREST), colors) for mask in masks)
    share = _resized(np.where(apart, 255, 0).astype(np.uint8), panel, Image.Resampling.BOX)
    return np.vstack([np.hstack([small, highlight(small, share)]), np.hstack([*sides])])


def highlight(frame: RGB, share: NDArray[np.uint8]) -> RGB:
    """The frame in dim grey, with colour where masks differ.

    Args:
        frame: (H, W, 3).
        share: (H, W): of each pixel the part that differs, 0 … 255.
    """
    grey = 0.45 * frame.astype(np.float32).mean(-1, keepdims=True)
    weight = share[..., None] / np.float32(255)
    mixed: RGB = np.rint(weight * APART + (1 - weight) * grey).astype(np.uint8)
    return mixed


def _resized(image: NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize(size[::-1], how))
