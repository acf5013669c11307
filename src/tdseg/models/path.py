"""One path of a TDNet: all that belongs to one turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from tdseg.config import PLAIN, FrameView, ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.head import Head
from tdseg.models.norm import make_norm
from tdseg.models.propagation import Propagation, kind_of
from tdseg.models.propagation.base import Code, Memory, PathView
from tdseg.models.subnets.base import SubFeature, SubNetwork

_LEAST_AUX_HIDDEN = 64
_SHARES = 240
"""Zooms are in steps of one of these."""


class Encoded(NamedTuple):
    """One frame as its own path sees it, before it meets the memory."""

    code: Code
    aux: Tensor | None
    """(B, aux_channels, h', w'), for the auxiliary head in training; None where the sub-network has none."""


class NetworkPath(nn.Module):
    """One path: its sub-network, the encoder and the merging of its propagation, its norm and head.

    In a per-frame model (m = 1) there is nothing to propagate, and the head reads the sub-feature itself.
    """

    encoder: nn.Module
    propagation: Propagation[Any]
    recompute = False
    """In training, compute the sub-network once more in the backward pass instead of storing what it passed through."""

    def __init__(self, config: ModelConfig, subnet: SubNetwork, *, aux: bool, dropout: float) -> None:
        super().__init__()
        self.subnet = subnet
        kind = kind_of(config)
        merges_features = config.paths > 1 and not kind.after_head
        self.encoder = kind.make_encoder(config, config.num_classes if kind.after_head else subnet.channels)
        self.propagation = kind(config, dropout)
        width = config.d_v if merges_features else subnet.channels
        self.width = config.num_classes if kind.after_head else width
        self.scale = config.head_upscale
        self.norm = make_norm(config.norm, width, config.norm_size)
        self.head = Head(config.head, width, config.head_channels, config.num_classes, config.head_upscale, dropout)
        seen = getattr(subnet, "aux_channels", 0) if aux else 0
        hidden = max(seen // 4, _LEAST_AUX_HIDDEN)  # a quarter, as in the released code
        self.aux_head = Head(config.head, seen, hidden, config.num_classes, dropout=dropout) if seen else None

    def encode(self, x: Tensor, view: FrameView = PLAIN) -> Encoded:
        """(B, 3, H, W), normalised, and how to see it -> Encoded: most of the work of a turn, and without memory."""
        cells = self._cells(x)
        seen = x if view == PLAIN else _seen(x, [side * self.subnet.stride for side in _zoomed(cells, view.zoom)], view)
        if self.recompute and torch.is_grad_enabled():
            feature = checkpoint(self.subnet, seen, use_reentrant=False, context_fn=self._recomputation)
        else:
            feature = self.subnet(seen)
        z, aux = feature if isinstance(feature, SubFeature) else (feature, None)
        self._check_feature(seen, z)
        if self.propagation.after_head:
            z = self._scores(z)
        if view != PLAIN:
            z = _seen(z, [self.scale * side for side in cells], view)
            aux = None if aux is None else _seen(aux, cells, view)
        code = self.encoder(PathView(x, z))
        self._check_value(code.value)
        return Encoded(code, aux)

    def turn(self, code: Code, memory: Memory, *, scored: bool = True) -> tuple[Tensor | None, Memory]:
        """The rest of a turn: logits (B, C, u·h, u·w), None unless `scored`, and the memory after the frame."""
        aligned = self.propagation.align(code, memory)
        logits = self.classify(self.propagation.merge(code, aligned)) if scored else None
        return logits, self.propagation.remember(code, aligned)

    def classify(self, merged: Tensor) -> Tensor:
        """Logits (B, C, u·h, u·w) of merged features, or of a frame's own values: (B, width, h, w)."""
        return merged if self.propagation.after_head else self._scores(merged)

    def _scores(self, feature: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(feature))
        return logits

    def _check_value(self, value: Tensor) -> None:
        if value.shape[1] != self.width:
            raise ConfigError(
                f"{type(self.encoder).__name__} made values of {value.shape[1]} channels",
                expected=f"{self.width}: d_v, or the classes where propagation comes after the head",
                do="map the features to that number in the encoder",
            )

    def _recomputation(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _without_statistics(self.subnet)

    def _cells(self, x: Tensor) -> list[int]:
        """[h, w] of z for frames (B, 3, H, W)."""
        return [-(-side // self.subnet.stride) for side in x.shape[-2:]]

    def _check_feature(self, x: Tensor, z: Tensor) -> None:
        height, width = self._cells(x)
        if z.shape != (len(x), self.subnet.channels, height, width):
            raise ConfigError(
                f"{type(self.subnet).__name__} made z of shape {tuple(z.shape)} from frames of {tuple(x.shape)}",
                expected=f"(B, channels, ceil(H / stride), ceil(W / stride)), so {len(x)}, {self.subnet.channels}, "
                f"{height}, {width}",
                do="correct the sub-network's channels and stride, or resize its output",
            )


def _zoomed(cells: list[int], zoom: float) -> list[int]:
    """Cells of a frame that is zoomed: the nearest number, in integers, as sizes may be unknown in a graph."""
    share = round(zoom * _SHARES)
    return [(side * share + _SHARES // 2) // _SHARES for side in cells]


def _seen(x: Tensor, size: list[int], view: FrameView) -> Tensor:
    """Maps (B, C, h, w) at another size, and mirrored where the view is: to it, and back from it."""
    if list(x.shape[-2:]) != size:
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)
    return x.flip(-1) if view.mirror else x


@contextmanager
def _without_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms see their batch as ever, but do not count it a second time."""
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm, (_, count) in zip(norms, before, strict=True):
        norm.momentum, norm.num_batches_tracked = 0.0, count if count is None else count.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
