"""Motion propagation: what was seen before is carried along the motion between frames, and averaged.

Ours, in place of the paper's attention, for paths that should agree with each other: an attention over the whole
picture cannot say where a thing has moved to as exactly as its mask has to stay on it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.models.layers import start_as_identity
from tdseg.models.propagation.base import Memory, PathView, Propagation, StateTensor


class MotionCode(NamedTuple):
    """A frame as it is compared with the one before, and averaged."""

    key: Tensor
    """(B, d_k, h, w): unit vectors."""
    value: Tensor
    """(B, d_v, h, w)"""


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

    def forward(self, view: PathView) -> MotionCode:
        """z (B, C_z, h, w) -> MotionCode. Keys are centred over the picture: their products are correlations."""
        key = self.key(view.feature)
        return MotionCode(F.normalize(key - key.mean((2, 3), keepdim=True), dim=1), self.value(view.feature))


class MotionPropagation(Propagation[MotionCode]):
    """A running mean of values along the motion of what they show.

    The motion of each cell is found by comparing its key with the earlier ones within reach: the mean of their
    displacements, weighted by a softmax of the correlations, which is finer than a cell. The earlier mean is sampled
    there. It counts by how well the keys agree, so that what was hidden or has gone is forgotten, and never for more
    than m-1 frames, as many as a TDNet of m paths remembers.

    It needs no training to work: keys that are a random projection of what a per-frame model sees keep its
    correlations, and the mean of values is a value. As it starts, what agrees by 0.9 counts half.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config, dropout)
        self.sharpness = nn.Parameter(torch.tensor(50.0))
        self.trust = nn.Parameter(torch.tensor([20.0, -18.0]))

    @staticmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        """See Propagation."""
        return MotionEncoder(channels, config.d_k, config.d_v)

    @staticmethod
    def layout(config: ModelConfig, cells: tuple[int, int]) -> tuple[StateTensor, ...]:
        """The key of the newest frame, the mean of the values it shows, and the number of frames that this is of."""
        channels = {"key": config.d_k, "value": config.d_v, "weight": 1}
        return tuple(StateTensor(name, (1, count, *cells)) for name, count in channels.items())

    def align(self, code: MotionCode, memory: Memory) -> Memory:
        """The mean, sampled where the frame's cells were before, and joined by the frame; the frames it then is of."""
        key, value, weight = memory
        motion, correlation = self.find(code.key, key)
        moved = sample(torch.cat([value, weight], 1), motion)
        slope, offset = self.trust
        value, frames = moved[:, :-1], moved[:, -1:].clamp(max=self.config.paths - 1)
        weight = torch.sigmoid(slope * correlation + offset) * frames
        return (code.value + weight * value) / (1 + weight), 1 + weight

    def merge(self, code: MotionCode, aligned: Memory) -> Tensor:
        """(B, d_v, h, w): the mean."""
        return aligned[0]

    def remember(self, code: MotionCode, aligned: Memory) -> Memory:
        """The mean, which stands for all frames before it, and the key that the next frame finds it by."""
        return code.key, *aligned

    def start_from_features(self, encoder: nn.Module) -> bool:
        """Values start as the sub-feature, of which the mean has the size."""
        assert isinstance(encoder, MotionEncoder)
        return isinstance(encoder.value, nn.Conv2d) and start_as_identity(encoder.value)

    def fuse(self, encoder: nn.Module) -> None:
        """Leave out a value map that maps every feature to itself, as `tdseg.add_memory` has it."""
        assert isinstance(encoder, MotionEncoder)
        value = encoder.value
        if not isinstance(value, nn.Conv2d) or value.in_channels != value.out_channels:
            return
        assert value.bias is not None
        identity = torch.eye(value.in_channels, device=value.weight.device)
        if torch.equal(value.weight[:, :, 0, 0], identity) and not value.bias.any():
            encoder.value = nn.Identity()

    def find(self, key: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Where each cell was in the earlier frame.

        Args:
            key, earlier: (B, d_k, h, w), of length one.

        Returns:
            Displacement (B, 2, h, w) in cells, x then y, to the earlier place; correlation (B, 1, h, w) there, -1 … 1.
        """
        r, (height, width) = self.config.reach, key.shape[-2:]
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
