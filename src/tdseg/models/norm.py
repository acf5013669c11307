"""Normalisation of merged features over the spatial axes, for any input size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.models.layers import resize


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
        self._resized: dict[tuple[object, ...], Tensor] | None = None

    def freeze(self) -> None:
        """From now on resize once for each size: the weights will not change."""
        self._resized = {}

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        size = (x.shape[-2], x.shape[-1])
        weight, bias = self._affine(size)
        return F.layer_norm(x, size, weight, bias, self.eps)

    def _affine(self, size: tuple[int, int]) -> Tensor:
        """(2, h, w): weight and bias."""
        key = (size, self.weight.device, self.weight.dtype)
        if self._resized is None or torch.compiler.is_exporting():  # a graph's own tensors must not be kept
            return self._resize(size)
        if key in self._resized:
            return self._resized[key]
        with torch.inference_mode(False), torch.no_grad():  # what is kept must serve outside of inference mode too
            self._resized[key] = self._resize(size)
        return self._resized[key]

    def _resize(self, size: tuple[int, int]) -> Tensor:
        return resize(torch.stack([self.weight, self.bias])[None], size)[0]


def make_norm(kind: str, channels: int, size: tuple[int, int] | None) -> nn.Module:
    """Build the norm named in a ModelConfig: "layer", "instance" or "none"."""
    if kind == "layer":
        assert size is not None, "ModelConfig guarantees norm_size for norm='layer'"
        return SpatialLayerNorm(size)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.Identity()
