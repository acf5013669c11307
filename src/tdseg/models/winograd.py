"""3x3 convolutions with a quarter of the multiplications, for CPUs, in plain torch.

Winograd's minimal filtering F(4x4, 3x3) makes 16 outputs of a 6x6 tile with 36 multiplications a channel instead of 144
(Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016). Its three transforms are matrices of the
points they interpolate at. The usual points 0, ±1, ±2 cost five times the rounding error of a plain convolution, about
1e-6 of the largest output; 0, ±2/3, ±3/2 cost hardly any.

A dilated convolution is d x d interleaved plain ones, so tiles simply take every d-th pixel.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)
_TILE, _STEP = 6, 4
_MOST_BYTES = 24 * 2**20
"""Of the tiles worked on at a time: they should stay in the cache between the transforms."""
_LEAST_CHANNELS = 128
_LEAST_TILES = 128
_MOST_WASTE = 1.6
"""With fewer channels or tiles, or more pixels in all tiles than this many times the picture's, a plain convolution is
faster."""


class Transforms(NamedTuple):
    """Matrices of one dimension, float64."""

    input: Tensor
    """(6, 6)"""
    filter: Tensor
    """(6, 3)"""
    output: Tensor
    """(4, 6)"""


def transforms(points: tuple[float, ...] = _POINTS) -> Transforms:
    """Toom-Cook interpolation at five points and infinity: correlation = output @ ((filter @ g) * (input @ d))."""
    input_, filter_, output = (torch.zeros(n, m, dtype=torch.float64) for n, m in ((6, 6), (6, 3), (4, 6)))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        input_[i, :5] = _polynomial(others)
        filter_[i] = point ** torch.arange(3, dtype=torch.float64) / prod(point - other for other in others)
        output[:, i] = point ** torch.arange(4, dtype=torch.float64)
    input_[5] = _polynomial(points)
    filter_[5, 2] = output[3, 5] = 1
    return Transforms(input_, filter_, output)


class WinogradConv2d(nn.Module):
    """The same as a 3x3 convolution of stride 1 that keeps the size, for inference, with five times the weights.

    A small picture, or one that tiles badly, is left to the convolution; so is one of lower precision, which would lose
    more of it here.

    Args:
        conv: a convolution for which `fits` is true.
    """

    weight: Tensor
    bias: Tensor
    input: Tensor
    output: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.dilation = conv.dilation[0]
        matrices = transforms()
        filters = torch.einsum("ai,kcij,bj->abck", matrices.filter, conv.weight.detach().double(), matrices.filter)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        dtype = conv.weight.dtype
        for name, value in {
            "weight": filters.flatten(0, 1),  # (36, C, K)
            "bias": bias,  # (K,)
            "input": torch.kron(matrices.input, matrices.input),  # (36, 36)
            "output": torch.kron(matrices.output, matrices.output),  # (16, 36)
        }.items():
            self.register_buffer(name, value.to(dtype).contiguous())

    @staticmethod
    def fits(conv: nn.Conv2d) -> bool:
        """Whether the convolution has the right form, and enough channels to gain."""
        d = conv.dilation[0]
        form = (conv.kernel_size, conv.stride, conv.dilation, conv.padding, conv.groups)
        return form == ((3, 3), (1, 1), (d, d), (d, d), 1) and min(conv.weight.shape[:2]) >= _LEAST_CHANNELS

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H, W), channels last in memory."""
        batch, channels, height, width = x.shape
        d, filters = self.dilation, self.weight.shape[2]
        down, across = (-(-n // (_STEP * d)) for n in (height, width))  # tiles of each of the d·d interleaved pictures
        rows, columns = down * _STEP * d, across * _STEP * d
        exact = x.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled(x.device.type)
        if not exact or not _LEAST_TILES * _STEP**2 <= rows * columns <= _MOST_WASTE * height * width:
            return self.conv(x)  # type: ignore[no-any-return]
        padded = _pad(x, (d, rows - height + d), (d, columns - width + d))
        out = x.new_empty(batch, down, _STEP, d, across, _STEP, d, filters)
        # Tile (i, j) starts at row 4·d·ty + dy and column 4·d·tx + dx, and takes every d-th pixel.
        line, pixel = padded.stride(1), padded.stride(2)
        strides = (d * line, d * pixel, _STEP * d * line, line, _STEP * d * pixel, pixel, 1)
        for image, result in zip(padded, out, strict=True):
            for ty, tys, dy, dys in self._blocks(down, across, channels):
                tiles = image.as_strided(
                    (_TILE, _TILE, tys, dys, across, d, channels),
                    strides,
                    image.storage_offset() + (_STEP * d * ty + dy) * line,
                )
                block = self._block(tiles.reshape(_TILE**2, -1, channels))
                block = block.view(_STEP, _STEP, tys, dys, across, d, filters).permute(2, 0, 3, 4, 1, 5, 6)
                result[ty : ty + tys, :, dy : dy + dys].copy_(block)
        return out.view(batch, rows, columns, filters)[:, :height, :width].permute(0, 3, 1, 2)

    def _block(self, tiles: Tensor) -> Tensor:
        """(36, T, C) -> (16, T, K)."""
        _, count, channels = tiles.shape
        spectrum = (self.input @ tiles.flatten(1)).view(_TILE**2, count, channels)
        product = torch.bmm(spectrum, self.weight)  # (36, T, K)
        return (self.output @ product.flatten(1)).view(_STEP**2, count, -1).add_(self.bias)

    def _blocks(self, down: int, across: int, channels: int) -> list[tuple[int, int, int, int]]:
        """Blocks worked on at a time: first tile row, number of them, first of the d row offsets, number of them."""
        d, filters = self.dilation, self.weight.shape[2]
        row = _TILE**2 * across * d * (2 * channels + filters) * self.weight.element_size()
        most = max(_MOST_BYTES // row, 1)
        tys, dys = max(most // d, 1), min(most, d)
        return [
            (ty, min(tys, down - ty), dy, min(dys, d - dy)) for ty in range(0, down, tys) for dy in range(0, d, dys)
        ]


def _pad(x: Tensor, vertical: tuple[int, int], horizontal: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, top + H + bottom, left + W + right, C), zeros around."""
    (top, bottom), (left, right) = vertical, horizontal
    batch, channels, height, width = x.shape
    padded = x.new_empty(batch, top + height + bottom, left + width + right, channels)
    padded[:, :top] = padded[:, top + height :] = 0  # F.pad would fill it all first
    padded[:, top : top + height, :left] = padded[:, top : top + height, left + width :] = 0
    padded[:, top : top + height, left : left + width] = x.permute(0, 2, 3, 1)
    return padded


def _polynomial(roots: tuple[float, ...]) -> Tensor:
    """Coefficients of Π (x - root), lowest power first."""
    coefficients = torch.ones(1, dtype=torch.float64)
    for root in roots:
        coefficients = F.pad(coefficients, (1, 0)) - root * F.pad(coefficients, (0, 1))
    return coefficients
