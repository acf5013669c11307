"""The base of all metrics of video: masks one after the other, sums that are added up across processes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from tdseg.errors import DataError
from tdseg.metrics.basic import Mask

AnyMask = NDArray[np.integer] | Tensor
"""(H, W) class indices 0 … 254, 255 for void, on any device."""


class VideoMetric(Metric):
    """A metric that is fed the masks of videos in order of time, one `update` each, and `start` before each video.

    Sums are states of torchmetrics: `compute` adds them up across processes, `merge_state` from other metrics, and
    `reset` clears them. What is remembered of the running video is not shared; `start` and `reset` forget it.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        self._in_forward = False
        self.start()

    def reset(self) -> None:
        """Clear the sums; the next mask is the first of a video."""
        super().reset()
        if not self._in_forward:
            self.start()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """`update`, and the value of this mask alone. torchmetrics resets on the way; the running video goes on."""
        self._in_forward = True
        try:
            return super().forward(*args, **kwargs)
        finally:
            self._in_forward = False

    def start(self, index: int = 0) -> None:
        """The next mask is the first of a video.

        Args:
            index: its number, which fixes its phase: not 0 in a later part of a video, or of a network that starts at
                another path.
        """
        self._index = index - 1
        self._previous: Mask | None = None
        self._label: Mask | None = None

    def sums(self) -> NDArray[np.float64] | None:
        """The sums so far in the form of `tdseg.metrics.bootstrap.Trace`, (2, C); None: the figure has another."""
        return None

    def next_pair(self, mask: AnyMask) -> tuple[Mask | None, Mask]:
        """The mask before (None for the first) and this one.

        Raises:
            DataError: the mask is not (H, W) integers 0 … 255, or of another size than the one before.
        """
        previous, self._previous = self._previous, as_mask(mask)
        self._index += 1
        if previous is not None and previous.shape != self._previous.shape:
            raise DataError(
                f"a mask of {self._previous.shape} after one of {previous.shape}",
                expected="masks of one size in one video",
                do="call start() where another video begins",
            )
        return previous, self._previous

    def next_labels(self, label: AnyMask | None, mask: Mask) -> tuple[Mask | None, Mask | None]:
        """The label before and the one of this mask, each None where it is unknown.

        Raises:
            DataError: the label is not (H, W) integers 0 … 255, or of another size than the mask.
        """
        before, self._label = self._label, None if label is None else as_mask(label)
        if self._label is not None and self._label.shape != mask.shape:
            raise DataError(
                f"a label of {self._label.shape} for a mask of {mask.shape}",
                expected="masks of the size of the labels",
                do="resize the masks without interpolation",
            )
        return before, self._label


class MeanShare(VideoMetric):
    """The mean of a share of pixels over all times it was taken.

    Args:
        groups: number of sums that are kept apart.
        unit: what a share of 1 is in the unit of the figure: 100 of percent.
    """

    total: Tensor
    count: Tensor

    def __init__(self, groups: int = 1, unit: float = 1) -> None:
        super().__init__()
        self.unit = unit
        self.add_state("total", torch.zeros(groups, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(groups, dtype=torch.int64), dist_reduce_fx="sum")

    def add(self, share: float, group: int = 0) -> None:
        """Take in the share at one time; NaN, where no pixel counts, is none."""
        if not math.isnan(share):
            self.total[group] += share
            self.count[group] += 1

    def sums(self) -> NDArray[np.float64] | None:
        """(2, 1): of the shares, in the unit of the figure, and how many there were."""
        return np.array([[self.unit * self.total.sum().item()], [self.count.sum().item()]])

    def compute(self) -> Tensor:
        """Scalar, over all groups, in the unit; NaN before the first share."""
        return self.unit * self.total.sum() / self.count.sum()


def as_mask(mask: AnyMask) -> Mask:
    """A copy as uint8 (H, W) of an array or tensor of integers 0 … 255, on any device.

    Copied because metrics remember it, and programs like to write their masks into one place.

    Raises:
        DataError: anything else.
    """
    array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    wide = array.dtype != np.uint8 and array.size > 0
    if array.ndim != 2 or array.dtype.kind not in "iu" or (wide and (array.min() < 0 or array.max() > 255)):
        raise DataError(
            f"a mask of {array.dtype} {array.shape}",
            expected="one class index 0 … 254 for each pixel, 255 for void: integers, (H, W)",
            do="take the argmax of logits first, and give masks one by one",
        )
    return array.astype(np.uint8)
