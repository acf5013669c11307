"""Shares of pixels, and percentiles of times: with numpy alone, for runs without the extra `metrics`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]


def share(hits: NDArray[np.bool_], among: NDArray[np.bool_] | None = None) -> float:
    """Share of hits, (H, W), among the pixels that count (None: all), 0 … 1; NaN where none counts."""
    pixels = hits.size if among is None else np.count_nonzero(among)
    return np.count_nonzero(hits if among is None else hits & among) / pixels if pixels else math.nan


def flip_share(previous: Mask, mask: Mask, among: NDArray[np.bool_] | None = None) -> float:
    """Share of pixels whose class is another than in the mask before, both (H, W) of one size; as `share`."""
    return share(mask != previous, among)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and max, in the unit of the values, rounded to 0.001."""
    p50, p95, p99, most = np.percentile(values, (50, 95, 99, 100)).round(3)
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(most)}
