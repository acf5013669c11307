"""Steadiness of masks over time: every figure at once. docs/metrics.md explains them.

Needs the extra `metrics`. The figures of this package have one unit each: scores of agreement (mIoU, TC, VC) are in
percent, rates of flips are shares of pixels.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from torchmetrics import MetricCollection

from tdseg.metrics.consistency import TemporalConsistency, VideoConsistency
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
        self.metrics = MetricCollection(
            {
                "flip_rate": FlipRate(),
                "flip_rate_by_phase": FlipRateByPhase(phases),
                "flow_flip_rate": FlowFlipRate(math.nan if fps is None else fps),
                "excess_flip_rate": ExcessFlipRate(),
                "tc": TemporalConsistency(),
                "vc8": VideoConsistency(8),
                "vc16": VideoConsistency(16),
            },
            compute_groups=False,  # metrics with equal states need not be equal
        )

    def start(self, index: int = 0) -> None:
        """The next mask is the first of another video, and number `index` of it."""
        for metric in self.metrics.values():
            assert isinstance(metric, VideoMetric)
            metric.start(index)

    def update(self, mask: AnyMask, *, label: AnyMask | None = None, flow: Flow | None = None) -> None:
        """Add the next mask of the video.

        Args:
            mask: (H, W) class indices; 255 is void.
            label: ground truth likewise, where known.
            flow: from the frame before to this one, as `DISFlow.step` gives; None at the first frame.

        Raises:
            DataError: sizes that differ, or values that are no class indices.
        """
        self.metrics.update(mask, label=label, flow=flow)

    def compute(self) -> dict[str, Any]:
        """The figures by name, None where the input did not allow them; over all processes of a distributed run.

        Returns:
            flip_rate, flip_rate_by_phase (m of them), excess_flip_rate: 0 … 1. flow_flip_rate: per pixel and second.
            tc, vc8, vc16: percent.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The ``compute`` method of metric .* was called before")
            values = self.metrics.compute()
        by_phase = values.pop("flip_rate_by_phase").reshape(-1)  # torchmetrics drops the axis of a single phase
        figures: dict[str, Any] = {name: _known(value.item()) for name, value in values.items()}
        return {**figures, "flip_rate_by_phase": [_known(value) for value in by_phase.tolist()]}


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
