"""A memory for any per-frame network, on the host or wherever its scores are."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.propagation import TDNetState
from tdseg.models.propagation.motion import FINENESS
from tdseg.models.subnets import SubNetwork
from tdseg.runtime.network import Network
from tdseg.runtime.window import MOST_FRAMES, Ballot, ScoreWindow


class RememberingNetwork:
    """A per-frame network whose scores the consensus of the last frames takes the place of. See `Network`.

    It is the memory that our own models have. It needs class scores only, so it serves any network; and as they come
    from the network as it is, in its runtime and precision, nothing is trained or exported.

    Args:
        network: per frame, of ours or of others.
        frames: in the window, 2 … 16.
        motion: where it comes from, as of a ModelConfig; None: OpenCV's DIS where scores are on the host, for it is
            the fastest there, else matching.

    Raises:
        ConfigError: a network that has a memory, or a number out of range; or OpenCV is not installed.
    """

    keeps_state = True

    def __init__(self, network: Network, frames: int, motion: Literal["matching", "dis"] | None = None) -> None:
        if network.keeps_state:
            raise ConfigError(
                f"a memory of {frames} frames for {network.config.name}, which has one of its own",
                expected="a per-frame network",
                do="leave --memory out, or choose a per-frame one of `tdseg models`",
            )
        if not 2 <= frames <= MOST_FRAMES:
            raise ConfigError(
                f"a memory of {frames} frames",
                expected=f"2 … {MOST_FRAMES}; 0 is none",
                do="choose another --memory; 4 is a good start",
            )
        self.network = network
        self.runtime, self.precision, self.device = network.runtime, network.precision, network.device
        self.align_corners, self.concurrent = network.align_corners, network.concurrent
        on_gpu = network.runtime == "torch" and network.device != "cpu"
        fields = {
            "name": f"td{frames}-{network.config.name}",
            "paths": frames,
            "weight_sets": 1,
            "propagation": "consensus",
            "motion": motion or ("matching" if on_gpu else "dis"),
        }
        self.config = ModelConfig.parse(network.config.model_dump() | fields, where=f"a memory of {frames} frames")
        device = network.device if on_gpu else "cpu"
        self._window = ScoreWindow(frames, self.config.head_upscale, self.config.motion, device)

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network."""
        return self.network.fit_size(size, frame)

    def encode(self, images: Tensor, path: int) -> Ballot:
        """See Network."""
        scores, _ = self.network.advance(self.network.encode(images, 0), TDNetState())
        height, width = (-(-side // SubNetwork.stride) for side in images.shape[-2:])
        scores = _on_grid(scores, [self.config.head_upscale * side for side in (height, width)])
        grey = self._window.motion.pictures(images.cpu(), (FINENESS * height, FINENESS * width))
        return Ballot(scores, grey.to(scores.device))

    def advance(self, encoded: Ballot, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """See Network."""
        merged, memory = self._window.advance(encoded, state.memory)
        return merged, TDNetState((state.path + 1) % self.config.paths, memory)


def _on_grid(scores: Tensor, size: list[int]) -> Tensor:
    """Scores (B, C, ·, ·) in other cells: each has what those it covers have in the mean, or what lies between them."""
    if list(scores.shape[-2:]) == size:
        return scores
    if scores.shape[-2] < size[0] or scores.shape[-1] < size[1]:
        return F.interpolate(scores, size, mode="bilinear", align_corners=False)
    return F.interpolate(scores, size, mode="area")
