"""Steadiness of masks over time: every figure at once. docs/metrics.md explains them.

Needs the extra `metrics`. The figures of this package have one unit each: scores of agreement (mIoU, TC, VC) are in
percent, rates of flips are shares of pixels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchmetrics import MetricCollection

from tdseg.metrics.consistency import TemporalConsistency, VideoConsistency
from tdseg.metrics.figures import FLOWS, check_flows, flow_key
from tdseg.metrics.flips import ExcessFlipRate, FlipRate, FlipRateByPhase, FlowFlipRate
from tdseg.metrics.flow import Flow
from tdseg.metrics.video_metric import AnyMask, VideoMetric


class Steadiness:
    """All temporal figures of videos, as far as labels and flow are given. Memory does not depend on their length.

    Args:
        fps: frames per second; None: unknown, then there is no flow_flip_rate.
        phases: m, for flip_rate_by_phase.
    """

    def __init__(self, *, fps: float | None = None, phases: int = 1) -> None:
        self.fps = fps
        self.in_place = _collection(
            {
                "flip_rate": FlipRate(),
                "flip_rate_by_phase": FlipRateByPhase(phases),
                "excess_flip_rate": ExcessFlipRate(),
                "vc8": VideoConsistency(8),
                "vc16": VideoConsistency(16),
            }
        )
        rate = math.nan if fps is None else fps
        self.along = {
            flow: _collection(
                {flow_key("flow_flip_rate", flow): FlowFlipRate(rate), flow_key("tc", flow): TemporalConsistency()}
            )
            for flow in FLOWS
        }

    def start(self, index: int = 0) -> None:
        """The next mask is the first of another video, and number `index` of it."""
        for metric in self._metrics().values():
            metric.start(index)

    def update(
        self, mask: AnyMask, *, label: AnyMask | None = None, flow: Mapping[str, Flow | None] | None = None
    ) -> None:
        """Add the next mask of the video.

        Args:
            mask: (H, W) class indices; 255 is void.
            label: ground truth likewise, where known.
            flow: from the frame before to this one, by name, as `Flows.step` gives; without it the pair of frames
                does not count for the figures along it.

        Raises:
            ConfigError: a flow of another name; `TemporalConsistency` and `FlowFlipRate` take any.
            DataError: sizes that differ, or values that are no class indices.
        """
        check_flows(flow or ())
        self.in_place.update(mask, label=label)
        for name, collection in self.along.items():
            collection.update(mask, flow=(flow or {}).get(name))

    def sums(self) -> dict[str, NDArray[np.float64]]:
        """By key of a figure the sums so far that it is made of, as `tdseg.metrics.bootstrap.Trace` takes them."""
        every = {key: metric.sums() for key, metric in self._metrics().items()}
        return {key: sums for key, sums in every.items() if sums is not None}

    def compute(self) -> dict[str, Any]:
        """The figures by name, None where the input did not allow them; over all processes of a distributed run.

        Returns:
            flip_rate, flip_rate_by_phase (m of them), excess_flip_rate: 0 … 1. vc8, vc16: percent. For each flow
            flow_flip_rate: per pixel and second, and tc: percent.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The ``compute`` method of metric .* was called before")
            values = self.in_place.compute()
            for collection in self.along.values():
                values |= collection.compute()
        by_phase = values.pop("flip_rate_by_phase").reshape(-1)  # torchmetrics drops the axis of a single phase
        figures: dict[str, Any] = {name: _known(value.item()) for name, value in values.items()}
        return {**figures, "flip_rate_by_phase": [_known(value) for value in by_phase.tolist()]}

    def _metrics(self) -> dict[str, VideoMetric]:
        """The metric of each figure, by key."""
        found = {}
        for collection in (self.in_place, *self.along.values()):
            for key, metric in collection.items():
                assert isinstance(metric, VideoMetric)
                found[key] = metric
        return found


def _collection(metrics: dict[str, VideoMetric]) -> MetricCollection:
    return MetricCollection(
        dict[str, Any](metrics), compute_groups=False
    )  # metrics with equal states need not be equal


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
