"""What a TDNet asks of a sub-network."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class SubFeature(NamedTuple):
    """What a sub-network gives for a batch of images (B, 3, H, W)."""

    z: Tensor
    """(B, channels, ceil(H / 8), ceil(W / 8)): the sub-feature that is merged over time."""
    aux: Tensor
    """(B, aux_channels, h', w'): a mid-level feature that an auxiliary head reads in training."""


class SubNetwork(nn.Module):
    """Base of sub-networks: declare `channels` and `aux_channels`, and turn images into a SubFeature."""

    channels: int
    aux_channels: int

    def forward(self, x: Tensor) -> SubFeature:
        """(B, 3, H, W), normalised -> SubFeature."""
        raise NotImplementedError
