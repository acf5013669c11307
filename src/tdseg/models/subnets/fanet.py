"""fa18: ResNet-18 to 1/64 of the input, and a feature pyramid of linear attention.

Hu et al., "Real-time Semantic Segmentation with Fast Attention", RA-L 2020, as the code of TDNet has it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.models.backbones.resnet import TO_64, ResNet
from tdseg.models.layers import ConvNorm, resize
from tdseg.models.subnets.base import SubFeature, SubNetwork

_D_K = 32
_SMOOTH = 128


class FastAttention(nn.Module):
    """Attention without softmax, linear in the number of positions, with a shortcut; then the coarser level is added.

    Args:
        channels: of the backbone's feature.
        coarser: add the upsampled level above.
        up: give this level, at half the channels, to the one below.
        smooth: give 128 channels of this level to the output.
    """

    def __init__(self, channels: int, *, up: bool, smooth: bool) -> None:
        super().__init__()
        self.query = ConvNorm(channels, _D_K)
        self.key = ConvNorm(channels, _D_K)
        self.value = ConvNorm(channels, channels, act=_leaky())
        self.lateral = ConvNorm(channels, channels, act=_leaky())
        # A 1x1 convolution that pads: its map is two positions wider, and is squeezed when it is resized below.
        self.up = ConvNorm(channels, channels // 2, padding=1, act=_leaky()) if up else None
        self.smooth = ConvNorm(channels, _SMOOTH, 3, act=_leaky()) if smooth else None

    def forward(self, feature: Tensor, coarser: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """(B, channels, h, w) and (B, channels, …) -> up (B, channels / 2, h + 2, w + 2), smooth (B, 128, h, w)."""
        size = (feature.shape[-2], feature.shape[-1])
        query = F.normalize(self.query(feature).flatten(2), dim=1)  # (B, 32, h·w)
        key = F.normalize(self.key(feature).flatten(2), dim=1)
        context = self.value(feature).flatten(2) @ key.transpose(1, 2)  # (B, channels, 32)
        merged = self.lateral((context @ query).unflatten(2, size)) + feature
        if coarser is not None:
            merged = resize(coarser, size) + merged
        return (
            None if self.up is None else self.up(merged),
            None if self.smooth is None else self.smooth(merged),
        )


class FASubNetwork(SubNetwork):
    """FANet-18: 256 channels at 1/8 of the input, half of them from 1/16."""

    channels = 2 * _SMOOTH
    aux_channels = 256

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet(18, TO_64, leaky=True)
        c8, c16, c32, c64 = self.backbone.channels
        self.attend64 = FastAttention(c64, up=True, smooth=False)
        self.attend32 = FastAttention(c32, up=True, smooth=True)
        self.attend16 = FastAttention(c16, up=True, smooth=False)
        self.attend8 = FastAttention(c8, up=False, smooth=True)

    def forward(self, x: Tensor) -> SubFeature:
        """(B, 3, H, W), normalised -> z (B, 256, ceil(H/8), ceil(W/8)), aux (B, 256, ceil(H/32), ceil(W/32))."""
        s8, s16, s32, s64 = self.backbone(x)
        up, _ = self.attend64(s64, None)
        up, coarse = self.attend32(s32, up)
        up, _ = self.attend16(s16, up)
        _, fine = self.attend8(s8, up)
        return SubFeature(torch.cat([resize(coarse, (fine.shape[-2], fine.shape[-1])), fine], dim=1), s32)


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.01, inplace=True)
