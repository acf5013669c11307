"""Motion propagation: what was seen before is carried along the motion between frames, and averaged.

Ours, in place of the paper's attention, for paths that should agree with each other: an attention over the whole
picture cannot say where a thing has moved to as exactly as its mask has to stay on it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.models.propagation.state import MotionMemory


class MotionEncoder(nn.Module):
    """Key and value maps of a sub-feature z.

    Args:
        channels: C_z, channels of z.
        d_k: channels of the key that motion is found by.
        d_v: channels of the value.
    """

    def __init__(self, channels: int, d_k: int, d_v: int) -> None:
        super().__init__()
        self.key = nn.Conv2d(channels, d_k, 1, bias=False)
        self.value: nn.Module = nn.Conv2d(channels, d_v, 1)
        nn.init.orthogonal_(self.key.weight)

    def fuse(self) -> None:
        """Leave out a value map that maps every feature to itself, as `tdseg.add_memory` has it, in place."""
        if not isinstance(self.value, nn.Conv2d) or self.value.in_channels != self.value.out_channels:
            return
        assert self.value.bias is not None
        if (
            torch.equal(self.value.weight[:, :, 0, 0], torch.eye(len(self.value.bias), device=self.value.bias.device))
            and not self.value.bias.any()
        ):
            self.value = nn.Identity()

    def forward(self, z: Tensor) -> tuple[None, Tensor, MotionMemory]:
        """(B, C_z, h, w) -> no query, V (B, d_v, h, w), and the frame as a memory of itself alone.

        Keys are centred over the picture and of length one, so that their products are correlations.
        """
        key = self.key(z)
        key = F.normalize(key - key.mean((2, 3), keepdim=True), dim=1)
        value = self.value(z)
        return None, value, MotionMemory(key, value, torch.ones_like(value[:, :1]))


class MotionPropagation(nn.Module):
    """A running mean of values along the motion of what they show.

    The motion of each cell is found by comparing its key with the earlier ones within reach: the mean of their
    displacements, weighted by a softmax of the correlations, which is finer than a cell. The earlier mean is sampled
    there. It counts by how well the keys agree, so that what was hidden or has gone is forgotten, and never for more
    than m-1 frames, as many as a TDNet of m paths remembers.

    It needs no training to work: keys that are a random projection of what a per-frame model sees keep its
    correlations, and the mean of values is a value. As it starts, what agrees by 0.9 counts half.

    Args:
        frames: m, the most frames that the mean stands for.
        reach: cells that a thing moves at most from one frame to the next, in each direction.
    """

    def __init__(self, frames: int, reach: int) -> None:
        super().__init__()
        self.frames = frames
        self.reach = reach
        self.sharpness = nn.Parameter(torch.tensor(50.0))
        self.trust = nn.Parameter(torch.tensor([20.0, -18.0]))

    def remember(self, own: MotionMemory, memory: tuple[MotionMemory, ...]) -> tuple[MotionMemory, ...]:
        """The memory after a frame, which is the mean itself: a tuple of one."""
        return (self._join(own, memory[-1]) if memory else own,)

    def merge(
        self, query: None, value: Tensor, memory: tuple[MotionMemory, ...], remembered: tuple[MotionMemory, ...]
    ) -> Tensor:
        """(B, d_v, h, w): the mean."""
        return remembered[-1].value

    def _join(self, own: MotionMemory, earlier: MotionMemory) -> MotionMemory:
        motion, correlation = self.find(own.key, earlier.key)
        moved = sample(torch.cat([earlier.value, earlier.weight], 1), motion)
        value, weight = moved[:, :-1], moved[:, -1:]
        slope, offset = self.trust
        weight = torch.sigmoid(slope * correlation + offset) * weight.clamp(max=self.frames - 1)
        return MotionMemory(own.key, (own.value + weight * value) / (1 + weight), 1 + weight)

    def find(self, key: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Where each cell was in the earlier frame.

        Args:
            key, earlier: (B, d_k, h, w), of length one.

        Returns:
            Displacement (B, 2, h, w) in cells, x then y, to the earlier place; correlation (B, 1, h, w) there, -1 … 1.
        """
        r, (height, width) = self.reach, key.shape[-2:]
        around = F.pad(earlier, (r, r, r, r))
        shifts = [(y, x) for y in range(2 * r + 1) for x in range(2 * r + 1)]
        scores = torch.stack([(key * around[:, :, y : y + height, x : x + width]).sum(1) for y, x in shifts], 1)
        inside = F.pad(key.new_ones(1, 1, height, width), (r, r, r, r))
        outside = 1 - torch.stack([inside[:, 0, y : y + height, x : x + width] for y, x in shifts], 1)
        weights = (self.sharpness * scores - 1e4 * outside).softmax(1)  # (B, shifts, h, w)
        places = torch.tensor([(x - r, y - r) for y, x in shifts], device=key.device, dtype=key.dtype)
        motion = torch.einsum("bshw,sc->bchw", weights, places)
        return motion, (weights * scores).sum(1, keepdim=True)


def sample(x: Tensor, motion: Tensor) -> Tensor:
    """Maps (B, C, h, w) at places displaced by `motion` (B, 2, h, w), in cells, x then y; bilinear."""
    height, width = x.shape[-2:]
    xs = torch.arange(width, device=x.device, dtype=motion.dtype) + motion[:, 0]
    ys = torch.arange(height, device=x.device, dtype=motion.dtype)[:, None] + motion[:, 1]
    grid = torch.stack([xs * (2 / max(width - 1, 1)) - 1, ys * (2 / max(height - 1, 1)) - 1], -1)
    return F.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=True)
