"""One path of a TDNet: all that belongs to one turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.head import Head
from tdseg.models.norm import make_norm
from tdseg.models.propagation.attention import Encoder, Propagation
from tdseg.models.propagation.motion import MotionEncoder, MotionPropagation
from tdseg.models.propagation.state import FrameMemory, Memory, MotionMemory
from tdseg.models.subnets.base import SubFeature, SubNetwork

_AUX_HIDDEN = 64


class Encoded(NamedTuple):
    """One frame as its own path sees it."""

    query: Tensor | None
    """Q, (B, d_k, h, w), of attention; None without."""
    value: Tensor
    """V, (B, d_v, h, w)."""
    memory: FrameMemory | MotionMemory | None
    """What later frames need of it; None in a per-frame model."""
    aux: Tensor | None
    """(B, aux_channels, h', w'), for the auxiliary head in training; None where the sub-network has none."""


class NetworkPath(nn.Module):
    """One path: its sub-network, its query/key/value encoder, its propagation hops, its norm and head.

    In a per-frame model (m = 1) there is nothing to propagate, and the head reads the sub-feature itself.
    """

    encoder: Encoder | MotionEncoder
    propagation: Any
    """Propagation or MotionPropagation: each remembers and merges what the encoder beside it makes."""
    recompute = False
    """In training, compute the sub-network once more in the backward pass instead of storing what it passed through."""

    def __init__(self, config: ModelConfig, subnet: SubNetwork, *, aux: bool, dropout: float) -> None:
        super().__init__()
        self.subnet = subnet
        self.temporal = config.paths > 1
        width = config.d_v if self.temporal else subnet.channels
        if self.temporal and config.propagation == "motion":
            self.encoder = MotionEncoder(subnet.channels, config.d_k, config.d_v)
            self.propagation = MotionPropagation(config.paths, config.reach)
        elif self.temporal:
            self.encoder = Encoder(subnet.channels, config.d_k, config.d_v, config.memory_stride)
            self.propagation = Propagation(
                config.d_v, config.paths - 1, dropout=dropout, partial=config.warmup != "independent"
            )
        self.norm = make_norm(config.norm, width, config.norm_size)
        self.head = Head(config.head, width, config.head_channels, config.num_classes, config.head_upscale, dropout)
        aux_channels = getattr(subnet, "aux_channels", 0) if aux else 0
        self.aux_head = (
            Head(config.head, aux_channels, _AUX_HIDDEN, config.num_classes, dropout=dropout) if aux_channels else None
        )

    def encode(self, x: Tensor) -> Encoded:
        """(B, 3, H, W), normalised -> Encoded."""
        if self.recompute and torch.is_grad_enabled():
            feature = checkpoint(self.subnet, x, use_reentrant=False, context_fn=self._recomputation)
        else:
            feature = self.subnet(x)
        z, aux = feature if isinstance(feature, SubFeature) else (feature, None)
        self._check_feature(x, z)
        if not self.temporal:
            return Encoded(None, z, None, aux)
        query, value, memory = self.encoder(z)
        return Encoded(query, value, memory, aux)

    def remember(self, encoded: Encoded, memory: Memory) -> Memory:
        """The memory after a frame."""
        if encoded.memory is None:
            return ()
        remembered: Memory = self.propagation.remember(encoded.memory, memory)
        return remembered

    def merge(self, encoded: Encoded, memory: Memory, remembered: Memory) -> Tensor:
        """(B, d_v, h, w): a frame brought together with the memory before it; `remembered` is the memory after it."""
        if encoded.memory is None:
            return encoded.value
        merged: Tensor = self.propagation.merge(encoded.query, encoded.value, memory, remembered)
        return merged

    def classify(self, feature: Tensor) -> Tensor:
        """Merged features, or a frame's own values, to logits: (B, width, h, w) -> (B, C, u·h, u·w)."""
        logits: Tensor = self.head(self.norm(feature))
        return logits

    def _recomputation(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _without_statistics(self.subnet)

    def _check_feature(self, x: Tensor, z: Tensor) -> None:
        stride = self.subnet.stride
        height, width = (-(-n // stride) for n in x.shape[-2:])
        if z.shape != (len(x), self.subnet.channels, height, width):
            raise ConfigError(
                f"{type(self.subnet).__name__} made z of shape {tuple(z.shape)} from frames of {tuple(x.shape)}",
                expected=f"(B, channels, ceil(H / stride), ceil(W / stride)), so {len(x)}, {self.subnet.channels}, "
                f"{height}, {width}",
                do="correct the sub-network's channels and stride, or resize its output",
            )


@contextmanager
def _without_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms see their batch as ever, but do not count it a second time."""
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
