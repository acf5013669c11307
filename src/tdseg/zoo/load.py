"""Networks, loaded in the runtime that is to run them: resolve a name, choose what runs it, open it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal, overload

import torch

from tdseg.errors import ConfigError, OutputError
from tdseg.models.subnets import SubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.runtime.any_model import AnyModel, as_network
from tdseg.runtime.exported import open_exported
from tdseg.runtime.external import open_external
from tdseg.runtime.manifest import read_manifest
from tdseg.runtime.memory import RememberingNetwork
from tdseg.runtime.network import RUNTIMES, AnyRuntime, Execution, Network, RuntimeName, check_size, size_for
from tdseg.runtime.torch import TorchNetwork
from tdseg.system import installed, resolve_device
from tdseg.zoo.cache import cached_export, compiled_folder
from tdseg.zoo.resolve import Artifact, resolve

EXTERNAL_MEMORY = 4
"""Frames that networks of others remember, unless it is said."""
_log = logging.getLogger("tdseg")


@overload
def load(
    name_or_path: str | Path,
    device: str = "cpu",
    *,
    runtime: Literal["torch"] = "torch",
    make_subnetwork: Callable[[], SubNetwork] | None = None,
) -> TDNet: ...
@overload
def load(
    name_or_path: str | Path,
    device: str = "cpu",
    *,
    runtime: Literal["auto", "onnxruntime", "openvino"],
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    workers: int = 1,
) -> Network: ...
def load(
    name_or_path: str | Path,
    device: str = "cpu",
    *,
    runtime: AnyRuntime = "torch",
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    workers: int = 1,
    make_subnetwork: Callable[[], SubNetwork] | None = None,
) -> TDNet | Network:
    """A trained model, ready to run: in torch, unless another runtime is asked for.

    The command and `tdseg.segment` load a name with runtime="auto" on device "auto", which is faster and, in int8,
    gives another class to one pixel in a hundred.

    Args:
        name_or_path: a packaged name of `list_models()`; a .safetensors file that tdseg wrote, or the folder of a run
            of `tdseg train`; a folder of `tdseg export`; or "hf://org/name@revision", a repository of the Hugging
            Face hub that holds such files. Or a network of others: a semantic or universal segmentation model of
            Hugging Face, at such an address or in a folder of `save_pretrained`, or an ONNX file.
        device: "cpu", "cuda", "cuda:1", … or "auto": cuda if there is one.
        runtime: "torch" gives a TDNet, which can be trained, fused and looked into. The others give a network for
            Streams: "onnxruntime" and "openvino", for which weights are exported once, checked, and kept in a cache,
            and "auto", the fastest one installed. On a CPU with OpenVINO that is, for packaged models that have one,
            the int8 graph. A network of others is a network for Streams in any of them, and an ONNX file also with
            "torch" in the fastest one that reads it.
        size: (height, width) of the network's input, pixels, for other runtimes than torch: what is loaded then takes
            no other. None: the model's own; an exported graph of any size stays one.
        threads: of the CPU, for other runtimes than torch; None: all cores.
        workers: frames that a pipeline is to encode at once in OpenVINO, on a share of the threads each: more frames a
            second for a higher latency, of `Stream.step` too. It fixes the size. (torch always can do so.)
        make_subnetwork: for a model of `distribute`, the function given to it: files hold no code.

    Raises:
        ConfigError: an unknown name or device, an option that does not fit, or a runtime that is not installed.
        WeightsError: a file that is damaged, of another program, or not safe to open.
    """
    artifact = resolve(name_or_path)
    if runtime == "torch" and artifact.external is None:
        return artifact.load(make_subnetwork).to(resolve_device(device))
    if make_subnetwork is not None:
        what = f"{name_or_path}, a network of others," if artifact.external else f"runtime {runtime}"
        raise ConfigError(
            f"{what} with make_subnetwork", expected="weights of tdseg, and runtime torch", do="leave one of them out"
        )
    if runtime == "torch":  # what is asked for unless another is: a network of others runs where it can
        runtime = "auto"
    return _open(artifact, Execution(device, runtime, threads), size, workers)


def prepare(
    model: str | Path | AnyModel,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    *,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    frame: tuple[int, int] | None = None,
    workers: int = 1,
    any_shape: bool = False,
) -> Network:
    """A network in the fastest form that its runtime has, on its device.

    Args:
        model: as `load` takes it; or a model, network or function, which stays in its runtime, and where it is if that
            is "auto".
        execution: where and how it is to run.
        memory: frames that a per-frame network is to remember, 2 … 16, or 0 for none. None: 4 for a network of others
            that is loaded here; anything else as it is.
        size, workers: as of `load`.
        frame: (height, width) of the frames to come, pixels; where they have another shape than the model's own size,
            and no size is given, what is loaded is for as many pixels in their shape, if the graph takes that.
        any_shape: frames of several shapes are to come; a graph that takes any stays so, though one size is faster.

    Raises:
        ConfigError: a network of another runtime than asked for; and as `load`.
    """
    if isinstance(model, str | Path):
        artifact = resolve(model)
        network = _open(artifact, execution, size, workers, frame, any_shape=any_shape)
        if memory is None and artifact.external and not network.keeps_state:
            memory = EXTERNAL_MEMORY
        return _remembering(network, memory)
    network = TorchNetwork(model, execution) if isinstance(model, TDNet) else as_network(model)
    if not isinstance(model, TDNet) and (execution.form or execution.device not in ("auto", network.device)):
        raise ConfigError(
            f"{network.config.name}, a network as it is, in another form or on {execution.device}",
            expected=f"its own form, on {network.device}",
            do="leave these options out, or load it by its name with them",
        )
    if execution.runtime not in ("auto", network.runtime):
        raise ConfigError(
            f"runtime {execution.runtime} for a network of {network.runtime}",
            expected=f"{network.runtime}, or auto",
            do="give the weights by name or file, which are exported for it",
        )
    return _remembering(network, memory)


def _remembering(network: Network, memory: int | None) -> Network:
    """A network with the memory that is asked for; see `prepare`."""
    if memory == 0 and network.keeps_state:
        raise ConfigError(
            f"{network.config.name} without a memory",
            expected="a per-frame network, or --memory left out",
            do="choose a per-frame model; `tdseg models` lists them",
        )
    return RememberingNetwork(network, memory) if memory else network


def _choose(artifact: Artifact, execution: Execution) -> RuntimeName:
    """The runtime for weights: the one asked for, or for "auto" the fastest one that has what is asked for.

    Raises:
        ConfigError: a form of torch asked of another runtime.
    """
    chosen = execution.runtime
    if chosen not in RUNTIMES:
        raise ConfigError(f"runtime {chosen!r}", expected=", ".join(RUNTIMES), do="choose one of them")
    if chosen == "auto":
        chosen = "torch" if execution.form and artifact.weights else fastest(execution.device)
    if execution.form and (chosen != "torch" or artifact.weights is None):
        raise ConfigError(
            f"{artifact.name} in {chosen} with a form of torch",
            expected="weights in torch, or another runtime as it is",
            do="use --runtime torch, or leave the other options out",
        )
    return chosen


def _open(
    artifact: Artifact,
    execution: Execution,
    size: tuple[int, int] | None,
    workers: int,
    frame: tuple[int, int] | None = None,
    *,
    any_shape: bool = False,
) -> Network:
    """The network of an artifact in the runtime chosen; see `load` and `prepare`."""
    if artifact.external:
        return open_external(artifact.external, artifact.name, execution, size)
    runtime = _choose(artifact, execution)
    weights, graph = artifact.weights, artifact.graph
    if weights is None:
        assert graph is not None, "an artifact has one of them"
        return open_exported(graph, execution, size=size, frame=frame, workers=workers)
    if runtime == "torch":
        return TorchNetwork(artifact.load(), execution)
    if graph is None or execution.runtime != "auto" or any(side % SubNetwork.stride for side in size or ()):
        model = artifact.load()
        own = model.config.size
        size = check_size(size or size_for(own, frame, SubNetwork.stride), own)  # one that no runtime takes is refused
        try:
            graph = cached_export(model, weights, size, runtime)
        except (ConfigError, OutputError) as error:
            if execution.runtime != "auto":
                raise
            _log.warning("%s runs in torch: %s; for %s: %s", artifact.name, error.got, runtime, error.do)
            return TorchNetwork(model, execution)
    elif size is None and not any_shape:
        size = read_manifest(graph).fit_size(None, frame=frame)
    return open_exported(graph, execution, size=size, workers=workers, cache=compiled_folder())


def fastest(device: str) -> RuntimeName:
    """The fastest runtime installed for a device, by the figures of docs/runtimes.md."""
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    return "openvino" if on_cpu and installed("openvino") else "torch"
