"""ResNet as semantic segmentation uses it: dilated to keep 1/8 of the resolution, or strided to the end.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; dilations and the deep stem as in the code of
TDNet (Hu et al., CVPR 2020), so that its weights fit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

from torch import Tensor, nn

from tdseg.models.layers import ConvNorm

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


class Layout(NamedTuple):
    """The blocks of one depth."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool


LAYOUTS = {
    18: Layout((2, 2, 2, 2), False),
    34: Layout((3, 4, 6, 3), False),
    50: Layout((3, 4, 6, 3), True),
    101: Layout((3, 4, 23, 3), True),
}
WIDTHS = (64, 128, 256, 512)
DILATED, STRIDED, TO_64 = (1, 2, 1, 1), (1, 2, 2, 2), (2, 2, 2, 2)
"""Strides of the four stages: features at 1/4, 1/8, 1/8, 1/8; at 1/4 … 1/32; at 1/8 … 1/64 of the input."""
_GRID = (4, 8, 16)


class Residual(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 in a bottleneck, added to the input.

    Args:
        channels: of the 3x3 convolutions; a bottleneck gives four times as many.
        dilation: of the first 3x3 convolution.
        outer_dilation: of the second, which a bottleneck does not have.
        leaky: LeakyReLU(0.01) after all but the last convolution, as in FANet.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        dilation: int,
        outer_dilation: int,
        *,
        bottleneck: bool,
        leaky: bool,
    ) -> None:
        super().__init__()
        out_channels = channels * (4 if bottleneck else 1)
        if bottleneck:
            layers = [
                ConvNorm(in_channels, channels, act=_act(leaky)),
                ConvNorm(channels, channels, 3, stride=stride, dilation=dilation, act=_act(leaky)),
                ConvNorm(channels, out_channels),
            ]
        else:
            layers = [
                ConvNorm(in_channels, channels, 3, stride=stride, dilation=dilation, act=_act(leaky)),
                ConvNorm(channels, channels, 3, dilation=outer_dilation),
            ]
        self.layers = nn.Sequential(*layers)
        same_shape = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same_shape else ConvNorm(in_channels, out_channels, stride=stride)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, out_channels, ceil(h / stride), ceil(w / stride))."""
        y = self.layers(x)
        y += self.shortcut(x)
        return self.act(y)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """The feature extractor, without the classifier.

    forward: (B, 3, H, W), normalised by MEAN and STD -> the outputs of its four stages (`channels` wide).

    Args:
        depth: 18, 34, 50 or 101.
        strides: DILATED, STRIDED or TO_64. DILATED has dilation 2 in stage 3 and the grid 4, 8, 16 over 4 in stage 4.
        deep_stem: three 3x3 convolutions instead of one 7x7.
        leaky: LeakyReLU(0.01) instead of ReLU inside the stem and the blocks.
    """

    def __init__(
        self,
        depth: Literal[18, 34, 50, 101],
        strides: tuple[int, int, int, int],
        *,
        deep_stem: bool = False,
        leaky: bool = False,
    ) -> None:
        super().__init__()
        layout = LAYOUTS[depth]
        widths, in_channels = ((3, 64, 64, 128), 128) if deep_stem else ((3, 64), 64)
        kernel = 3 if deep_stem else 7
        self.stem = nn.Sequential(
            *(
                ConvNorm(before, after, kernel, stride=2 if i == 0 else 1, act=_act(leaky))
                for i, (before, after) in enumerate(pairwise(widths))
            ),
            nn.MaxPool2d(3, 2, 1),
        )
        self.stages = nn.ModuleList()
        expansion = 4 if layout.bottleneck else 1
        for i, (width, blocks, stride) in enumerate(zip(WIDTHS, layout.blocks, strides, strict=True)):
            stage = nn.Sequential()
            for block, (dilation, outer) in enumerate(_dilations(i, blocks, dilated=strides == DILATED)):
                stage.append(
                    Residual(
                        in_channels,
                        width,
                        stride if block == 0 else 1,
                        dilation,
                        outer,
                        bottleneck=layout.bottleneck,
                        leaky=leaky,
                    )
                )
                in_channels = width * expansion
            self.stages.append(stage)
        self.channels = tuple(width * expansion for width in WIDTHS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features after each of the four stages."""
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        s1, s2, s3, s4 = features
        return s1, s2, s3, s4


def _dilations(stage: int, blocks: int, *, dilated: bool) -> list[tuple[int, int]]:
    """(first, outer) dilation of every block of a stage."""
    if dilated and stage == 2:
        return [(1, 2)] + [(2, 2)] * (blocks - 1)
    if dilated and stage == 3:
        return [(dilation, 4) for dilation in _GRID[:blocks]]
    return [(1, 1)] * blocks


def _act(leaky: bool) -> nn.Module:
    return nn.LeakyReLU(0.01, inplace=True) if leaky else nn.ReLU(inplace=True)
