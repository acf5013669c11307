"""Attention propagation: how a frame reads what the other paths saw in the frames before it.

Hu et al., "Temporally Distributed Networks for Fast Video Semantic Segmentation", CVPR 2020, section 3.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.models.layers import ConvNorm
from tdseg.models.propagation.state import FrameMemory

_BLOCK = 1024
"""Queries at a time, on a CPU."""


class Encoder(nn.Module):
    """Query, key and value maps of a sub-feature z.

    Args:
        channels: C_z, channels of z.
        d_k: channels of query and key.
        d_v: channels of the value.
        stride: memory stride n, the spatial subsampling of what later frames keep.
    """

    def __init__(self, channels: int, d_k: int, d_v: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.query = _projection(channels, d_k)
        self.key = _projection(channels, d_k)
        self.value = nn.Conv2d(channels, d_v, 1)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, FrameMemory]:
        """(B, C_z, h, w) -> Q (B, d_k, h, w), V (B, d_v, h, w), and the frame's memory at 1/n of the resolution.

        1x1 convolutions commute with subsampling: the memory's query and value are slices of Q and V, and the key is
        computed only where it is kept.
        """
        n = self.stride
        query, value = self.query(z), self.value(z)
        key = self.key(z[:, :, ::n, ::n])
        return query, value, FrameMemory(tokens(query[:, :, ::n, ::n]), tokens(key), tokens(value[:, :, ::n, ::n]))


class Propagation(nn.Module):
    """Carry values from the oldest frame in memory to the newest frame, one attention hop per frame.

    Every hop i has its own map φ_i, a 1x1 convolution of the attended values. It is applied to the values *before*
    attention: the rows of a softmax sum to one, so the result is the same, and φ sees the few positions of the memory
    instead of all positions of the newest frame.

    Args:
        d_v: channels of the values.
        hops: number of hops, m-1.
        dropout: probability, on attention weights and on the output of φ, in training.
        partial: propagate through a memory of fewer than `hops` frames, too; otherwise one with fewer is alone.
    """

    def __init__(self, d_v: int, hops: int, *, dropout: float = 0.1, partial: bool = True) -> None:
        super().__init__()
        self.partial = partial
        self.phi = nn.ModuleList(nn.Linear(d_v, d_v) for _ in range(hops))
        self.dropout = dropout

    def remember(self, own: FrameMemory, memory: tuple[FrameMemory, ...]) -> tuple[FrameMemory, ...]:
        """The memory after a frame: at most as many frames as there are hops, oldest first."""
        return (*memory, own)[-len(self.phi) :]

    def merge(
        self, query: Tensor, value: Tensor, memory: tuple[FrameMemory, ...], remembered: tuple[FrameMemory, ...]
    ) -> Tensor:
        """V + A, (B, d_v, h, w): a frame's values with what the memory before it says."""
        if not memory or (len(memory) < len(self.phi) and not self.partial):
            return value
        propagated: Tensor = self(query, memory)
        return value + propagated

    def forward(self, query: Tensor, memory: tuple[FrameMemory, ...]) -> Tensor:
        """Read the memory with the newest frame's query.

        Args:
            query: Q of the newest frame, (B, d_k, h, w).
            memory: 1 … m-1 frames, oldest first. With fewer than m-1, the hops nearest to the newest frame are used.

        Returns:
            A: (B, d_v, h, w).
        """
        queries = [slot.query for slot in memory[1:]] + [tokens(query)]
        propagated: Tensor | float = 0.0
        for slot, hop_query, phi in zip(memory, queries, self.phi[-len(memory) :], strict=True):
            propagated = self.hop(hop_query, slot.key, propagated + slot.value, phi)
        assert isinstance(propagated, Tensor)
        return propagated.transpose(1, 2).reshape(len(query), -1, *query.shape[-2:])  # (B, d_v, h, w)

    def hop(self, query: Tensor, key: Tensor, value: Tensor, phi: nn.Module) -> Tensor:
        """φ(softmax(query keyᵀ / √d_k) value): (B, n, d_k), (B, l, d_k), (B, l, d_v) -> (B, n, d_v)."""
        assert isinstance(phi, nn.Linear)
        drop = self.dropout if self.training else 0.0
        mapped = F.linear(value, phi.weight)
        return F.dropout(attend(query, key, mapped, drop) + phi.bias, drop)  # (B, n_query, d_v)


def attend(query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(query keyᵀ / √d_k) value: (B, n, d_k), (B, l, d_k), (B, l, d_v) -> (B, n, d_v).

    torch's attention, except for inference on a CPU and in exported graphs: its fast kernel wants d_k = d_v and the
    general one writes the (n, l) weights to main memory, so the queries come in blocks whose weights stay in the cache.
    """
    learning = dropout > 0 or (torch.is_grad_enabled() and query.requires_grad)
    compiling = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if learning or query.device.type != "cpu" or compiling:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    transposed = key.transpose(1, 2) * query.shape[2] ** -0.5  # (B, d_k, l)
    whole = isinstance(query.shape[1], torch.SymInt)  # a graph of any size has no number of blocks
    parts = (query,) if whole else torch.split(query, _BLOCK, dim=1)
    blocks = [(part @ transposed).softmax(-1) @ value for part in parts]
    return torch.cat(blocks, dim=1)


def tokens(x: Tensor) -> Tensor:
    """(B, c, h, w) -> (B, h·w, c)."""
    return x.flatten(2).transpose(1, 2)


def _projection(channels: int, d_k: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(channels, d_k, act=nn.LeakyReLU(0.01, inplace=True), bias=True),
        nn.Conv2d(d_k, d_k, 1),
    )
