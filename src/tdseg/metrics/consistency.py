"""Agreement over time: along optical flow (TC), and with labels that stay the same (VC). In percent, as papers do."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.metrics.basic import share
from tdseg.metrics.flow import Flow
from tdseg.metrics.iou import VOID, ConfusionMatrix
from tdseg.metrics.video_metric import AnyMask, MeanShare, VideoMetric


class TemporalConsistency(VideoMetric):
    """TC: mean IoU, percent, between each mask and the previous one carried along optical flow.

    One confusion matrix over all pairs of all videos, then the mean over the classes seen:
    TC = 100/C Σ_c N_cc / (Σ_j N_cj + Σ_j N_jc − N_cc), N_ij = pixels of class i in the warped mask and j in this one.
    Needs no labels. After Liu et al., "Efficient semantic video segmentation with per-frame inference", ECCV 2020,
    doi:10.1007/978-3-030-58607-2_21, whose script keeps occluded pixels and blends class indices when warping; here
    pixels count only if they are visible in both frames (see `make_flow`) and void in neither, and warping takes the
    nearest pixel.
    """

    higher_is_better = True
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.from_numpy(ConfusionMatrix(VOID).counts), dist_reduce_fx="sum")

    def update(self, mask: AnyMask, flow: Flow | None) -> None:
        """Add the next mask, (H, W) class indices, with the flow from the frame before (None: the pair is left out)."""
        previous, current = self.next_pair(mask)
        if previous is not None and flow is not None:
            warped, valid = flow.along(previous, current)
            pair = ConfusionMatrix(VOID)
            pair.update(current[valid], warped[valid])
            self.counts += torch.from_numpy(pair.counts).to(self.device)

    def sums(self) -> NDArray[np.float64]:
        """(2, 255): of each class 100 times the pixels of it in both masks, and those of it in either."""
        return self._matrix.sums

    def compute(self) -> Tensor:
        """0 … 100; NaN before the first pair."""
        return torch.tensor(self._matrix.miou, dtype=torch.float64)

    @property
    def _matrix(self) -> ConfusionMatrix:
        return ConfusionMatrix(VOID, self.counts.cpu().numpy())


class VideoConsistency(MeanShare):
    """VC_k: share of pixels, percent, kept right over k frames among those whose label is constant over them.

    Mean over all windows of k frames of |∩_i (y_i = g_i) ∩ constant| / |constant|, with constant = all g_i equal and
    not void. Miao et al., "VSPW: A large-scale dataset for video scene parsing in the wild", CVPR 2021,
    doi:10.1109/CVPR46437.2021.00412. The script that went with it asks only that the prediction be constant too,
    right or wrong, counts void, and leaves out the last window of each video.

    Instead of windows, two counters for each pixel say for how many frames its label has been constant and its
    prediction right, so memory depends neither on k nor on the video's length.

    Args:
        k: frames in a window, at least 1; 8 and 16 in the paper.

    Raises:
        ConfigError: k below 1.
    """

    higher_is_better = True

    def __init__(self, k: int) -> None:
        if k < 1:
            raise ConfigError(f"a window of k={k} frames", expected="at least 1", do="the paper has 8 and 16")
        super().__init__(unit=100)
        self.k = k

    def update(self, mask: AnyMask, label: AnyMask | None) -> None:
        """Add the next mask and its label, (H, W) class indices (None: unknown, no window spans it)."""
        _, current = self.next_pair(mask)
        before, truth = self.next_labels(label, current)
        if truth is None:
            return
        if before is None:
            before, self._constant = truth, np.zeros(truth.shape, np.int32)
            self._right = self._constant
        same, known = truth == before, truth != VOID
        self._constant = known * (self._constant * same + 1)
        self._right = (known & (current == truth)) * (self._right * same + 1)
        self.add(share(self._right >= self.k, among=self._constant >= self.k))
