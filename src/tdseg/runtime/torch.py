"""A TDNet made ready for inference: fused, channels-last, compiled, in lower precision, as CUDA graphs."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from tdseg.errors import ConfigError
from tdseg.models.path import Encoded
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import Execution, RuntimeName, check_size, size_for
from tdseg.system import resolve_device

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UP = 3
"""Eager runs before a capture, in which cuDNN and cuBLAS choose their algorithms and take their workspaces."""

T = TypeVar("T")


class TorchNetwork:
    """A TDNet as a Network: as it is, or a copy of it in the form that its hardware runs fastest.

    Compiled, torch runs more than 8 sizes in one process eagerly, and warns. Under autocast the state is kept in the
    lower precision; logits are float32. With CUDA graphs there is a graph for each path and shape of input.

    Args:
        model: in eval mode; unchanged.
        execution: its device, auto being where the model is, and its form; None: the model itself, as it is.

    Raises:
        ConfigError: the model is in training mode, or the device lacks what is asked for.
    """

    runtime: RuntimeName = "torch"
    align_corners = True
    concurrent = True

    def __init__(self, model: TDNet, execution: Execution | None = None) -> None:
        if model.training:
            raise ConfigError("a model in training mode", expected="a model in eval mode", do="call model.eval() first")
        self.model, self.form = (model, "as it is") if execution is None else _made_ready(model, execution)
        self.config, self.device = self.model.config, str(self.model.device)
        dtype = self.model.mean.dtype
        self.precision = {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(dtype, f"fp{8 * dtype.itemsize}")
        self.keeps_state = self.config.paths > 1
        self._autocast = execution.autocast if execution else None
        self._graphs = _Graphs(self.model.device) if execution and execution.cuda_graphs else None

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network."""
        own = self.config.size
        return check_size(size or size_for(own, frame, self.model.path(0).subnet.stride), own)

    def encode(self, images: Tensor, path: int) -> Encoded:
        """See Network."""
        return self._run(self.model.encode, self.model.normalize(images), path)

    def advance(self, encoded: Encoded, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """See Network."""
        logits, state = self._run(self.model.advance, encoded, state)
        return logits.float(), state

    def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        with lower_precision(self.model.device, self._autocast):
            return self._graphs(call, *arguments) if self._graphs else call(*arguments)


def lower_precision(device: torch.device, autocast: str | None) -> AbstractContextManager[object]:
    """In which torch runs in a precision of PRECISIONS what gains by it, on a device; for None it runs all as it is."""
    if autocast is None:
        return nullcontext()
    # The cache is for weights used twice under gradients. In a graph, what it kept would be of another replay.
    return torch.autocast(device.type, PRECISIONS[autocast], cache_enabled=False)


def _made_ready(model: TDNet, execution: Execution) -> tuple[TDNet, str]:
    """A copy of a model in a form, on its device, and the form in words, such as "fused, channels-last, bf16"."""
    place = model.device if execution.device == "auto" else resolve_device(execution.device)
    check_device(place, execution.autocast, execution.cuda_graphs)
    winograd = execution.winograd
    if winograd is None:
        winograd = place.type == "cpu" and execution.fuse and not (execution.autocast or execution.compile)
    ready = model.fuse(winograd=winograd) if execution.fuse else copy.deepcopy(model).requires_grad_(False)
    layout = torch.channels_last if execution.channels_last else torch.contiguous_format
    ready = ready.to(place, memory_format=layout)  # type: ignore[call-overload]
    if execution.compile:
        for path in ready.paths:  # paths of one structure share the compiled code
            for part in path.children():
                part.compile(dynamic=False)  # code for any size is slower
    names = (
        (execution.fuse, "fused"),
        (winograd, "Winograd"),
        (execution.channels_last, "channels-last"),
        (execution.compile, "compiled"),
        (execution.autocast, str(execution.autocast)),
        (execution.cuda_graphs, "CUDA graphs"),
    )
    return ready, ", ".join(name for chosen, name in names if chosen) or "plain"


def check_device(device: torch.device, autocast: str | None, cuda_graphs: bool = False) -> None:
    """See that a device has the form that is asked for.

    Raises:
        ConfigError: it has not, or there is no such precision.
    """
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
        """`call(*arguments)`. Tensors may be nested in tuples; anything else is part of the combination."""
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
