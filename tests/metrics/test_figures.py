from __future__ import annotations

import json

import numpy as np

from tdseg.metrics.figures import accuracy, temporal
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness


def test_accuracy_is_valid_json_and_rounded() -> None:
    matrices = [ConfusionMatrix(3), ConfusionMatrix(3)]
    for matrix, prediction in zip(matrices, ([0, 0, 1], [0, 1, 1]), strict=True):
        matrix.update(np.array(prediction, np.uint8), np.array([0, 1, 1], np.uint8))
    figures = accuracy(matrices, ["a", "b", "c"])
    assert figures == {"miou": 75.0, "iou": {"a": 75.0, "b": 75.0, "c": None}, "pixel_accuracy": 83.33}
    assert "NaN" not in json.dumps(figures)


def test_a_class_that_one_path_invents_counts_for_that_path() -> None:
    """miou is the mean over paths of their mIoU, and no path's mistake vanishes."""
    label = np.array([0, 1, 1, 1], np.uint8)
    matrices = [ConfusionMatrix(3), ConfusionMatrix(3)]
    matrices[0].update(label, label)
    matrices[1].update(np.array([0, 1, 1, 2], np.uint8), label)
    figures = accuracy(matrices, ["a", "b", "c"])
    assert figures["miou"] == round(np.mean([matrix.miou for matrix in matrices]), 2) == round((100 + 500 / 9) / 2, 2)
    assert figures["iou"] == {"a": 100, "b": round((100 + 200 / 3) / 2, 2), "c": 0}


def test_nothing_labelled() -> None:
    assert accuracy([ConfusionMatrix(1)], ["a"]) == {"miou": None, "iou": {"a": None}, "pixel_accuracy": None}


def test_temporal_figures_are_the_mean_over_streams() -> None:
    streams = [Steadiness(phases=2), Steadiness(phases=2)]
    for stream, change in zip(streams, (0, 1), strict=True):
        for t in range(2):
            stream.update(np.full((2, 2), t * change, np.uint8))
    figures = temporal(streams)
    assert figures["flip_rate"] == 0.5
    assert figures["flip_rate_by_phase"] == [None, 0.5]
    assert figures["tc"] is None
