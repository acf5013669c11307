"""A textured picture that is panned over: motion is known at every place, as what is seen moves as one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 64


def pan(count: int, step: tuple[int, int] = (0, 0), size: tuple[int, int] = (96, 128), seed: int = 0) -> Tensor:
    """(1, T, 3, H, W) in 0 … 255, whole numbers: coarse and fine texture that moves by (y, x) pixels a frame."""
    height, width = (n + 2 * _REACH for n in size)
    generator = torch.Generator().manual_seed(seed)
    wide = torch.full((1, 3, height, width), 128.0)
    for grain in (32, 16, 8, 4):  # as in photographs, the finer the weaker
        grey, colours = (torch.randn(1, n, height // grain, width // grain, generator=generator) for n in (1, 3))
        wide += 1.5 * grain * F.interpolate(grey + 0.3 * colours, (height, width), mode="bicubic")
    wide = wide.clamp(0, 255).round()
    starts = [(_REACH - t * step[0], _REACH - t * step[1]) for t in range(count)]
    return torch.stack([wide[:, :, y : y + size[0], x : x + size[1]] for y, x in starts], 1)
