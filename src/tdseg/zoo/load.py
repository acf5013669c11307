"""Networks, loaded in the runtime that is to run them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, overload

import torch

from tdseg.errors import ConfigError
from tdseg.inference.stream import input_size
from tdseg.models.subnets import SubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.runtime import RUNTIMES, RuntimeName, open_exported
from tdseg.runtime.manifest import is_exported
from tdseg.runtime.network import Network
from tdseg.system import __version__, installed, require, resolve_device
from tdseg.zoo import catalog
from tdseg.zoo.hub import HUB, fetch

AnyRuntime = RuntimeName | Literal["auto"]
_EXPORTER = ("onnx", "onnxscript")
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
    runtime: AnyRuntime,
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
    """A trained model, ready to run.

    Args:
        name_or_path: a packaged name of `list_models()`; a .safetensors file that tdseg wrote, or the folder of a run
            of `tdseg train`; a folder of `tdseg export`; or "hf://org/name@revision", a repository of the Hugging
            Face hub that holds such files.
        device: "cpu", "cuda", "cuda:1", … or "auto": cuda if there is one.
        runtime: "torch" gives a TDNet, which can be trained, fused and looked into. "onnxruntime" and "openvino" give a
            network for Streams; weights are exported for it once, checked, and kept in a cache. "auto": the fastest one
            installed; so it is, too, for what is exported already. On a CPU with OpenVINO that is, for
            "td4-lite0-camvid", the int8 graph in the package.
        size: (height, width) of the network's input, pixels, for other runtimes than torch: what is loaded then takes
            no other. None: the model's own; an exported graph of any size stays one.
        threads: of the CPU, for other runtimes than torch; None: all cores.
        workers: frames that `Stream.ahead` is to encode at once in OpenVINO, on a share of the threads each: more
            frames a second for a higher latency, of `Stream.step` too. It fixes the size. (torch always can do so.)
        make_subnetwork: for a model of `distribute`, the function given to it: files hold no code.

    Raises:
        ConfigError: an unknown name or device, an option that does not fit, or a runtime that is not installed.
        WeightsError: a file that is damaged, of another program, or not safe to open.
    """
    found = fetch(str(name_or_path)) if str(name_or_path).startswith(HUB) else name_or_path
    if is_exported(Path(found)):
        chosen: AnyRuntime = "auto" if runtime == "torch" else runtime
        return open_exported(Path(found), runtime=chosen, device=device, size=size, threads=threads, workers=workers)
    chosen = fastest(device) if runtime == "auto" else runtime
    if chosen not in RUNTIMES:
        raise ConfigError(f"runtime {runtime!r}", expected=", ".join(("auto", *RUNTIMES)), do="choose one of them")
    if make_subnetwork is not None and runtime not in ("auto", "torch"):
        raise ConfigError(
            f"runtime {runtime} with make_subnetwork", expected="runtime torch", do="leave one of them out"
        )
    if chosen == "torch" or make_subnetwork is not None:
        return catalog.load(found, device, make_subnetwork=make_subnetwork)
    path = catalog.find(found)
    folder, size = _packaged_graph(str(found), size) if runtime == "auto" else (None, size)
    if folder is None:
        model = catalog.load(found)
        size = input_size(model, size)  # one that no runtime takes is refused
        try:
            folder = _exported(model, path, size, chosen)
        except ConfigError as error:
            if runtime != "auto":
                raise
            _log.warning("%s runs in torch: %s; for %s: %s", found, error.got, chosen, error.do)
            return model.to(resolve_device(device))
    return open_exported(
        folder, runtime=chosen, device=device, size=size, threads=threads, workers=workers, cache=_compiled()
    )


def fastest(device: str) -> RuntimeName:
    """The fastest runtime installed for a device, by the figures of docs/runtimes.md."""
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    return "openvino" if on_cpu and installed("openvino") else "torch"


def prepare(
    model: str | Path | Network,
    device: str = "auto",
    runtime: AnyRuntime = "auto",
    *,
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    workers: int = 1,
) -> Network:
    """A network in the fastest form that its runtime has, on its device: fused, in torch.

    Args:
        model: as `load` takes it; or a network, which stays in its runtime, and on its device where that is "auto".
        device, runtime, size, threads, workers: as of `load`.

    Raises:
        ConfigError: a network of another runtime than asked for; and as `load`.
    """
    network: Network
    if isinstance(model, str | Path):
        network = load(model, device, runtime=runtime, size=size, threads=threads, workers=workers)
    else:
        network = model
    if runtime not in ("auto", network.runtime):
        raise ConfigError(
            f"runtime {runtime} for a network of {network.runtime}",
            expected=f"{network.runtime}, or auto",
            do="give the weights by name or file, which are exported for it",
        )
    if not isinstance(network, TDNet):
        return network
    place = network.device if device == "auto" else resolve_device(device)
    return network.fuse(winograd=place.type == "cpu").to(place)


def cache_folder() -> Path:
    """Where what was made once is kept: the environment's TDSEG_CACHE, or a folder of the user."""
    if chosen := os.environ.get("TDSEG_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tdseg"


def _compiled() -> Path | None:
    """Where runtimes keep what they compile; None where nothing can be written, which costs a slower start only."""
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _packaged_graph(name: str, size: tuple[int, int] | None) -> tuple[Path | None, tuple[int, int] | None]:
    """The folder of a graph that goes with packaged weights, if there is one that takes the size; and the size."""
    entry = catalog.PACKAGED.get(name)
    if entry is None or entry.graph is None:
        return None, size
    fitting = size or catalog.model_config(entry.architecture).size
    return (None, size) if any(side % SubNetwork.stride for side in fitting) else (entry.graph, fitting)


def _exported(model: TDNet, path: Path, size: tuple[int, int], runtime: RuntimeName) -> Path:
    """The export of the weights in a file, from the cache or made now."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / f"{path.stem}-{digest}-{size[0]}x{size[1]}-{__version__}"
    if is_exported(folder):
        return folder
    require(*_EXPORTER, runtime)
    from tdseg.export import export

    _log.info("exporting %s at %dx%d; this is done once", path.stem, *size)
    made = folder.with_name(f"{folder.name}.{os.getpid()}")
    export(model, made, to="onnx", size=size, overwrite=True)
    try:
        made.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(made)
    return folder
