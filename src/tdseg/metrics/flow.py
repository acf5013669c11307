"""Optical flow between neighbouring frames, and which pixels are seen in both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tdseg.errors import DataError
from tdseg.metrics.basic import Mask
from tdseg.metrics.figures import FLOWS, check_flows
from tdseg.metrics.iou import VOID

MIN_SIDE = 12
"""Height and width that the estimators need, pixels; DIS can do with no less."""


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


class FlowEstimator(ABC):
    """Flow from frame to frame of one video, both ways, on grey frames. Holds the last frame.

    An estimator says how a field is found; occlusions are those of `make_flow`, whatever it is.
    """

    def __init__(self) -> None:
        self.start()

    @abstractmethod
    def field(self, frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Where what is at each pixel of a frame is in the other: (H, W, 2), dx and dy in pixels, of grey (H, W)."""

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
        return make_flow(self.field(self._previous, previous), self.field(previous, self._previous))


class DISFlow(FlowEstimator):
    """Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's medium preset.

    Sharp at borders, but a guess where there is no texture: 5 % of the pixels of a video of 480×360 fail the check, a
    third of one of 1280×720. A step takes about 50 and 500 ms on one core.
    """

    def __init__(self) -> None:
        super().__init__()
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def field(self, frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `FlowEstimator.field`."""
        return np.asarray(self._dis.calc(frame, other, None), np.float32)  # type: ignore[call-overload]


class FarnebackFlow(FlowEstimator):
    """Polynomial expansion (Farnebäck, "Two-frame motion estimation based on polynomial expansion", SCIA 2003).

    OpenCV's, with Gaussian windows of 21 pixels on five octaves: of the settings tried that fail the check on 7 % of
    the pixels at most, the one that carries the labels of CamVid val best; on larger video it fails on as many. Smooth,
    so it blurs the borders of what moves. A step takes about 120 ms at 480×360, 700 at 1280×720, on one core.
    """

    def field(self, frame: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `FlowEstimator.field`."""
        settings = {"pyr_scale": 0.5, "levels": 5, "winsize": 21, "iterations": 3, "poly_n": 7, "poly_sigma": 1.5}
        flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN
        found = cv2.calcOpticalFlowFarneback(frame, other, None, **settings, flags=flags)  # type: ignore[call-overload]
        return np.asarray(found, np.float32)


ESTIMATORS: dict[str, type[FlowEstimator]] = {"dis": DISFlow, "farneback": FarnebackFlow}
"""By the names of `tdseg.metrics.figures.FLOWS`."""


class Flows:
    """The flows that masks of one video are judged along, side by side, as `Steadiness` takes them.

    A memory may carry its masks along a flow of the same make, and then shares its errors: masks that are wrong in the
    way the flow is wrong look steady along it. A figure that holds along a flow which no memory uses is fair to all.

    Args:
        names: keys of `tdseg.metrics.figures.FLOWS`; there may be none.

    Raises:
        ConfigError: another name.
    """

    def __init__(self, names: Collection[str] = FLOWS) -> None:
        check_flows(names)
        self.estimators = {name: ESTIMATORS[name]() for name in names}

    def start(self) -> None:
        """The next frame is the first of a video."""
        for estimator in self.estimators.values():
            estimator.start()

    def step(self, frame: NDArray[np.uint8]) -> dict[str, Flow | None]:
        """The flow of each estimator to the next frame, uint8 (H, W, 3) RGB, by name; None for the first.

        Raises:
            DataError: see `FlowEstimator.step`.
        """
        return {name: estimator.step(frame) for name, estimator in self.estimators.items()}


def _source(backward: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x and y, (H, W) each, of the place in the frame before."""
    height, width = backward.shape[:2]
    y, x = np.ogrid[:height, :width]
    return np.add(backward[..., 0], x, dtype=np.float32), np.add(backward[..., 1], y, dtype=np.float32)


def _squared(field: NDArray[np.float32]) -> NDArray[np.float32]:
    dx, dy = field[..., 0], field[..., 1]
    squared: NDArray[np.float32] = dx * dx + dy * dy
    return squared
