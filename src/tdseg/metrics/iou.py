"""Intersection over union over a data set: one confusion matrix, as the field reports it."""

from __future__ import annotations

import numpy as np


class ConfusionMatrix:
    """Counts of (true class, predicted class) over any number of masks.

    Args:
        num_classes: C. Pixels whose true label is C or more are ignored.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.counts = np.zeros((num_classes, num_classes), np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Add one mask; both uint8 (H, W) class indices. Predictions must be under C."""
        valid = label < self.num_classes
        joint = label[valid].astype(np.int64) * self.num_classes + prediction[valid]
        self.counts += np.bincount(joint, minlength=self.num_classes**2).reshape(self.counts.shape)

    @property
    def iou(self) -> np.ndarray:
        """(C,) percent: TP / (TP + FP + FN); NaN for classes in neither labels nor predictions."""
        hits = np.diag(self.counts).astype(float)
        union = self.counts.sum(0) + self.counts.sum(1) - hits
        iou: np.ndarray = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
        return 100 * iou

    @property
    def miou(self) -> float:
        """Mean of `iou` over the classes present, percent."""
        return float(np.nanmean(self.iou))

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels predicted right, percent."""
        return float(100 * np.trace(self.counts) / max(self.counts.sum(), 1))
