"""The interface of sub-networks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class SubFeature(NamedTuple):
    """The features of a batch of images (B, 3, H, W)."""

    z: Tensor
    """(B, channels, H / stride, W / stride), sizes rounded up: the sub-feature that is merged over time."""
    aux: Tensor | None = None
    """(B, aux_channels, h', w'): a mid-level feature that an auxiliary head reads in training; None without one."""


class SubNetwork(nn.Module):
    """Base of sub-networks: declare the channels and the stride of z, and turn images into a SubFeature."""

    channels: int
    """Channels of z."""
    stride: int = 8
    """Pixels of the input for each position of z."""
    aux_channels: int = 0
    """Channels of the mid-level feature; 0 where there is none."""

    def forward(self, x: Tensor) -> SubFeature | Tensor:
        """(B, 3, H, W), normalised -> SubFeature, or z alone."""
        raise NotImplementedError
