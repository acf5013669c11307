"""Attention propagation: how a frame reads what the other paths saw in the frames before it.

Hu et al., "Temporally Distributed Networks for Fast Video Semantic Segmentation", CVPR 2020, section 3.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.models.layers import ConvNorm, start_as_identity, start_unscaled
from tdseg.models.propagation.base import Memory, PathView, Propagation, StateTensor

_BLOCK = 1024
"""Queries at a time, on a CPU."""


class AttentionCode(NamedTuple):
    """A frame as attention takes it."""

    query: Tensor
    """Q, (B, d_k, h, w)."""
    value: Tensor
    """V, (B, d_v, h, w)."""
    key: Tensor
    """(B, n, d_k), only at the n = h'·w' positions that the memory keeps."""


class AttentionEncoder(nn.Module):
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
        self.value = start_unscaled(nn.Conv2d(channels, d_v, 1))

    def forward(self, view: PathView) -> AttentionCode:
        """z (B, C_z, h, w) -> AttentionCode. The key is computed only where it is kept."""
        z, n = view.feature, self.stride
        return AttentionCode(self.query(z), self.value(z), tokens(self.key(z[:, :, ::n, ::n])))


class AttentionPropagation(Propagation[AttentionCode]):
    """Carry values from the oldest frame in memory to the newest frame, one attention hop per frame.

    Every hop i has its own map φ_i, a 1x1 convolution of the attended values. It is applied to the values *before*
    attention: the rows of a softmax sum to one, so the result is the same, and φ sees the few positions of the memory
    instead of all positions of the newest frame. 1x1 convolutions commute with subsampling, too: the memory's queries
    and values are slices of Q and V.

    A frame that fewer than m-1 others precede uses its own values alone, as in the paper's code. Dropout is on
    attention weights and on the output of φ.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.1) -> None:
        super().__init__(config, dropout)
        self.phi = nn.ModuleList(start_unscaled(nn.Linear(config.d_v, config.d_v)) for _ in range(config.paths - 1))

    @staticmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        """See Propagation."""
        return AttentionEncoder(channels, config.d_k, config.d_v, config.memory_stride)

    @staticmethod
    def layout(config: ModelConfig, cells: tuple[int, int]) -> tuple[StateTensor, ...]:
        """m-1 slots of query, key and value, the oldest first, and the number of them that are filled.

        The newest frame asks with its whole query, so where m = 2 no query is kept.
        """
        slots, (rows, columns) = config.paths - 1, (-(-n // config.memory_stride) for n in cells)
        asked = ("query", config.d_k), ("key", config.d_k), ("value", config.d_v)
        kept = asked if slots > 1 else asked[1:]
        tensors = (StateTensor(name, (1, slots, rows * columns, channels)) for name, channels in kept)
        return (*tensors, StateTensor("frames", (1, 1, 1)))

    def merge(self, code: AttentionCode, aligned: Memory) -> Tensor:
        """V + A, (B, d_v, h, w): a frame's values with what the memory before it says."""
        *query, key, value, frames = aligned
        filled = (frames >= len(self.phi)).to(value.dtype)
        propagated = torch.zeros_like(value[:, 0])
        for hop, phi in list(enumerate(self.phi))[self.left_out :]:
            newest = hop + 1 == len(self.phi)
            asking = tokens(code.query) if newest else query[0][:, hop + 1]
            propagated = self._hop(asking, key[:, hop], propagated + value[:, hop], phi, filled)
        if self.left_out == len(self.phi):
            return code.value
        return code.value + propagated.transpose(1, 2).reshape(code.value.shape)

    def remember(self, code: AttentionCode, aligned: Memory) -> Memory:
        """The slots without the oldest, and the frame's own as the newest."""
        n = self.config.memory_stride
        *slots, frames = aligned
        query, value = (tokens(x[:, :, ::n, ::n]) for x in (code.query, code.value))
        own = (query, code.key, value)[-len(slots) :]
        moved = (torch.cat([old[:, 1:], new[:, None]], 1) for old, new in zip(slots, own, strict=True))
        return (*moved, (frames + 1).clamp(max=len(self.phi)))

    @torch.no_grad()
    def readings(self, code: AttentionCode, memory: Memory) -> dict[str, Tensor]:
        """How many positions of the frame before a query reads: exp of the entropy of its weights, 1 … h'·w'.

        The mean over the queries that the memory would keep. All positions alike mean that nothing is looked for.
        """
        n = self.config.memory_stride
        weights = _weights(tokens(code.query[:, :, ::n, ::n]).float(), memory[-3][:, -1].float())
        return {"effective_keys": torch.special.entr(weights).sum(-1).exp().mean()}

    @torch.no_grad()
    def start_from_features(self, encoder: nn.Module) -> bool:
        """Queries and keys start as one projection, that of all paths, so that a position first attends to what looks
        alike.

        Each hop starts as the mean of what it receives and of the frame's own values, and the last gives half of it.
        Values start as the sub-feature, scaled so that values and memory together have its size.
        """
        assert isinstance(encoder, AttentionEncoder)
        if not start_as_identity(encoder.value):
            return False
        encoder.value.weight /= 1 + 0.5 * (1 - 0.5 ** len(self.phi))
        same = torch.Generator().manual_seed(0)
        for conv in (module for module in encoder.query.modules() if isinstance(module, nn.Conv2d)):
            start_unscaled(conv, same)
        encoder.key.load_state_dict(encoder.query.state_dict())
        for i, hop in enumerate(self.phi):
            assert isinstance(hop, nn.Linear)
            hop.weight.copy_(torch.eye(hop.in_features) * (0.25 if i == len(self.phi) - 1 else 0.5))
            hop.bias.zero_()
        return True

    def _hop(self, query: Tensor, key: Tensor, value: Tensor, phi: nn.Module, filled: Tensor) -> Tensor:
        """φ(softmax(query keyᵀ/√d_k) value): (B, n, d_k), (B, l, d_k), (B, l, d_v) -> (B, n, d_v); 0 if not filled."""
        assert isinstance(phi, nn.Linear)
        drop = self.dropout if self.training else 0.0
        mapped = F.linear(value, phi.weight) * filled
        return F.dropout(attend(query, key, mapped, drop) + phi.bias * filled, drop)  # (B, n_query, d_v)


def attend(query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(query keyᵀ / √d_k) value: (B, n, d_k), (B, l, d_k), (B, l, d_v) -> (B, n, d_v).

    torch's attention, except for inference on a CPU and in exported graphs: its fast kernel wants d_k = d_v and the
    general one writes the (n, l) weights to main memory, so the queries come in blocks whose weights stay in the cache.
    """
    learning = dropout > 0 or (torch.is_grad_enabled() and query.requires_grad)
    compiling = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if learning or query.device.type != "cpu" or compiling:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    whole = isinstance(query.shape[1], torch.SymInt)  # a graph of any size has no number of blocks
    parts = (query,) if whole else torch.split(query, _BLOCK, dim=1)
    return torch.cat([_weights(part, key) @ value for part in parts], dim=1)


def _weights(query: Tensor, key: Tensor) -> Tensor:
    """softmax(query keyᵀ / √d_k): (B, n, d_k), (B, l, d_k) -> (B, n, l)."""
    scores: Tensor = query @ (key.transpose(1, 2) * query.shape[2] ** -0.5)
    return scores.softmax(-1)


def tokens(x: Tensor) -> Tensor:
    """(B, c, h, w) -> (B, h·w, c)."""
    return x.flatten(2).transpose(1, 2)


def _projection(channels: int, d_k: int) -> nn.Sequential:
    mapped = ConvNorm(channels, d_k, act=nn.LeakyReLU(0.01, inplace=True), bias=True)
    start_unscaled(mapped.conv)
    return nn.Sequential(mapped, start_unscaled(nn.Conv2d(d_k, d_k, 1)))
