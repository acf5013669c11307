"""A TDNet in the form that its hardware runs fastest: channels-last, torch.compile, lower precision, CUDA graphs.

Each is optional, and changes results by rounding only: `deviation` measures by how much.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from tdseg.errors import ConfigError
from tdseg.models.path import Encoded
from tdseg.models.propagation.state import TDNetState
from tdseg.models.tdnet import ClipOutput, TDNet

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UP = 3
"""Eager runs before a capture, in which cuDNN and cuBLAS choose their algorithms and take their workspaces."""

T = TypeVar("T")


def accelerate(
    model: TDNet,
    *,
    channels_last: bool = True,
    compile: bool = False,
    autocast: Literal["bf16", "fp16"] | None = None,
    cuda_graphs: bool = False,
) -> TDNet:
    """A copy of a model in another form, for inference; the model given is unchanged.

    Args:
        model: in eval mode, on its device already; `model.fuse()` gives the fastest.
        channels_last: lay the convolutions' weights out with channels last, else as torch does by default.
        compile: compile the parts of each path with torch.compile. This takes up to minutes, when a size is first met;
            after 8 sizes in one process torch runs further ones eagerly, and warns.
        autocast: run what gains by it in this precision. The state is then kept in it too; logits are float32.
        cuda_graphs: record the kernels of a frame once, and launch them all at once from then on. There is a graph for
            each path, number of frames in memory and shape of input, recorded when first met.

    Returns:
        A TDNet with the same step, advance, encode and forward_clip, as pure and as thread-safe. `forward_clip` is not
        sped up by graphs. With graphs, its weights must stay where they are.

    Raises:
        ConfigError: the model is in training mode, or the device lacks what is asked for.
    """
    if model.training:
        raise ConfigError("a model in training mode", expected="a model in eval mode", do="call model.eval() first")
    device = next(model.parameters()).device
    _check_device(device, autocast, cuda_graphs)
    model = copy.deepcopy(model).requires_grad_(False)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout)  # type: ignore[call-overload]
    if compile:
        _compile(model)
    return _Accelerated(model, autocast, _Graphs(device) if cuda_graphs else None)


class Deviation(NamedTuple):
    """How far the outputs of one form of a model are from those of another."""

    max_relative_error: float
    """Largest difference of a logit over the largest logit."""
    agreement: float
    """Share of pixels whose most likely class is the same, 0..1."""


@torch.inference_mode()
def deviation(reference: TDNet, candidate: TDNet, frames: Iterable[Tensor]) -> Deviation:
    """Step both models through a clip, each with its own state, and compare their logits at full size.

    Args:
        reference: what is right: the plain model.
        candidate: the other form of it, on the same device.
        frames: (B, 3, H, W) each, normalised.

    Raises:
        ConfigError: no frame.
    """
    expected_state = state = None
    errors, largest, agreements = [], [], []
    for x in frames:
        expected, expected_state = reference.step(x, expected_state)
        logits, state = candidate.step(x, state)
        errors.append((logits - expected).abs().amax())
        largest.append(expected.abs().amax())
        agreements.append((logits.argmax(1) == expected.argmax(1)).float().mean())
    if not errors:
        raise ConfigError("a clip of no frames", expected="one frame or more", do="give the frames to compare on")
    error = torch.stack(errors).amax() / torch.stack(largest).amax()
    return Deviation(float(error), float(torch.stack(agreements).mean()))


class _Accelerated(TDNet):
    """A TDNet that runs the encode and advance of another under autocast and as CUDA graphs."""

    def __init__(self, model: TDNet, autocast: str | None, graphs: _Graphs | None) -> None:
        nn.Module.__init__(self)  # not TDNet's, which would build the paths anew
        self.config, self.paths = model.config, model.paths
        self.eval()
        self._encode, self._advance, self._forward_clip = model.encode, model.advance, model.forward_clip
        self._autocast, self._graphs = autocast, graphs

    def encode(self, x: Tensor, path: int) -> Encoded:
        return self._run(self._encode, x, path)

    def advance(
        self, x: Tensor, state: TDNetState | None = None, encoded: Encoded | None = None
    ) -> tuple[Tensor, TDNetState]:
        logits, state = self._run(self._advance, x, self.initial_state() if state is None else state, encoded)
        return logits.float(), state

    def forward_clip(
        self,
        frames: Tensor,
        state: TDNetState | None = None,
        score: Literal["all", "last"] = "all",
        *,
        batch_paths: bool = False,
    ) -> ClipOutput:
        with self._precision(frames.device):
            out = self._forward_clip(frames, state, score, batch_paths=batch_paths)
        return out._replace(logits=out.logits.float())

    def fuse(self, *, winograd: bool = False) -> TDNet:
        """This model: fuse what `accelerate` is given."""
        return self

    def _run(self, call: Callable[..., T], x: Tensor, *arguments: Any) -> T:
        with self._precision(x.device):
            return self._graphs(call, x, *arguments) if self._graphs else call(x, *arguments)

    def _precision(self, device: torch.device) -> AbstractContextManager[object]:
        if self._autocast is None:
            return nullcontext()
        # The cache is for weights used twice under gradients. In a graph, what it kept would be of another replay.
        return torch.autocast(device.type, PRECISIONS[self._autocast], cache_enabled=False)


def _check_device(device: torch.device, autocast: str | None, cuda_graphs: bool) -> None:
    if cuda_graphs and device.type != "cuda":
        raise ConfigError(
            f"CUDA graphs for a model on {device}",
            expected="a model on a CUDA GPU",
            do="leave cuda_graphs (--cuda-graphs) out, or move the model to cuda (--device cuda)",
        )
    if autocast not in (None, *PRECISIONS):
        raise ConfigError(f"autocast={autocast!r}", expected="bf16, fp16 or None", do="choose one of them")
    if autocast == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(
            f"bf16 on {torch.cuda.get_device_name(device)}",
            expected="a GPU that computes in it, compute capability 8.0 or higher",
            do="choose fp16, which it does have",
        )


def _compile(model: TDNet) -> None:
    """Compile the parts of each path in place: paths of one structure share the compiled code, so it is made once."""
    for path in model.paths:
        for part in path.children():
            part.compile(dynamic=False)  # code for any size is slower


_one_at_a_time = threading.Lock()
"""torch records one graph at a time in a process; and the buffers of a graph serve one call at a time."""


class _Graphs:
    """Calls recorded as CUDA graphs, one for each combination of arguments but for the values of tensors.

    Results are copies: nothing that a caller holds is overwritten by a later call. As no call needs what another left
    behind, the graphs share their memory, whatever the order of replays. The host waits for the GPU only to record.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graphs: dict[tuple[object, ...], _Graph] = {}
        with torch.cuda.device(device):
            self.pool = torch.cuda.graph_pool_handle()
            self.side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self.free = torch.cuda.Event()  # type: ignore[no-untyped-call]

    @torch.inference_mode()  # of buffers made and copied into under another mode, torch would refuse one
    def __call__(self, call: Callable[..., T], *arguments: Any) -> T:
        """What `call(*arguments)` gives. Tensors may be nested in tuples; anything else is part of the combination."""
        leaves, _ = tree_flatten(arguments)
        key = (call.__name__, *(_signature(leaf) for leaf in leaves))
        with _one_at_a_time, torch.cuda.device(self.device):
            self.free.wait()  # on the GPU: the caller before may have used another stream
            if key not in self.graphs:
                self.graphs[key] = _Graph(self, call, arguments)
            results: T = self.graphs[key].replay(leaves)
            self.free.record()
        return results


class _Graph:
    """One recorded call: the buffers of its arguments, the kernels, the buffers of its results."""

    def __init__(self, owner: _Graphs, call: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        leaves, spec = tree_flatten(arguments)
        self.inputs = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        static = tree_unflatten(self.inputs, spec)
        owner.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(owner.side):
            for _ in range(WARM_UP):
                call(*static)
        torch.cuda.current_stream().wait_stream(owner.side)
        self.graph = torch.cuda.CUDAGraph()
        # thread_local: other threads, say of other models, may allocate memory meanwhile
        with torch.cuda.graph(self.graph, owner.pool, owner.side, capture_error_mode="thread_local"):
            results = call(*static)
        self.outputs, self.spec = tree_flatten(results)

    def replay(self, leaves: list[Any]) -> Any:
        """The results of the call for other values of its tensors."""
        for static, leaf in zip(self.inputs, leaves, strict=True):
            if isinstance(static, Tensor):
                static.copy_(leaf)
        self.graph.replay()
        return tree_unflatten([out.clone() if isinstance(out, Tensor) else out for out in self.outputs], self.spec)


def _signature(leaf: object) -> object:
    return (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else leaf
