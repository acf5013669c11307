"""Runtimes: what runs an exported network, each behind the same interface as a TDNet in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tdseg.errors import ConfigError
from tdseg.runtime.exported import ExportedNetwork
from tdseg.runtime.layout import fit_size
from tdseg.runtime.manifest import Manifest, read_manifest
from tdseg.system import installed, require

RuntimeName = Literal["torch", "onnxruntime", "openvino"]
RUNTIMES: tuple[RuntimeName, ...] = ("torch", "onnxruntime", "openvino")
READERS: dict[str, tuple[RuntimeName, ...]] = {"onnx": ("openvino", "onnxruntime"), "openvino": ("openvino",)}
"""What runs the graphs of a target, the fastest on a CPU first."""


def open_exported(
    folder: Path,
    *,
    runtime: RuntimeName | Literal["auto"] = "auto",
    device: str = "auto",
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    workers: int = 1,
    cache: Path | None = None,
) -> ExportedNetwork:
    """The network in a folder that `tdseg export` wrote. Nothing in it is executed but the graphs themselves.

    Args:
        folder: with its tdseg.json.
        runtime: what to run it with; "auto": the fastest of those installed that read it.
        device: "cpu", "cuda" or "auto".
        size: (height, width) of the input, pixels: OpenVINO runs a graph of any size faster where it takes one alone.
        threads: of the CPU; None: the runtime's own choice.
        workers: frames that are encoded at once, on a share of the threads each, where runtime and graph can do so.
        cache: folder where a runtime may keep what it compiles.

    Raises:
        ConfigError: the runtime does not read these graphs, is not installed, or lacks the device; or the size is none
            that the graph takes.
        WeightsError: the folder is incomplete, changed, or of another version.
    """
    manifest = read_manifest(folder)
    chosen = _choose(folder, manifest, runtime, device)
    graph = folder / manifest.graph
    workers = workers if manifest.encoded else 1
    if size or workers > 1:
        multiple_of = 1 if manifest.size else manifest.stride
        size = fit_size(size, own=manifest.model.size, fixed=manifest.size, multiple_of=multiple_of)
    if chosen == "onnxruntime":
        from tdseg.runtime.onnxruntime import OnnxRuntimeEngine

        return ExportedNetwork(manifest, OnnxRuntimeEngine(graph, device=device, threads=threads))
    from tdseg.runtime.openvino import open_graph

    engine = open_graph(graph, manifest, size, device=device, threads=threads, workers=workers, cache=cache)
    return ExportedNetwork(manifest, engine, size)


def _choose(folder: Path, manifest: Manifest, runtime: str, device: str) -> str:
    readers = READERS[manifest.target]
    chosen = next(iter(filter(installed, _order(readers, device))), readers[0]) if runtime == "auto" else runtime
    if chosen not in readers:
        raise ConfigError(
            f"runtime {chosen} for {folder}, which holds {manifest.target} graphs",
            expected=" or ".join(readers),
            do="leave --runtime out, or export the model to another target",
        )
    require(chosen, extra="openvino" if chosen == "openvino" else "export")
    return chosen


def _order(readers: tuple[str, ...], device: str) -> tuple[str, ...]:
    """On a GPU ONNX Runtime goes first: OpenVINO has only CPUs here."""
    return readers if device in ("cpu", "auto") else tuple(reversed(readers))
