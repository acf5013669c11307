"""From features to class logits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from tdseg.models.layers import ConvNorm, separable

HeadKind = Literal["separable", "conv", "leaky"]


class Head(nn.Module):
    """A 3x3 convolution, then a 1x1 convolution to classes, at `upscale` times the resolution of its input.

    Poles and signs are narrower than a cell of 8 pixels. A finer grid of logits costs only more outputs of the last
    convolution (sub-pixel convolution, Shi et al., CVPR 2016). A new head gives all positions of a cell the same
    value (ICNR, Aitken et al., 2017, arXiv:1707.02937); kernels drawn apart show as a checkerboard until they are
    trained.

    Args:
        kind: of the 3x3 convolution. "separable": depthwise and pointwise; "conv": plain, as in PSPNet; "leaky": plain
            with LeakyReLU(0.01), and no bias in the last convolution, as in FANet.
    """

    def __init__(
        self, kind: HeadKind, in_channels: int, channels: int, num_classes: int, upscale: int = 1, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.hidden: nn.Module
        if kind == "separable":
            self.hidden = separable(in_channels, channels)
        else:
            act = nn.ReLU(inplace=True) if kind == "conv" else nn.LeakyReLU(0.01, inplace=True)
            self.hidden = ConvNorm(in_channels, channels, 3, act=act)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(channels, num_classes * upscale**2, 1, bias=kind != "leaky")
        self.shuffle = nn.PixelShuffle(upscale)
        for parameter in self.classify.parameters():
            parameter.data = parameter.data[:: upscale**2].repeat_interleave(upscale**2, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, num_classes, upscale·h, upscale·w)."""
        return self.shuffle(self.classify(self.dropout(self.hidden(x))))  # type: ignore[no-any-return]
