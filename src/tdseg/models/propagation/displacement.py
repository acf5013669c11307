"""Motion of a picture between two frames: where each cell of the class scores was in the frame before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.models.layers import resize

FINENESS = 4
"""Pixels of the grey pictures that motion is found in, to a side of a position of z: 1/2 of the input for z at 1/8."""
_CLAMP = 40.0
"""Largest difference that counts, grey levels: what one picture hides shall not outweigh what both show."""
_SIGMA = 20.0
"""Difference of brightness at which what was seen before counts 1/e, grey levels."""


class MotionField(NamedTuple):
    """Motion back to the frame before, at the resolution of the class scores."""

    displacement: Tensor
    """(B, 2, u·h, u·w), its cells, x then y: what is here now was there before. 0 where the picture stands still."""
    validity: Tensor
    """(B, 1, u·h, u·w), 0 … 1: how far the frame before shows the same there."""


class MotionSource(nn.Module, ABC):
    """Finds motion in small grey pictures. It is not trained, and computes in float32."""

    @abstractmethod
    def find(self, now: Tensor, before: Tensor, scale: int) -> MotionField:
        """Motion from the picture now to the one before.

        Args:
            now, before: (B, 1, FINENESS·h, FINENESS·w), 0 … 255, float32.
            scale: u, of the field.
        """

    @torch.no_grad()
    def forward(self, now: Tensor, before: Tensor, scale: int) -> MotionField:
        """`find`, whatever the precision around it."""
        with _without_autocast(now.device.type):
            return self.find(now.float(), before.float(), scale)


class BlockMatching(MotionSource):
    """Sums of absolute differences, from coarse to fine: plain operations on tensors, for every runtime.

    At each level all shifts within reach are compared over a window around each position, and the displacement is their
    mean, weighted by a softmax of the differences, so it is finer than a pixel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([_Level(1, 3, 7), _Level(2, 1, 8), _Level(4, 1, 12)])

    def find(self, now: Tensor, before: Tensor, scale: int) -> MotionField:
        """See MotionSource."""
        motion: Tensor | None = None
        for level in self.levels:
            assert isinstance(level, _Level)
            motion = level(_shrunk(now, level.fineness), _shrunk(before, level.fineness), motion)
        assert motion is not None
        motion = scale * resized(motion, scale)
        return MotionField(motion, _validity(now, before, motion, scale))


class _Level(nn.Module):
    """One level of the pyramid.

    Args:
        fineness: pixels of its pictures to a side of a position of z.
        reach: pixels, in each direction.
        window: side of the window, pixels; fineness + an even number.
    """

    kernels: Tensor
    places: Tensor

    def __init__(self, fineness: int, reach: int, window: int) -> None:
        super().__init__()
        self.fineness, self.reach, self.window = fineness, reach, window
        side = 2 * reach + 1
        kernels = torch.zeros(side * side, 2, side, side)  # each is the picture now less the one before, shifted
        kernels[:, 1] = -torch.eye(side * side).view(-1, side, side)
        kernels[:, 0, reach, reach] = 1
        y, x = (torch.arange(side) - reach).repeat_interleave(side), (torch.arange(side) - reach).repeat(side)
        self.register_buffer("kernels", kernels, persistent=False)
        self.register_buffer("places", torch.stack([x, y]).float()[:, :, None, None], persistent=False)

    def forward(self, now: Tensor, before: Tensor, motion: Tensor | None) -> Tensor:
        """Pictures (B, 1, f·h, f·w), and what is known so far -> motion (B, 2, h, w) in positions of z."""
        if motion is not None:
            before = carried(before, self.fineness * resized(motion, self.fineness))
        pad = (self.reach,) * 4
        around = F.pad(torch.cat([now, before], 1), pad, mode="replicate")
        difference = F.conv2d(around, self.kernels.float()).abs().clamp(max=_CLAMP)
        margin = (self.window - self.fineness) // 2
        cost = F.avg_pool2d(difference, self.window, self.fineness, margin, count_include_pad=False)
        places = self.places.float()
        far = 0.05 * places.square().sum(0)[None].sqrt()
        found = F.conv2d((-cost - far).softmax(1), places) / self.fineness
        still = cost[:, cost.shape[1] // 2, None] <= cost.amin(1, keepdim=True)
        found = F.avg_pool2d(torch.where(still, 0.0, found), 3, 1, 1, count_include_pad=False)
        return found if motion is None else motion + found


def carried(x: Tensor, displacement: Tensor, padding: str = "border") -> Tensor:
    """Maps (B, C, h, w) at places displaced by (B, 2, h, w), in cells, x then y; bilinear."""
    height, width = x.shape[-2:]
    xs = torch.arange(width, device=x.device, dtype=displacement.dtype) + displacement[:, 0]
    ys = torch.arange(height, device=x.device, dtype=displacement.dtype)[:, None] + displacement[:, 1]
    grid = torch.stack([xs * (2 / max(width - 1, 1)) - 1, ys * (2 / max(height - 1, 1)) - 1], -1)
    return F.grid_sample(x, grid.to(x.dtype), padding_mode=padding, align_corners=True)


def resized(motion: Tensor, scale: int) -> Tensor:
    """A map (B, C, h, w) -> (B, C, scale·h, scale·w)."""
    return resize(motion, (scale * motion.shape[-2], scale * motion.shape[-1]))


def _shrunk(picture: Tensor, fineness: int) -> Tensor:
    return F.avg_pool2d(picture, FINENESS // fineness) if fineness < FINENESS else picture


def _validity(now: Tensor, before: Tensor, motion: Tensor, scale: int) -> Tensor:
    """exp(-(d / σ)²), d the difference of brightness along the motion, a 3x3 mean."""
    size = (motion.shape[-2], motion.shape[-1])
    small = [resize(_shrunk(picture, 2), size) for picture in (now, before)]
    difference = F.avg_pool2d((small[0] - carried(small[1], motion)).abs(), 3, 1, 1, count_include_pad=False)
    return (-(difference / _SIGMA).square()).exp()


def _without_autocast(device: str) -> AbstractContextManager[object]:
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
