"""TDNet: sub-networks that take turns on the frames of a video and share what they saw.

Hu et al., "Temporally Distributed Networks for Fast Video Semantic Segmentation", CVPR 2020,
doi:10.1109/CVPR42600.2020.00884.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from tdseg.config import MIN_SIZE, ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.layers import ConvNorm, resize
from tdseg.models.norm import SpatialLayerNorm
from tdseg.models.path import Encoded, NetworkPath
from tdseg.models.propagation import TDNetState
from tdseg.models.subnets import SubNetwork, make_subnetwork


class ClipOutput(NamedTuple):
    """Outputs of `TDNet.forward_clip` for T frames, of which S are scored (T, or 1 for score="last")."""

    logits: Tensor
    """(B, S, C, H, W) at the input's size."""
    state: TDNetState
    """State after the last frame."""
    head_logits: Tensor | None = None
    """(B, S, C, u·h, u·w): the logits before they were resized, at the resolution of the head; in training only."""
    sub_logits: Tensor | None = None
    """(B, S, C, h, w) of each frame without propagation, at the resolution of the head; in training only, m > 1."""
    aux_logits: Tensor | None = None
    """(B, S, C, h', w') of the auxiliary head, at its own stride; in training only."""
    readings: dict[str, Tensor] | None = None
    """What `Propagation.readings` says of the last frame; in training only, and where it met a full memory."""


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

    mean: Tensor
    std: Tensor

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
        for name, values in {"mean": config.mean, "std": config.std}.items():
            self.register_buffer(name, torch.tensor(values, device="cpu")[:, None, None], persistent=False)  # (3, 1, 1)
        self.paths = nn.ModuleList(
            NetworkPath(config, _subnetwork(config, path, make), aux=aux, dropout=dropout)
            for path in range(config.distinct_paths)
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def path(self, path: int) -> NetworkPath:
        """The path that runs when it is the turn of `path`, any number from 0 on; shared ones are the same."""
        module = self.paths[path % len(self.paths)]
        assert isinstance(module, NetworkPath)
        return module

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 RGB images (..., 3, H, W) -> float network input of the same shape, on the model's device."""
        x = images.to(self.mean.device, non_blocking=True).to(self.mean.dtype)  # cast where it is fast
        return (x - self.mean) / self.std

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
        """A frame (B, 3, H, W), normalised, as path `path` sees it: most of the work of a step, and without state.

        So several frames can be encoded at once, before their turn.

        Raises:
            ConfigError: x has another shape, is below 64 pixels, or is not normalised.
        """
        self._check_frames(x, 4)
        return self.path(path).encode(x, self.config.view(path))

    def advance(self, encoded: Encoded, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """The rest of a step, in turn, at the resolution of the head.

        Args:
            encoded: `encode(x, state.path)`.
            state: what the previous call returned.

        Returns:
            Logits (B, C, u·h, u·w) with u = config.head_upscale and h × w the size of z, 1/8 of the input's unless the
            sub-network has another stride; and the state for the next frame. The state given is unchanged.

        Raises:
            ConfigError: the state does not fit the frame's batch and its number of feature positions.
        """
        logits, state = self._turn(encoded, state)
        assert logits is not None
        return logits, state

    def step(self, x: Tensor, state: TDNetState | None = None) -> tuple[Tensor, TDNetState]:
        """One frame: logits (B, C, H, W), and the next state.

        Args:
            x: (B, 3, H, W), as `normalize` gives it: of bytes the mean is taken off, and the rest divided.
            state: what the step before returned; None starts anew.

        Raises:
            ConfigError: as of `encode` and `advance`.
        """
        state = self.initial_state() if state is None else state
        logits, state = self.advance(self.encode(x, state.path), state)
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
            frames: (B, T, 3, H, W), as `normalize` gives them.
            state: as in `step`.
            score: compute logits for all frames, or for the newest only.
            batch_paths: run the frames that paths alike see as one batch: the same result, faster, for more memory. In
                training, batch norm then sees them together.
        """
        self._check_frames(frames, 5)
        state = self.initial_state() if state is None else state
        if score not in ("all", "last"):
            raise ConfigError(f"score={score!r}", expected="'all' or 'last'", do="choose one of them")
        logits, sub, aux, readings = [], [], [], None
        for t, encoded in enumerate(self._encode_clip(frames, state.path, batch_paths), 1):
            path, memory = self.path(state.path), state.memory
            scores, state = self._turn(encoded, state, scored=score == "all" or t == frames.shape[1])
            if self.training and t == frames.shape[1] >= self.config.paths:
                readings = path.propagation.readings(encoded.code, memory)
            if scores is None:
                continue
            logits.append(scores)
            if self.training:
                if self.config.paths > 1:
                    sub.append(path.classify(encoded.code.value))
                if path.aux_head is not None and encoded.aux is not None:
                    aux.append(path.aux_head(encoded.aux))
        size = (frames.shape[-2], frames.shape[-1])
        full = torch.stack([resize(x, size) for x in logits], 1)
        head = torch.stack(logits, 1) if self.training else None
        sub_logits, aux_logits = (torch.stack(x, 1) if x else None for x in (sub, aux))
        return ClipOutput(full, state, head, sub_logits, aux_logits, readings)

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
            elif isinstance(module, NetworkPath):
                module.propagation.fuse(module.encoder)
        return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _turn(self, encoded: Encoded, state: TDNetState, *, scored: bool = True) -> tuple[Tensor | None, TDNetState]:
        """The recurrence: the path whose turn it is meets the memory, and the next one has its turn."""
        path = self.path(state.path)
        memory = path.propagation.met(state.memory, encoded.code.value)
        logits, memory = path.turn(encoded.code, memory, scored=scored)
        return logits, TDNetState((state.path + 1) % self.config.paths, memory)

    def _encode_clip(self, frames: Tensor, first: int, batch_paths: bool) -> Iterable[Encoded]:
        count = frames.shape[1]
        if not batch_paths:
            return (self.encode(frames[:, t], first + t) for t in range(count))
        encodings: dict[int, Encoded] = {}
        period = self.config.turns
        for offset in range(min(period, count)):
            times = range(offset, count, period)
            joint = self.encode(frames[:, offset::period].transpose(0, 1).flatten(0, 1), first + offset)
            leaves, spec = tree_flatten(joint)
            alike = [torch.split(x, len(frames)) if isinstance(x, Tensor) else [x] * len(times) for x in leaves]
            encodings.update(zip(times, (tree_unflatten(part, spec) for part in zip(*alike, strict=True)), strict=True))
        return [encodings[t] for t in range(count)]

    def _check_frames(self, x: Tensor, dims: int) -> None:
        sizes_fit = x.ndim == dims and x.shape[-3] == 3 and min(x.shape[-2:]) >= MIN_SIZE and x.numel() > 0
        if not sizes_fit or not x.is_floating_point():
            layout = "(B, T, 3, H, W)" if dims == 5 else "(B, 3, H, W)"
            raise ConfigError(
                f"frames of shape {tuple(x.shape)} and {x.dtype}",
                expected=f"normalised floats {layout}, H and W of at least {MIN_SIZE}",
                do="use model.normalize on uint8 RGB images, and resize smaller ones",
            )


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
