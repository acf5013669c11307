"""Consensus: a window of m frames along the motion of the picture, in which every frame has one vote.

Ours, for any network that gives class scores. They survive resampling, where features at 1/8 do not; and as every path
speaks once in each window, paths that differ do not flicker against each other.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.propagation.base import Memory, PathView, Propagation, StateTensor
from tdseg.models.propagation.motion import FINENESS, LUMA, MOTIONS, carried, without_autocast


class ConsensusCode(NamedTuple):
    """A frame's class scores, and the picture that its motion is found in."""

    value: Tensor
    """(B, C, u·h, u·w): logits. Their mean is the mean of log-probabilities, but for a constant in each cell."""
    grey: Tensor
    """(B, 1, FINENESS·h, FINENESS·w), 0 … 255."""


class ConsensusEncoder(nn.Module):
    """The scores as they are, and a small grey picture.

    Args:
        mean, std: of the model's input, RGB, 0 … 255.
        scale: u, cells of the scores to a side of a position of z.
    """

    weight: Tensor
    offset: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], scale: int) -> None:
        super().__init__()
        self.scale = scale
        shares, means, divisors = (torch.tensor(values, device="cpu") for values in (LUMA, mean, std))
        weight = (shares * divisors / 4)[None, :, None, None].expand(-1, -1, 2, 2)  # the mean of 2×2 pixels
        self.register_buffer("weight", weight.contiguous(), persistent=False)
        self.register_buffer("offset", (shares * means).sum()[None], persistent=False)

    def forward(self, view: PathView) -> ConsensusCode:
        """See ConsensusCode. The picture's size follows from that of the scores: so the memory's fixes it."""
        height, width = (2 * FINENESS * (n // self.scale) for n in view.feature.shape[-2:])
        image = view.image
        if image.shape[-2:] != (height, width):
            image = F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
        with without_autocast(image.device.type):
            grey = F.conv2d(image.float(), self.weight.float(), self.offset.float(), stride=2)
        return ConsensusCode(view.feature, grey.to(view.image.dtype))


class ConsensusPropagation(Propagation[ConsensusCode]):
    """The mean of the scores of the last m frames, those before the newest carried along the motion of the picture.

    All have the same weight, less where the picture does not show the same as before: occlusions, cuts, new things.
    Nothing older than m-1 frames is in it. There is nothing to train; gradients flow to the scores, through all of the
    window.
    """

    after_head = True

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config, dropout)
        self.motion = MOTIONS[config.motion]()

    @staticmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        """See Propagation."""
        return ConsensusEncoder(config.mean, config.std, config.head_upscale)

    @staticmethod
    def layout(config: ModelConfig, cells: tuple[int, int]) -> tuple[StateTensor, ...]:
        """The picture of the newest frame, and m-1 slots, the oldest first: scores times their weight, and the weight.

        So what is not valid has no part in what is sampled between cells.
        """
        height, width = cells
        u, channels = config.head_upscale, (config.paths - 1) * (config.num_classes + 1)
        grey = StateTensor("grey", (1, 1, FINENESS * height, FINENESS * width))
        return grey, StateTensor("scores", (1, channels, u * height, u * width))

    @staticmethod
    def check_export(config: ModelConfig) -> None:
        """See Propagation."""
        if config.motion != "matching":
            raise ConfigError(
                f"export of {config.name} with motion={config.motion!r}",
                expected="motion='matching', the plain operations that a graph is made of",
                do="set motion='matching': the same weights go with it",
            )

    def align(self, code: ConsensusCode, memory: Memory) -> Memory:
        """The slots where the frame shows what they are of, and as far as it does."""
        grey, scores = memory
        displacement, validity = self.motion(code.grey, grey, self.config.head_upscale)
        return grey, carried(scores, displacement) * validity.to(scores.dtype)

    def start_from_features(self, encoder: nn.Module) -> bool:
        """The head of a path reads its sub-feature, and nothing else."""
        return True

    def merge(self, code: ConsensusCode, aligned: Memory) -> Tensor:
        """(s + Σ wᵢ sᵢ) / (1 + Σ wᵢ), (B, C, u·h, u·w)."""
        slots = torch.split(aligned[1], self.config.num_classes + 1, dim=1)[self.left_out :]
        if not slots:
            return code.value
        total = sum(slots[1:], slots[0])
        return (code.value + total[:, :-1]) / (1 + total[:, -1:])

    def remember(self, code: ConsensusCode, aligned: Memory) -> Memory:
        """The slots without the oldest, and the frame's own scores as the newest."""
        own = torch.cat([code.value, torch.ones_like(code.value[:, :1])], 1)
        return code.grey, torch.cat([aligned[1][:, own.shape[1] :], own], 1)
