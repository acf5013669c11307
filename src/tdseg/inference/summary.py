"""The figures of a run, as in summary.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from tdseg.inference.parts import PartRecord
from tdseg.metrics.basic import percentiles

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Summary:
    """The figures of a run, as in summary.json."""

    model: str
    source: str
    device: str
    runtime: str
    """Of the model: torch, onnxruntime or openvino."""
    precision: str
    """Of its weights: fp32, fp16, bf16 or int8."""
    memory: int | None
    """Frames that a mask draws on, the newest included; None: the network is per-frame."""
    frames: int
    complete: bool
    """Every frame of the source is in the result."""
    problem: str | None
    """Why the source gave fewer frames than it declares, or why its sound is missing, if so."""
    width: int
    height: int
    """Of the first frame, pixels."""
    size: tuple[int, int]
    """(height, width) of the network's input, pixels."""
    size_changes: int
    """How often the frame size changed in mid-stream."""
    startup_s: float
    """Loading the model and running it for the first time, seconds; not part of wall_s, where one process did all."""
    wall_s: float
    """From the first frame asked to the last file closed, seconds; of a run that was resumed, since then."""
    fps: float
    """Frames made / wall_s"""
    latency_ms: dict[str, float]
    """p50, p95, p99 and max of the time from a frame handed to the Stream until its mask is in host memory."""
    flip_rate: float | None
    """Share of pixels whose class differs from the previous frame's, averaged over frame pairs of equal size."""
    class_share: dict[str, float]
    """Share of all pixels, by class."""
    names: list[str] | None = None
    """Of the masks in order, without suffix; None: they are numbered."""
    write: tuple[str, ...] = ()
    """The outputs beside this file."""
    cuts: list[float] = field(default_factory=list)
    """Times of the frames that follow a hard cut, seconds: what was remembered was forgotten."""
    gaps: list[float] = field(default_factory=list)
    """Times of those that follow a gap in time, likewise."""
    age_ms: dict[str, float] | None = None
    """Percentiles of the time from the arrival of a frame until its mask is there; None for files."""
    skipped: int | None = None
    """Frames that came and were not segmented, as newer ones were there; None: every frame is."""
    reconnects: int | None = None
    """How many times a live source broke off and came back; None: it is none."""
    resumed_at: int | None = None
    """Number of the first frame that the last run made, where an interrupted one had made those before."""
    order: dict[str, Any] | None = None
    """What was asked for, as far as it changes the result."""


def figures_of(records: Sequence[PartRecord], classes: Sequence[str]) -> dict[str, Any]:
    """The figures of a `Summary`, by their names there, that the parts of a result tell, in order."""
    each = [record.figures for record in records]
    flips = [flip for figures in each for flip in figures.flips]
    latencies_ms = [latency for figures in each for latency in figures.latencies_ms]
    ages_ms = [age for figures in each for age in figures.ages_ms]
    pixels = np.sum([figures.pixels for figures in each], 0)
    shares = (pixels / pixels.sum()).round(6).tolist()
    return {
        "frames": len(latencies_ms),
        "size_changes": sum(figures.size_changes for figures in each),
        "cuts": [time_s for figures in each for time_s in figures.cuts],
        "gaps": [time_s for figures in each for time_s in figures.gaps],
        "age_ms": percentiles(ages_ms) if ages_ms else None,
        "latency_ms": percentiles(latencies_ms),
        "flip_rate": round(fmean(flips), 6) if flips else None,
        "class_share": dict(zip(classes, shares, strict=False)),
    }


_ALWAYS = {one.name for one in fields(Summary) if one.default is MISSING and one.default_factory is MISSING}
"""Fields of every summary: a file of others may have one or the other, but never all."""


def read_summary(folder: Path) -> dict[str, Any]:
    """The fields of the summary in a folder; none, where there is none of ours."""
    try:
        found = json.loads((folder / SUMMARY).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    is_ours = isinstance(found, dict) and found.keys() >= _ALWAYS and isinstance(found["frames"], int)
    return found if is_ours else {}
