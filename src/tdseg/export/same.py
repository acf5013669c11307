"""Strided convolutions that pad as TensorFlow's "SAME" does, which ONNX has a word for: no arithmetic of sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tdseg.models.layers import ConvNorm, pad_same


class SameConv2d(nn.Module):
    """A strided convolution with its padding.

    Args:
        conv: with a square kernel, and no padding of its own.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, K, ceil(h / stride), ceil(w / stride))."""
        conv = self.conv
        return torch.ops.tdseg.conv_same(x, conv.weight, conv.bias, conv.stride[0], conv.groups)  # type: ignore[no-any-return]


def use_same(module: nn.Module) -> None:
    """Put a SameConv2d wherever a module pads as "SAME" does, in place."""
    for child in module.modules():
        if isinstance(child, ConvNorm) and child.same and isinstance(child.conv, nn.Conv2d):
            child.conv, child.same = SameConv2d(child.conv), None


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """The operators that torch.onnx.export writes for it."""
    from onnxscript import opset18

    def conv_same(x: Any, weight: Any, bias: Any, stride: int, groups: int) -> Any:
        return opset18.Conv(x, weight, bias, auto_pad="SAME_UPPER", group=groups, strides=(stride, stride))

    return {torch.ops.tdseg.conv_same.default: conv_same}


@torch.library.custom_op("tdseg::conv_same", mutates_args=())
def _conv_same(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    padded = pad_same(x, weight.shape[-1], stride)
    return torch.nn.functional.conv2d(padded, weight, bias, stride, groups=groups)


@_conv_same.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    height, width = ((n + stride - 1) // stride for n in x.shape[-2:])
    return x.new_empty(len(x), len(weight), height, width)
