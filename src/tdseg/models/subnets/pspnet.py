"""psp18, psp50, psp101: dilated ResNet and pyramid pooling, whole or one group of channels of it.

Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017; groups of channels as in TDNet (Hu et al., CVPR 2020).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tdseg.errors import ConfigError
from tdseg.models.backbones.resnet import DILATED, ResNet
from tdseg.models.layers import ConvNorm, average_grid, resize
from tdseg.models.subnets.base import SubFeature, SubNetwork

BINS = (1, 2, 3, 6)


class PSPSubNetwork(SubNetwork):
    """The `group`-th of `groups` equal parts of PSPNet's features, at 1/8 of the input.

    A part is the same share of the backbone's channels and of each pyramid level's. Only what is kept is computed, so
    the parts of all groups together cost one pyramid.

    Args:
        depth: of the ResNet; 50 and 101 have the deep stem.
        group: which part, 0 … groups-1.
        groups: how many parts, 1 for PSPNet itself.
    """

    def __init__(self, depth: Literal[18, 50, 101], *, group: int = 0, groups: int = 1) -> None:
        super().__init__()
        self.backbone = ResNet(depth, DILATED, deep_stem=depth >= 50)
        _, _, self.aux_channels, deep = self.backbone.channels
        if deep // len(BINS) % groups:
            raise ConfigError(
                f"groups={groups}, which do not divide the channels of the pyramid's levels, {deep // len(BINS)} each",
                expected="a power of 2",
                do="choose another number of groups",
            )
        self.first, self.kept = group * deep // groups, deep // groups
        self.levels = nn.ModuleList(
            ConvNorm(deep, deep // len(BINS) // groups, act=nn.ReLU(inplace=True)) for _ in BINS
        )
        self.channels = 2 * self.kept

    def forward(self, x: Tensor) -> SubFeature:
        """(B, 3, H, W), normalised -> z (B, channels, ceil(H/8), ceil(W/8)), aux of stage 3 at the same size."""
        _, _, mid, deep = self.backbone(x)
        size = (deep.shape[-2], deep.shape[-1])
        levels = [resize(level(average_grid(deep, bins)), size) for bins, level in zip(BINS, self.levels, strict=True)]
        return SubFeature(torch.cat([deep[:, self.first : self.first + self.kept], *levels], dim=1), mid)
