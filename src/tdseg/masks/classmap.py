"""From the logits of a frame to the class of each of its pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.metrics.basic import Mask

Indices = NDArray[np.intp]

Values = NDArray[np.float32]


def class_map(logits: Values, size: tuple[int, int], *, align_corners: bool = True) -> Mask:
    """The most likely class of each pixel of an image, by bilinear interpolation.

    Equal to the argmax of the interpolated logits, which are never built: the pixels of a cell, the room between four
    logits, weigh all classes alike, so where the four agree on the class, so do the pixels. Only the other cells, few
    of them, are interpolated. Plain numpy: on busy cores, many small parallel torch operations wait for each other.

    Args:
        logits: (C, h, w), C up to 256, h and w of at least 2.
        size: (H, W) of the image.
        align_corners: the outer logits lie on the corners of the image; else each lies in the middle of an equal part.

    Returns:
        Class indices, (H, W).
    """
    logits = np.ascontiguousarray(logits)
    width = logits.shape[2]
    rows, columns = (_axis(n, side, align_corners) for n, side in zip(logits.shape[1:], size, strict=True))
    classes = _argmax(logits)
    mask = classes.take(columns.before, axis=1).take(rows.before, axis=0)

    beside, below = classes[:, 1:] != classes[:, :-1], classes[1:] != classes[:-1]
    mixed = beside[1:] | beside[:-1] | below[:, 1:]  # (h - 1, w - 1): three sides differ nowhere, so the fourth neither
    mixed_runs = mixed.take(rows.cell, axis=0).take(columns.cell, axis=1)
    y, x = np.divmod(np.flatnonzero(mixed_runs), len(columns.cell))  # n blocks of pixels
    corner = rows.cell[y] * width + columns.cell[x]
    flat = logits.reshape(len(logits), -1)
    top_left, top_right, left, right = (flat.take(corner + step, axis=1) for step in (0, 1, width, width + 1))
    left -= top_left
    right -= top_right
    pixels, weights = columns.pixels.take(x, axis=1), columns.weights.take(x, axis=1)  # (b, n)
    for row, down in zip(rows.pixels.take(y, axis=1), rows.weights.take(y, axis=1), strict=True):  # (n,) each
        start = top_left + left * down  # (C, n)
        rise = top_right + right * down - start
        mask.ravel()[row * size[1] + pixels] = _argmax(start[:, None] + rise[:, None] * weights)
    return mask


class _Axis(NamedTuple):
    """How the pixels of an axis lie between its logits: as runs of a fixed length, each in one cell.

    A cell, the room between two logits, has one or more runs, or none if no pixel is in it. A run that its cell cannot
    fill repeats the last pixel.
    """

    before: Indices
    """Of each pixel, the cell it lies in, which is the logit before it."""
    cell: Indices
    """Of each run, (runs,)."""
    pixels: Indices
    """Of each run, (length, runs)."""
    weights: Values
    """Of the logit after each of `pixels`, 0..1, likewise."""


@lru_cache(16)
def _axis(logits: int, size: int, align_corners: bool) -> _Axis:
    if align_corners:
        position = np.linspace(0, logits - 1, size, dtype=np.float32)
    else:
        middle = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(logits / size) - 0.5
        position = middle.clip(0, logits - 1)
    before = np.minimum(position.astype(np.intp), logits - 2)
    length = max(1, size // (logits - 1))
    first = np.searchsorted(before, before)  # the first pixel of each pixel's cell
    start = np.flatnonzero((np.arange(size) - first) % length == 0)
    cell = before[start]
    last = np.searchsorted(before, cell, side="right") - 1
    pixels = np.minimum(start + np.arange(length)[:, None], last)
    return _Axis(before, cell, pixels, position[pixels] - cell.astype(np.float32))


def _argmax(scores: Values) -> Mask:
    """Index of the largest along the first axis, the first of equals. Numpy's own is slow along that axis."""
    best, index = scores[0].copy(), np.zeros(scores.shape[1:], np.uint8)
    for value, score in enumerate(scores[1:], 1):
        np.maximum(index, (score > best).view(np.uint8) * np.uint8(value), out=index)
        np.maximum(best, score, out=best)
    return index
