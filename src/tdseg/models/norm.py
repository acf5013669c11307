"""Normalisation of merged features over the spatial axes, for any input size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpatialLayerNorm(nn.Module):
    """LayerNorm over the two spatial axes, per channel, with an affine of shape (h, w) as in the TDNet paper's code.

    The affine is stored at one size and resized (bilinear) to the feature map at hand, so any input size works.

    Args:
        size: stored (h, w) of the affine.
    """

    def __init__(self, size: tuple[int, int], eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        size = x.shape[-2:]
        weight, bias = self.weight, self.bias
        if size != weight.shape:
            affine = torch.stack([weight, bias])[None]
            weight, bias = F.interpolate(affine, size, mode="bilinear", align_corners=True)[0]
        return F.layer_norm(x, size, weight, bias, self.eps)


def make_norm(kind: str, channels: int, size: tuple[int, int] | None) -> nn.Module:
    """Build the norm named in a ModelConfig: "layer", "instance" or "none"."""
    if kind == "layer":
        assert size is not None, "ModelConfig guarantees norm_size for norm='layer'"
        return SpatialLayerNorm(size)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.Identity()
