from __future__ import annotations

import json
import math

import numpy as np

from tdseg.metrics.bootstrap import Interval
from tdseg.metrics.figures import FIGURES, FLOWS, accuracy, flow_key, flow_note, shown_between, temporal
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
    figures = temporal([stream.compute() for stream in streams])
    assert figures["flip_rate"] == 0.5
    assert figures["flip_rate_by_phase"] == [None, 0.5]
    assert figures["tc"] is figures["tc_farneback"] is None


def test_figures_say_which_flow_they_are_along() -> None:
    assert [flow_key("tc", flow) for flow in FLOWS] == ["tc", "tc_farneback"]  # "tc" is DIS's, as in old files
    for key, figure in FIGURES.items():
        if key.startswith(("tc", "flow")):
            name = FLOWS["farneback" if key.endswith("_farneback") else "dis"]
            assert name in figure.name
            assert f"{name} flow" in figure.meaning
    assert flow_note(FLOWS).startswith("flow: DIS and Farnebäck, both ways")
    assert flow_note(["farneback"]).startswith("flow: Farnebäck, both ways")
    assert flow_note([]) == ""


def test_intervals_are_shown_in_the_unit_of_the_figure() -> None:
    assert shown_between("tc", Interval(87.7, 86.5, 88.96)) == "87.70 % (86.50 … 88.96)"
    assert shown_between("tc", Interval(3.69, -0.1, 4.5), signed=True) == "+3.69 points (-0.10 … +4.50)"
    assert shown_between("excess_flip_rate", Interval(-0.006, -0.008, 0), signed=True) == "-0.60 points (-0.80 … +0.00)"
    assert shown_between("flow_flip_rate", Interval(0.28, math.nan, math.nan)) == "0.280 /s"
