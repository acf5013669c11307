"""TDNet: sub-networks that take turns on the frames of a video and share what they saw by attention.

Hu et al., "Temporally Distributed Networks for Fast Video Semantic Segmentation", CVPR 2020,
doi:10.1109/CVPR42600.2020.00884.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.layers import ConvNorm, resize
from tdseg.models.norm import SpatialLayerNorm
from tdseg.models.path import Encoded, NetworkPath
from tdseg.models.propagation.motion import MotionEncoder
from tdseg.models.propagation.state import Memory, TDNetState
from tdseg.models.subnets import SubNetwork, make_subnetwork

MIN_SIZE = 64


class ClipOutput(NamedTuple):
    """What `TDNet.forward_clip` gives for a clip of T frames, of which S are scored (T, or 1 for score="last")."""

    logits: Tensor
    """(B, S, C, H, W) at the input's size."""
    state: TDNetState
    """State after the last frame."""
    head_logits: Tensor | None = None
    """(B, S, C, u·h, u·w): the logits before they were resized, at the resolution of the head; in training only."""
    sub_logits: Tensor | None = None
    """(B, S, C, h, w) of each frame without propagation, at the resolution of the head; in training only."""
    aux_logits: Tensor | None = None
    """(B, S, C, h', w') of the auxiliary head, at its own stride; in training only."""


