"""Intersection over union over a data set: one confusion matrix, as the field reports it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

VOID = 255
"""Mask value of pixels whose class is unknown or of no interest."""


class ConfusionMatrix:
    """Counts of (true class, predicted class) over any number of masks.

    Args:
        num_classes: C. Pixels whose true label is C or more are ignored; where a prediction is, it is wrong.
        counts: (C, C + 1), to go on from; the last column counts predictions of no class.
    """

    def __init__(self, num_classes: int, counts: NDArray[np.int64] | None = None) -> None:
        self.num_classes = num_classes
        self.counts = np.zeros((num_classes, num_classes + 1), np.int64) if counts is None else counts

    def update(self, prediction: NDArray[np.uint8], label: NDArray[np.uint8]) -> None:
        """Add one mask; both uint8 class indices of one shape, such as (H, W)."""
        valid = label < self.num_classes
        joint = label[valid].astype(np.int64) * (self.num_classes + 1)
        joint += np.minimum(prediction[valid], self.num_classes)
        self.counts += np.bincount(joint, minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def sums(self) -> NDArray[np.float64]:
        """(2, C): of each class 100 TP, and TP + FP + FN; the one over the other is its IoU in percent."""
        hits = np.diag(self.counts)
        return np.stack([100.0 * hits, self.counts.sum(0)[:-1] + self.counts.sum(1) - hits])

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) percent: TP / (TP + FP + FN); NaN for classes in neither labels nor predictions."""
        hits, union = self.sums
        iou: NDArray[np.float64] = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
        return iou

    @property
    def miou(self) -> float:
        """Mean of `iou` over the classes present, percent; NaN before any."""
        return float(np.nanmean(self.iou)) if self.counts.any() else math.nan

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels predicted right, percent; NaN before any."""
        total = self.counts.sum()
        return float(100 * np.trace(self.counts) / total) if total else math.nan
