"""Optical flow between neighbouring frames, and which pixels are seen in both."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tdseg.errors import DataError
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID

MIN_SIDE = 12
"""Height and width that DIS needs, pixels."""


class Flow(NamedTuple):
    """Where each pixel of a frame was in the frame before it."""

    backward: NDArray[np.float32]
    """(H, W, 2), pixels: what is at (x, y) now was at (x + dx, y + dy) before."""
    visible: NDArray[np.bool_]
    """(H, W): seen in both frames. What was occluded or outside the picture has no former mask to compare with."""

    def along(self, previous: Mask, mask: Mask) -> tuple[Mask, NDArray[np.bool_]]:
        """The previous mask carried to this frame, and the pixels that can be compared: visible, and void in neither.

        Raises:
            DataError: the flow is of another size than the masks.
        """
        if self.visible.shape != mask.shape:
            raise DataError(
                f"flow of {self.visible.shape} for masks of {mask.shape}",
                expected="masks and frames of one size",
                do="resize the masks to the size of the frames, without interpolation",
            )
        warped = warp(previous, self)
        return warped, self.visible & (warped != VOID) & (mask != VOID)


def make_flow(backward: NDArray[np.float32], forward: NDArray[np.float32] | None = None) -> Flow:
    """A Flow from fields of any source, occlusions found by the forward–backward check.

    A pixel is visible if the way back and forth leads home: |b + f|² ≤ 0.01 (|b|² + |f|²) + 0.5, with b the backward
    flow of the pixel and f the forward flow at the place b points to (Sundaram, Brox & Keutzer, "Dense point
    trajectories by GPU-accelerated large displacement optical flow", ECCV 2010).

    Args:
        backward: from the frame to the one before, (H, W, 2), dx and dy in pixels.
        forward: from the frame before to this one, likewise; without it only what left the picture is not visible.

    Raises:
        DataError: a field of another shape.
    """
    for field in (backward,) if forward is None else (backward, forward):
        if field.shape != (*backward.shape[:2], 2):
            raise DataError(
                f"a flow field of shape {field.shape}",
                expected="(H, W, 2), dx and dy of each pixel, the same size both ways",
                do="move the two components to the last axis",
            )
    backward = backward.astype(np.float32, copy=False)
    x, y = _source(backward)
    height, width = backward.shape[:2]
    visible: NDArray[np.bool_] = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    if forward is not None:
        forward = forward.astype(np.float32, copy=False)
        there = np.asarray(cv2.remap(forward, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE), np.float32)
        slack = 0.01 * (_squared(backward) + _squared(there)) + 0.5
        visible &= _squared(backward + there) <= slack
    return Flow(backward, visible)


def warp(mask: Mask, flow: Flow) -> Mask:
    """The mask of the frame before, (H, W), carried along the flow: class of the nearest pixel, never a blend."""
    x, y = _source(flow.backward)
    return np.asarray(cv2.remap(mask, x, y, cv2.INTER_NEAREST, None, cv2.BORDER_REPLICATE), np.uint8)


class DISFlow:
    """Dense inverse search in both directions (Kroeger et al., ECCV 2016), OpenCV's medium preset, on grey frames.

    Holds the last frame of one video. At 480×360 a step takes about 50 ms on one core.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.start()

    def start(self) -> None:
        """The next frame is the first of a video."""
        self._previous: NDArray[np.uint8] | None = None

    def step(self, frame: NDArray[np.uint8]) -> Flow | None:
        """Flow to the next frame from the one before it; None for the first.

        Args:
            frame: uint8 (H, W, 3) RGB, H and W of at least 12.

        Raises:
            DataError: another shape, or a size other than the last frame's.
        """
        if frame.ndim != 3 or frame.shape[2] != 3 or min(frame.shape[:2]) < MIN_SIDE or frame.dtype != np.uint8:
            raise DataError(
                f"a frame of {frame.dtype} {frame.shape}",
                expected=f"uint8 (H, W, 3), RGB, H and W of at least {MIN_SIDE}",
                do="convert the frame, or leave the figures along flow out",
            )
        previous, self._previous = self._previous, np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
        if previous is None:
            return None
        if previous.shape != self._previous.shape:
            raise DataError(
                f"a frame of {frame.shape[:2]} after one of {previous.shape}",
                expected="frames of one size in one video",
                do="call start() where another video begins",
            )
        forward = self._dis.calc(previous, self._previous, None)  # type: ignore[call-overload]
        backward = self._dis.calc(self._previous, previous, None)  # type: ignore[call-overload]
        return make_flow(backward, forward)


def _source(backward: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y, (H, W) each, of the place in the frame before."""
    height, width = backward.shape[:2]
    y, x = np.ogrid[:height, :width]
    return np.add(backward[..., 0], x, dtype=np.float32), np.add(backward[..., 1], y, dtype=np.float32)


def _squared(field: NDArray[np.float32]) -> NDArray[np.float32]:
    dx, dy = field[..., 0], field[..., 1]
    squared: NDArray[np.float32] = dx * dx + dy * dy
    return squared