class TDNet(nn.Module):
    """A temporally distributed network of m paths; m = 1 is a per-frame model with the same interface.

    Frame t runs path t mod m. The module holds weights only: state goes in and comes out, so one model serves any
    number of videos, from any number of threads.

    Args:
        config: the architecture.
        aux: add the auxiliary heads that training uses; checkpoints leave them out.
        dropout: probability in training, in the heads, on attention weights and on what a hop gives.
        make: makes the sub-network of a path; for subnet="custom", and for nothing else.

    Raises:
        ConfigError: `make` is missing or too much, or makes something without channels and stride.
    """

    runtime = "torch"
    fixed_size: tuple[int, int] | None = None
    multiple_of = 1
    encodes_apart = True

    def __init__(
        self,
        config: ModelConfig,
        *,
        aux: bool = False,
        dropout: float = 0.1,
        make: Callable[[], SubNetwork] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        count = 1 if config.shared_paths else config.paths
        self.paths = nn.ModuleList(
            NetworkPath(config, _subnetwork(config, path, make), aux=aux, dropout=dropout) for path in range(count)
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def computes_on(self) -> str:
        """The device, by name."""
        return str(self.device)

    @property
    def precision(self) -> str:
        """Of the weights: fp32, fp16, bf16."""
        dtype = next(self.parameters()).dtype
        return {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype, f"fp{8 * dtype.itemsize}")

    @property
    def distinct_paths(self) -> int:
        """Number of paths with weights of their own: m, or 1 where paths share them."""
        return len(self.paths)

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 RGB images (..., 3, H, W) -> float network input of the same shape, on the model's device."""
        weight = next(self.parameters())
        mean, std = _normalization(self.config.mean, self.config.std, weight.device, weight.dtype)
        x: Tensor = (images.to(weight.device, non_blocking=True).to(weight.dtype) - mean) / std  # cast where it is fast
        return x

    def initial_state(self, path: int | None = None) -> TDNetState:
        """An empty memory whose first frame runs `path` (0 … m-1; None: 0)."""
        path = path or 0
        if not 0 <= path < self.config.paths:
            raise ConfigError(
                f"path={path} for {self.config.name}",
                expected=f"0 … {self.config.paths - 1}",
                do="start from a path the model has",
            )
        return TDNetState(path, ())

    def encode(self, x: Tensor, path: int) -> Encoded:
        """What path `path` sees of a frame (B, 3, H, W), normalised: most of the work of a step, and without state.

        So several frames can be encoded at once, before their turn.
        """
        self._check_frames(x, 4)
        return self._path(path).encode(x)

    def advance(
        self, x: Tensor, state: TDNetState | None = None, encoded: Encoded | None = None
    ) -> tuple[Tensor, TDNetState]:
        """One frame, at the resolution of the features.

        Args:
            x: (B, 3, H, W), normalised, H and W of at least 64.
            state: what the previous call returned; None starts anew.
            encoded: `encode(x, state.path)`, where it was done ahead.

        Returns:
            Logits (B, C, u·h, u·w) with u = config.head_upscale and h × w the size of z, 1/8 of the input's unless the
            sub-network has another stride; and the state for the next frame. The state given is unchanged.

        Raises:
            ConfigError: x has another shape, or the state does not fit its batch and its number of feature positions.
        """
        state = self.initial_state() if state is None else state
        encoded = self.encode(x, state.path) if encoded is None else encoded
        path = self._path(state.path)
        memory = state.memory or self._warm(x, state.path, encoded)
        self._check_memory(memory, encoded)
        remembered = path.remember(encoded, memory)
        return path.classify(path.merge(encoded, memory, remembered)), self._next(state.path, remembered)

    def step(self, x: Tensor, state: TDNetState | None = None) -> tuple[Tensor, TDNetState]:
        """One frame: `advance`, with the logits (B, C, H, W) resized to the size of x."""
        logits, state = self.advance(x, state)
        return resize(logits, (x.shape[-2], x.shape[-1])), state

    forward = step

    def forward_clip(
        self,
        frames: Tensor,
        state: TDNetState | None = None,
        score: Literal["all", "last"] = "all",
        *,
        batch_paths: bool = False,
    ) -> ClipOutput:
        """T frames in a row; equal to T calls of `step`.

        Args:
            frames: (B, T, 3, H, W), normalised.
            state: as in `step`.
            score: compute logits for all frames, or for the newest only.
            batch_paths: run the frames that share a path's weights as one batch: the same result, faster, for more
                memory. In training, batch norm then sees them together.
        """
        self._check_frames(frames, 5)
        path, memory = self.initial_state() if state is None else state
        count = frames.shape[1]
        if score not in ("all", "last"):
            raise ConfigError(f"score={score!r}", expected="'all' or 'last'", do="choose one of them")
        logits, sub, aux = [], [], []
        for t, encoded in enumerate(self._encode_clip(frames, path, batch_paths)):
            if t == 0:
                memory = memory or self._warm(frames[:, 0], path, encoded)
                self._check_memory(memory, encoded)
            module = self._path(path)
            remembered = module.remember(encoded, memory)
            if score == "all" or t == count - 1:
                logits.append(module.classify(module.merge(encoded, memory, remembered)))
                if self.training:
                    sub.append(module.classify(encoded.value))
                    if module.aux_head is not None and encoded.aux is not None:
                        aux.append(module.aux_head(encoded.aux))
            path, memory = self._next(path, remembered)
        size = (frames.shape[-2], frames.shape[-1])
        full = torch.stack([resize(x, size) for x in logits], 1)
        head = torch.stack(logits, 1) if self.training else None
        return ClipOutput(full, TDNetState(path, memory), head, *(torch.stack(x, 1) if x else None for x in (sub, aux)))

    def fuse(self, *, winograd: bool = False) -> TDNet:
        """A copy for inference with the same outputs up to rounding: batch norms folded, channels-last weights.

        Args:
            winograd: large 3x3 convolutions by Winograd's method: faster on CPUs, with five times the memory for their
                weights; slower on GPUs.
        """
        fused = copy.deepcopy(self).eval().requires_grad_(False)
        for module in fused.modules():
            if isinstance(module, ConvNorm):
                module.fuse(winograd=winograd)
            elif isinstance(module, SpatialLayerNorm):
                module.freeze()
            elif isinstance(module, MotionEncoder):
                module.fuse()
        return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _path(self, path: int) -> NetworkPath:
        module = self.paths[path % len(self.paths)]
        assert isinstance(module, NetworkPath)
        return module

    def _encode_clip(self, frames: Tensor, first: int, batch_paths: bool) -> Iterable[Encoded]:
        batch, count = frames.shape[:2]
        if not batch_paths:
            return (self._path(first + t).encode(frames[:, t]) for t in range(count))
        encodings: dict[int, Encoded] = {}
        period = len(self.paths)
        for offset in range(min(period, count)):
            times = range(offset, count, period)
            together = self._path(first + offset).encode(frames[:, offset::period].transpose(0, 1).flatten(0, 1))
            encodings.update(zip(times, _split(together, batch, len(times)), strict=True))
        return [encodings[t] for t in range(count)]

    def _warm(self, x: Tensor, path: int, encoded: Encoded) -> Memory:
        """The memory that the first frame after a reset meets."""
        m = self.config.paths
        if self.config.warmup != "full" or m == 1:
            return ()
        period = len(self.paths)
        seen = {path % period: encoded}
        for other in range(path + 1, path + m):
            if other % period not in seen:
                seen[other % period] = self._path(other).encode(x)
        memory: Memory = ()
        for other in range(path + 1, path + m):
            memory = self._path(other).remember(seen[other % period], memory)
        return memory

    def _check_memory(self, memory: Memory, encoded: Encoded) -> None:
        own = encoded.memory
        strangers = [tuple(slot.key.shape) for slot in memory if own is None or slot.key.shape != own.key.shape]
        if strangers:
            raise ConfigError(
                f"a state for memory of shape {strangers[0]} with a frame that gives "
                f"{None if own is None else tuple(own.key.shape)}",
                expected="frames of one batch and size between two resets",
                do="start from state=None when the batch or the frame size changes",
            )

    def _next(self, path: int, remembered: Memory) -> TDNetState:
        return TDNetState((path + 1) % self.config.paths, remembered)

    def _check_frames(self, x: Tensor, dims: int) -> None:
        sizes_fit = x.ndim == dims and x.shape[-3] == 3 and min(x.shape[-2:]) >= MIN_SIZE and x.numel() > 0
        if not sizes_fit or not x.is_floating_point():
            layout = "(B, T, 3, H, W)" if dims == 5 else "(B, 3, H, W)"
            raise ConfigError(
                f"frames of shape {tuple(x.shape)} and {x.dtype}",
                expected=f"normalised floats {layout}, H and W of at least {MIN_SIZE}",
                do="use model.normalize on uint8 RGB images, and resize smaller ones",
            )


@lru_cache(maxsize=16)
def _normalization(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Both as (3, 1, 1), copied to the device once: a copy for every frame would make it wait."""
    with torch.inference_mode(False):
        mean_, std_ = torch.tensor([mean, std], device=device, dtype=dtype)[:, :, None, None]
    return mean_, std_


def _subnetwork(config: ModelConfig, path: int, make: Callable[[], SubNetwork] | None) -> SubNetwork:
    if (make is None) == (config.subnet == "custom"):
        raise ConfigError(
            f"subnet={config.subnet!r} {'without' if make is None else 'with'} a function that makes sub-networks",
            expected="such a function for 'custom', and for no other kind",
            do="give make_subnetwork to tdseg.distribute or tdseg.load, and nowhere else",
        )
    if make is None:
        return make_subnetwork(config.subnet, path % config.groups, config.groups)
    subnet = make()
    if not isinstance(subnet, nn.Module) or not hasattr(subnet, "channels") or not hasattr(subnet, "stride"):
        raise ConfigError(
            f"a sub-network of type {type(subnet).__name__}",
            expected="an nn.Module with channels and stride, such as a tdseg.SubNetwork",
            do="declare the channels of z and the pixels of the input for each of its positions",
        )
    return subnet


def _split(encoded: Encoded, batch: int, times: int) -> list[Encoded]:
    """Undo the batching of `times` frames of `batch` images each."""
    query, value, memory, aux = encoded

    def part(x: Tensor, i: int) -> Tensor:
        return x[i * batch : (i + 1) * batch]

    return [
        Encoded(
            None if query is None else part(query, i),
            part(value, i),
            None if memory is None else type(memory)(*(part(x, i) for x in memory)),
            None if aux is None else part(aux, i),
        )
        for i in range(times)
    ]
