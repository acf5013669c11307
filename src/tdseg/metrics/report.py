"""Figures as they are reported: their keys, their units, their rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness

DECIMALS = {"tc": 2, "vc8": 2, "vc16": 2}
"""Of percentages; rates are shares of pixels and have five."""

FLOW = "flow: DIS both ways, pixels that fail the forward-backward check and void left out"
"""How the figures along flow are taken, to stand beside them."""


def accuracy(matrices: Sequence[ConfusionMatrix], classes: Sequence[str]) -> dict[str, Any]:
    """Mean over confusion matrices, one for each path, of what each of them says.

    Returns:
        miou, pixel_accuracy, iou {class}: percent; None for a class that no path predicts and no label has, and where
        nothing is labelled.
    """
    seen = not all(np.isnan(matrix.iou).all() for matrix in matrices)
    by_class = zip(*(matrix.iou.tolist() for matrix in matrices), strict=True)
    return {
        "miou": round(float(np.mean([matrix.miou for matrix in matrices])), 2) if seen else None,
        "iou": {
            name: _mean([None if np.isnan(iou) else iou for iou in of_paths], 2)
            for name, of_paths in zip(classes, by_class, strict=True)
        },
        "pixel_accuracy": round(float(np.mean([m.pixel_accuracy for m in matrices])), 2) if seen else None,
    }


def temporal(streams: Sequence[Steadiness]) -> dict[str, Any]:
    """Mean over streams of the figures of `Steadiness`, with the same keys and units; None where there are none."""
    figures = [stream.compute() for stream in streams]
    return {name: _mean([figure[name] for figure in figures], DECIMALS.get(name, 5)) for name in figures[0]}


def _mean(values: Sequence[Any], decimals: int) -> Any:
    """Mean of the numbers there are; of lists, item by item."""
    if isinstance(values[0], list):
        return [_mean(items, decimals) for items in zip(*values, strict=True)]
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), decimals) if known else None
