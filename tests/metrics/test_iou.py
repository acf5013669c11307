from __future__ import annotations

import numpy as np
import pytest

from tdseg.metrics.iou import ConfusionMatrix


def test_known_answer() -> None:
    matrix = ConfusionMatrix(3)
    label = np.array([[0, 0, 1, 255]], np.uint8)
    matrix.update(np.array([[0, 1, 1, 2]], np.uint8), label)
    assert matrix.iou[:2].tolist() == [50.0, 50.0]
    assert np.isnan(matrix.iou[2])  # neither labelled nor predicted where it counts
    assert matrix.miou == 50.0
    assert matrix.pixel_accuracy == pytest.approx(200 / 3)


def test_void_is_wrong_where_a_class_is_labelled() -> None:
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([0, 255, 1, 255], np.uint8), np.array([0, 0, 1, 255], np.uint8))
    assert matrix.iou.tolist() == [50.0, 100.0]
    assert matrix.pixel_accuracy == pytest.approx(200 / 3)
    assert np.isnan([ConfusionMatrix(2).miou, ConfusionMatrix(2).pixel_accuracy]).all()


def test_one_matrix_over_the_data_set() -> None:
    """Not the mean of the masks' own scores: a class rare in one mask counts by its pixels."""
    matrix = ConfusionMatrix(2)
    matrix.update(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    matrix.update(np.zeros((1, 1), np.uint8), np.ones((1, 1), np.uint8))
    assert matrix.miou == pytest.approx((100 * 16 / 17 + 0) / 2)


def test_agrees_with_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification", reason="comes with tdseg[train]")
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, (4, 20, 30)).astype(np.uint8)
    label[rng.uniform(size=label.shape) < 0.1] = 255
    prediction = np.where(rng.uniform(size=label.shape) < 0.6, label % 5, rng.integers(0, 5, label.shape)).astype(
        np.uint8
    )
    ours = ConfusionMatrix(5)
    theirs = classification.MulticlassJaccardIndex(5, ignore_index=255)
    for p, t in zip(prediction, label, strict=True):
        ours.update(p, t)
        theirs.update(torch.from_numpy(p)[None], torch.from_numpy(t)[None].long())
    assert ours.miou / 100 == pytest.approx(theirs.compute().item(), abs=1e-6)
