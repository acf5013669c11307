"""Figures as they are reported and shown: their keys, names, units, rounding and meaning. Needs numpy only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tdseg.errors import ConfigError
from tdseg.metrics.iou import ConfusionMatrix

if TYPE_CHECKING:
    from tdseg.metrics.bootstrap import Interval


class Figure(NamedTuple):
    """How a figure is shown."""

    name: str
    form: str
    """Of its value with its unit: of a share of pixels in percent, of a score that is in percent, or of a rate."""
    meaning: str


FLOWS = {"dis": "DIS", "farneback": "Farnebäck"}
"""The flows that masks are judged along, and how they are shown. Figures along the first have keys without its name."""


def flow_key(key: str, flow: str) -> str:
    """The key of a figure along a flow, such as "tc", which is along DIS, and "tc_farneback"."""
    return key if flow == next(iter(FLOWS)) else f"{key}_{flow}"


def check_flows(names: Iterable[str]) -> None:
    """See to it that these are names of flows.

    Raises:
        ConfigError: one is not.
    """
    for name in names:
        if name not in FLOWS:
            raise ConfigError(f"flow {name!r}", expected=" or ".join(FLOWS), do="choose among these")


def flow_note(flows: Iterable[str]) -> str:
    """How the figures along these flows are taken, to stand beside them; empty where there are none."""
    names = " and ".join(FLOWS[flow] for flow in flows)
    return names and f"flow: {names}, both ways, pixels that fail the forward-backward check and void left out"


FIGURES = {
    "miou": Figure("mIoU", "{:.2f} %", "one confusion matrix, void ignored"),
    "miou_streamed": Figure("mIoU streamed", "{:.2f} %", "the same frames as if they were a video"),
    "pixel_accuracy": Figure("pixel accuracy", "{:.2f} %", "labelled pixels that are right"),
    "per_path": Figure("mIoU by path", "{:.2f} %", ""),
    **{
        flow_key("tc", flow): Figure(f"TC ({name})", "{:.2f} %", f"mIoU of neighbouring masks along {name} flow")
        for flow, name in FLOWS.items()
    },
    "vc8": Figure("VC8", "{:.2f} %", "right over 8 frames, where the label is constant"),
    "vc16": Figure("VC16", "{:.2f} %", "right over 16 frames, likewise"),
    "flip_rate": Figure("flip rate", "{:.2%}", "pixels that change class between frames, motion included"),
    "excess_flip_rate": Figure("excess flip rate", "{:.2%}", "pixels that change class where the label does not"),
    **{
        flow_key("flow_flip_rate", flow): Figure(
            f"flow flip rate ({name})", "{:.3f} /s", f"changes of class along {name} flow, per pixel"
        )
        for flow, name in FLOWS.items()
    },
    "flip_rate_by_phase": Figure("flip rate by phase", "{:.2%}", ""),
}
"""The figures of accuracy and steadiness, in order."""


def shown(key: str, value: float) -> str:
    """The value of a figure with its unit after a space, as pages show it."""
    form = FIGURES[key].form
    return f"{100 * value:.2f} %" if form.endswith("%}") else form.format(value)


def shown_between(key: str, interval: Interval, *, signed: bool = False) -> str:
    """A figure with the ends of its interval, such as "87.73 % (86.50 … 88.91)"; a difference has signs, and points."""
    value, low, high = (shown(key, value).partition(" ") for value in interval)
    sign = ["+" if signed and not text.startswith("-") else "" for text, _, _ in (value, low, high)]
    unit = "points" if signed and value[2] == "%" else value[2]
    ends = "" if math.isnan(interval.low) else f" ({sign[1]}{low[0]} … {sign[2]}{high[0]})"
    return f"{sign[0]}{value[0]} {unit}{ends}"


def accuracy(matrices: Sequence[ConfusionMatrix], classes: Sequence[str]) -> dict[str, Any]:
    """Mean over confusion matrices, one for each path, of what each of them says.

    Returns:
        miou, pixel_accuracy, iou {class}: percent; None for a class that no path predicts and no label has, and where
        nothing is labelled.
    """
    by_class = zip(*(matrix.iou.tolist() for matrix in matrices), strict=True)
    return {
        "miou": _mean([matrix.miou for matrix in matrices], 2),
        "iou": {name: _mean(of_paths, 2) for name, of_paths in zip(classes, by_class, strict=True)},
        "pixel_accuracy": _mean([matrix.pixel_accuracy for matrix in matrices], 2),
    }


def temporal(streams: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean over streams of their figures, as `Steadiness.compute` gives them; None where there are none."""
    decimals = {key: 2 if FIGURES[key].form.endswith(" %") else 5 for key in streams[0]}  # rates are shares of pixels
    return {key: _mean([stream[key] for stream in streams], count) for key, count in decimals.items()}


def _mean(values: Sequence[Any], decimals: int) -> Any:
    """Mean of the numbers there are; of lists, item by item."""
    if isinstance(values[0], list):
        return [_mean(items, decimals) for items in zip(*values, strict=True)]
    known = [value for value in values if value is not None and not math.isnan(value)]
    return round(sum(known) / len(known), decimals) if known else None
