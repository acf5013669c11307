"""lite0, lite2, lite0s: EfficientNet-Lite, a light pyramid context at 1/32, top-down fusion to 1/8, detail from 1/4."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.models.backbones.efficientnet_lite import EfficientNetLite
from tdseg.models.layers import ConvNorm, average_grid, resize, separable
from tdseg.models.subnets.base import SubFeature, SubNetwork


class PyramidContext(nn.Module):
    """Average-pool to a few coarse grids, project each, and join them with the input (Zhao et al., PSPNet, 2017)."""

    def __init__(self, in_channels: int, channels: int, bins: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.bins = bins
        self.reduce = ConvNorm(in_channels, channels, act=nn.ReLU(inplace=True))
        part = channels // len(bins)
        self.levels = nn.ModuleList(nn.Conv2d(channels, part, 1) for _ in bins)
        self.join = ConvNorm(channels + part * len(bins), channels, act=nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, channels, h, w)."""
        x = self.reduce(x)
        size = (x.shape[-2], x.shape[-1])
        pooled = [
            resize(F.relu(level(average_grid(x, grid))), size)
            for grid, level in zip(self.bins, self.levels, strict=True)
        ]
        return self.join(torch.cat([x, *pooled], dim=1))  # type: ignore[no-any-return]


class LiteSubNetwork(SubNetwork):
    """EfficientNet-Lite with context and fusion to 1/8 of the input, any input of 64 px and more.

    Features at 1/4 join folded to 1/8, so that the head can place what is thinner than a cell.

    Args:
        variant: of the EfficientNet-Lite, 0 or 2.
        channels: of z.
        short: end the backbone at 1/16, and take what the context sees at 1/32 from there.
    """

    def __init__(self, variant: int = 0, *, channels: int = 128, short: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.backbone = EfficientNetLite(variant, to_16=short)
        c4, c8, c16, *deeper = self.backbone.channels
        self.aux_channels = c16
        self.context = PyramidContext(deeper[0] if deeper else c16, self.channels)
        self.lateral16 = ConvNorm(c16, self.channels)
        self.lateral8 = ConvNorm(c8, self.channels)
        self.detail = ConvNorm(4 * c4, self.channels)
        assert isinstance(self.detail.norm, nn.BatchNorm2d)
        nn.init.zeros_(self.detail.norm.weight)  # starts silent: training adds detail to a working whole
        self.fuse16 = separable(self.channels, self.channels)
        self.fuse8 = nn.Sequential(separable(self.channels, self.channels, 5), separable(self.channels, self.channels))

    def forward(self, x: Tensor) -> SubFeature:
        """(B, 3, H, W), normalised -> z (B, channels, ceil(H/8), ceil(W/8)), aux (B, c, ceil(H/16), ceil(W/16))."""
        s4, s8, s16, *deeper = self.backbone(x)
        y = self.context(deeper[0] if deeper else F.avg_pool2d(s16, 2, ceil_mode=True))
        y = self.fuse16(_add_upsampled(self.lateral16(s16), y))
        fine = self.lateral8(s8) + self.detail(_fold(s4))
        return SubFeature(self.fuse8(_add_upsampled(fine, y)), s16)


def _fold(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, 4·C, ceil(h / 2), ceil(w / 2)): the four positions of a cell become channels of it."""
    return F.pixel_unshuffle(F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)), 2)


def _add_upsampled(fine: Tensor, coarse: Tensor) -> Tensor:
    return fine + resize(coarse, (fine.shape[-2], fine.shape[-1]))
