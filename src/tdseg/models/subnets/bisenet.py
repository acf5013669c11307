"""bise18, bise34: a spatial path that keeps detail, a context path of ResNet, and their fusion at 1/8.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018. The TDNet paper
names TD4-Bise18 and TD2-Bise34 without code; the widths are those of BiSeNet: 64 in the spatial path and 128 at its
end, 128 in the context, 256 after the fusion.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tdseg.models.backbones.resnet import STRIDED, ResNet
from tdseg.models.layers import ConvNorm, resize
from tdseg.models.subnets.base import SubFeature, SubNetwork

_DETAIL, _CONTEXT = 64, 128


class Refinement(nn.Module):
    """Attention refinement: a 3x3 convolution, then every channel weighted by what the whole picture says of it."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = _conv(in_channels, channels, 3)
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, channels, h, w)."""
        x = self.conv(x)
        return x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """Feature fusion: both paths side by side, then a squeeze-and-excitation gate that adds."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.join = _conv(in_channels, channels)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1), nn.ReLU(inplace=True), nn.Conv2d(channels // 4, channels, 1)
        )

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """(B, …, h, w) twice -> (B, channels, h, w)."""
        x = self.join(torch.cat([detail, context], dim=1))
        return x + x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()  # type: ignore[no-any-return]


class BiSeSubNetwork(SubNetwork):
    """BiSeNet on ResNet-18 or -34: 256 channels at 1/8 of the input.

    Gates are convolutions with bias and without batch norm, which would see one value per image.
    """

    channels = 2 * _CONTEXT

    def __init__(self, depth: Literal[18, 34]) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            _conv(3, _DETAIL, 7, stride=2),
            _conv(_DETAIL, _DETAIL, 3, stride=2),
            _conv(_DETAIL, _DETAIL, 3, stride=2),
            _conv(_DETAIL, _CONTEXT),
        )
        self.backbone = ResNet(depth, STRIDED)
        _, _, c16, c32 = self.backbone.channels
        self.aux_channels = c16
        self.summary = nn.Conv2d(c32, _CONTEXT, 1)
        self.refine32 = Refinement(c32, _CONTEXT)
        self.refine16 = Refinement(c16, _CONTEXT)
        self.smooth32 = _conv(_CONTEXT, _CONTEXT, 3)
        self.smooth16 = _conv(_CONTEXT, _CONTEXT, 3)
        self.fuse = Fusion(2 * _CONTEXT, self.channels)

    def forward(self, x: Tensor) -> SubFeature:
        """(B, 3, H, W), normalised -> z (B, 256, ceil(H/8), ceil(W/8)), aux (B, 256, ceil(H/16), ceil(W/16))."""
        detail = self.detail(x)
        _, _, s16, s32 = self.backbone(x)
        summary = self.summary(s32.mean((2, 3), keepdim=True)).relu()
        context = self.smooth32(_upsample(self.refine32(s32) + summary, s16))
        context = self.smooth16(_upsample(self.refine16(s16) + context, detail))
        return SubFeature(self.fuse(detail, context), s16)


def _conv(in_channels: int, channels: int, kernel: int = 1, *, stride: int = 1) -> ConvNorm:
    return ConvNorm(in_channels, channels, kernel, stride=stride, act=nn.ReLU(inplace=True))


def _upsample(x: Tensor, target: Tensor) -> Tensor:
    return resize(x, (target.shape[-2], target.shape[-1]))
