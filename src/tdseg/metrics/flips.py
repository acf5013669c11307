"""Flips: pixels whose class changes from one mask to the next. Shares of pixels are 0 … 1."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.metrics.basic import flip_share
from tdseg.metrics.flow import Flow
from tdseg.metrics.iou import VOID
from tdseg.metrics.video_metric import AnyMask, MeanShare, VideoMetric


class FlipRate(MeanShare):
    """Share of pixels whose class differs from the previous mask's at the same place: mean over pairs of |y_t ≠ y_t−1|.

    Needs nothing but masks. True motion counts too, so compare with the flip rate of labels, or of another method, on
    the same video. 0 is a still mask; more is worse. Void counts as a class here, so labels with void at their borders
    flip more than their classes do. Own definition; no paper's.
    """

    def update(self, mask: AnyMask) -> None:
        """Add the next mask, (H, W) class indices. Void is a class like others."""
        previous, current = self.next_pair(mask)
        if previous is not None:
            self.add(flip_share(previous, current), group=self._index % len(self.total))


class FlipRateByPhase(FlipRate):
    """The flip rate of each phase: pairs that end at a mask of number t count for phase t mod m.

    Phase i: mean over pairs with t mod m = i of |y_t ≠ y_t−1|. A network whose paths take turns can flicker at a rhythm
    of its own, which the mean over all pairs hides. Own definition.

    Args:
        phases: m, at least 1.

    Raises:
        ConfigError: m below 1.
    """

    def __init__(self, phases: int) -> None:
        if phases < 1:
            raise ConfigError(f"{phases} phases", expected="at least 1", do="give the number of paths that take turns")
        super().__init__(phases)

    def sums(self) -> NDArray[np.float64] | None:
        """None: there are m figures."""
        return None

    def compute(self) -> Tensor:
        """(m,), 0 … 1; NaN for a phase without pairs."""
        return self.total / self.count


class FlowFlipRate(MeanShare):
    """Changes of class along optical flow, per pixel and second: fps × mean over pairs of the share of changed pixels.

    Needs no labels. Motion is taken out, so what is left is flicker, and what the flow got wrong: ground truth has a
    small rate too. Only pixels that are visible in both frames (the forward-backward check of `make_flow`, Sundaram et
    al., ECCV 2010) and void in neither count. Own definition: a warping error (Lai et al., ECCV 2018) of
    classes.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        super().__init__(unit=fps)

    def update(self, mask: AnyMask, flow: Flow | None) -> None:
        """Add the next mask, (H, W) class indices, with the flow from the frame before (None: the pair is left out)."""
        previous, current = self.next_pair(mask)
        if previous is not None and flow is not None:
            warped, valid = flow.along(previous, current)
            self.add(flip_share(warped, current, valid))


class ExcessFlipRate(MeanShare):
    """Flips that ground truth does not have: share of pixels that change class where the label does not.

    Mean over pairs of |y_t ≠ y_t−1 and g_t = g_t−1| / |g_t = g_t−1|, at the same place, void labels left out; void
    predictions count as a class. Own definition.
    """

    def update(self, mask: AnyMask, label: AnyMask | None) -> None:
        """Add the next mask and its label, (H, W) class indices (None: unknown)."""
        previous, current = self.next_pair(mask)
        before, known = self.next_labels(label, current)
        if previous is not None and before is not None and known is not None:
            self.add(flip_share(previous, current, (known == before) & (before != VOID)))


class InstabilityMap(VideoMetric):
    """Where masks flicker: for each pixel, the share of pairs of masks between which its class changed.

    Σ_t [y_t ≠ y_t−1] / number of pairs, along the flow where it is given, else in place; with flow, pixels that cannot
    be compared do not count. Own definition.

    Args:
        size: (H, W) of the masks, pixels.
    """

    flips: Tensor
    pairs: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.add_state("flips", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("pairs", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def start(self, index: int = 0) -> None:
        """The next mask is the first of a video."""
        super().start(index)
        self.changed: NDArray[np.bool_] | None = None
        """(H, W): what changed between the last two masks; None at the first."""

    def update(self, mask: AnyMask, flow: Flow | None = None) -> None:
        """Add the next mask, (H, W) class indices, with the flow from the frame before."""
        previous, current = self.next_pair(mask)
        if previous is None:
            return
        before, valid = (previous, np.ones(current.shape, bool)) if flow is None else flow.along(previous, current)
        self.changed = (current != before) & valid
        self.pairs += torch.from_numpy(valid).to(self.device)
        self.flips += torch.from_numpy(self.changed).to(self.device)

    def compute(self) -> Tensor:
        """(H, W), 0 … 1; 0 where no pair counted."""
        return self.flips / self.pairs.clamp(min=1)
