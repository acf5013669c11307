"""Small layers that every network here is made of."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tdseg.models.winograd import WinogradConv2d

Layer = TypeVar("Layer", bound=nn.Module)


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation.

    Args:
        padding: zeros on every side; None keeps the size of an unstrided convolution's input.
        same: pad as TensorFlow's "SAME" does (bottom and right first), for weights trained there. Only strided
            convolutions differ.
        act: activation, None for none.
        eps, momentum: of the batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        same: bool = False,
        act: nn.Module | None = None,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.same = (kernel, stride) if same and stride > 1 else None
        if padding is None:
            padding = 0 if self.same else dilation * (kernel // 2)
        self.conv: nn.Module = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, dilation, groups=groups, bias=bias
        )
        self.norm: nn.Module = nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum)
        self.act = act if act is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, out_channels, ceil(h / stride), ceil(w / stride))."""
        if self.same:
            x = pad_same(x, *self.same)
        return self.act(self.norm(self.conv(x)))  # type: ignore[no-any-return]

    @property
    def fused(self) -> bool:
        """Whether `fuse` was called."""
        return isinstance(self.norm, nn.Identity)

    def fuse(self, *, winograd: bool = False) -> None:
        """Fold the batch norm into the convolution, in place. Inference only.

        Args:
            winograd: also replace a large 3x3 convolution by WinogradConv2d, for CPUs.
        """
        if isinstance(self.conv, nn.Conv2d) and isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()
        if winograd and isinstance(self.conv, nn.Conv2d) and WinogradConv2d.fits(self.conv):
            self.conv = WinogradConv2d(self.conv)


def separable(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """Depthwise then pointwise convolution, each with batch norm and ReLU."""
    return nn.Sequential(
        ConvNorm(in_channels, in_channels, kernel, groups=in_channels, act=nn.ReLU(inplace=True)),
        ConvNorm(in_channels, out_channels, act=nn.ReLU(inplace=True)),
    )


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zero-pad (B, C, h, w) as TensorFlow's "SAME" does: output ceil(size / stride), odd pixel at bottom and right."""
    total_h, total_w = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
    return F.pad(x, (total_w // 2, total_w - total_w // 2, total_h // 2, total_h - total_h // 2))


def start_unscaled(layer: Layer, generator: torch.Generator | None = None) -> Layer:
    """Draw the weights of a convolution or linear map so that it keeps the variance of what it maps; bias 0.

    He et al. with a = 1, as released with TDNet. torch's own start keeps a third of the variance: a few such maps in
    a row, and the scores of queries and keys are so close to zero that attention weighs all positions alike.
    """
    nn.init.kaiming_normal_(layer.weight, a=1, generator=generator)  # type: ignore[arg-type]
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


@torch.no_grad()
def start_as_identity(conv: nn.Conv2d) -> bool:
    """Let a convolution map every feature to itself; False if it has other channels than its input."""
    if conv.in_channels != conv.out_channels:
        return False
    nn.init.dirac_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return True


def average_grid(x: Tensor, bins: int) -> Tensor:
    """Means over a grid of bins × bins parts: (B, C, h, w) -> (B, C, bins, bins).

    In graphs as products with matrices, for which sizes may be unknown.
    """
    if not torch.compiler.is_exporting():
        return F.adaptive_avg_pool2d(x, bins)
    rows, columns = (_shares(n, bins, x) for n in x.shape[-2:])
    return rows @ x @ columns.T


def _shares(size: int, bins: int, like: Tensor) -> Tensor:
    """(bins, size): what each of `size` positions counts in the mean of each bin, as in adaptive pooling."""
    bin_ = torch.arange(bins, device=like.device)[:, None]
    position = torch.arange(size, device=like.device)
    inside = (position >= bin_ * size // bins) & (position * bins < (bin_ + 1) * size)
    share = inside.to(like.dtype)
    return share / share.sum(1, keepdim=True)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of (B, C, h, w) to `size` = (height, width) with aligned corners, as everywhere in TDNet."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=True)
