"""An exported network, as Streams take it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.models.propagation import TDNetState
from tdseg.runtime.contract import check_graph, check_manifest
from tdseg.runtime.engine import Arrays, Engine, Parts
from tdseg.runtime.manifest import Manifest, Part, read_manifest
from tdseg.runtime.network import Execution, RuntimeName, same_aspect
from tdseg.system import installed, require

_log = logging.getLogger("tdseg")


class ExportedNetwork:
    """The network of an exported folder. See `Network`.

    Args:
        manifest: of the folder.
        engine: its graph, or the two parts of it.
        size: (height, width) of the input, pixels, where the engine takes no other.
    """

    align_corners = True

    def __init__(self, manifest: Manifest, engine: Engine | Parts, size: tuple[int, int] | None = None) -> None:
        self.manifest, self.config = manifest, manifest.model
        self._encoder = engine.encode if isinstance(engine, Parts) else None
        self._engine = engine.merge if isinstance(engine, Parts) else engine
        self.concurrent = self._encoder is not None
        whole: tuple[Part, ...] = ("merge",) if manifest.has_turns else ()
        self._by_path = manifest.by_path if self._encoder else whole
        self.runtime, self.device = self._engine.name, self._engine.where
        self.precision: str = manifest.precision
        self.keeps_state = self.config.paths > 1
        self._size = manifest.size or size
        self._told = set[tuple[int, int]]()

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network. Where the graph takes one size only, it is said of frames that are squashed for it."""
        fitting = self.manifest.fit_size(size, fixed=self._size, frame=frame)
        if size is None and frame and frame not in self._told and not same_aspect(fitting, frame):
            self._told.add(frame)
            _log.warning(
                "%s takes %dx%d as it was exported or loaded: frames of %dx%d are squashed to it",
                self.config.name,
                *fitting,
                *frame,
            )
        return fitting

    def encode(self, images: Tensor, path: int) -> Arrays:
        """See Network: one frame; where the graph does all of a step at once, the image as it takes it."""
        image = self._image(images)
        return self._encoder.run([image, *self._turn("encode", path)]) if self._encoder else [image]

    def advance(self, encoded: Arrays, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """See Network."""
        path, memory = state
        past: list[NDArray[np.generic]] = [tensor.numpy() for tensor in memory] if memory else self._empty(encoded)
        outputs = self._engine.run([*encoded, *past, *self._turn("merge", path)])
        logits, *present = map(torch.from_numpy, outputs)
        return logits, TDNetState((path + 1) % self.config.paths, tuple(present[: len(past)]))

    def _turn(self, part: Part, path: int) -> Arrays:
        """The path whose turn it is, for a part that needs it."""
        return [np.array([[path % self.config.turns]])] if part in self._by_path else []

    def _empty(self, encoded: Arrays) -> Arrays:
        """Zeros for the memory before the first frame."""
        size = self._size or (encoded[0].shape[1], encoded[0].shape[2])  # a graph without a size is whole
        layout = self.manifest.layout(size)
        return [np.zeros(shape, spec.dtype) for (_, shape), spec in zip(layout, self.manifest.memory, strict=False)]

    def _image(self, images: Tensor) -> NDArray[np.uint8]:
        stride, size = self.manifest.stride, (images.shape[-2], images.shape[-1])
        fits = size == self._size if self._size else not any(side % stride for side in size)
        if images.ndim != 4 or images.shape[:2] != (1, 3) or images.dtype != torch.uint8 or not fits:
            height, width = self._size or (f"{stride}·h", f"{stride}·w")
            raise ConfigError(
                f"an image of shape {tuple(images.shape)} and {images.dtype}",
                expected=f"uint8 (1, 3, {height}, {width})",
                do="give one frame at a time, at the size that the model was exported for; a Stream resizes frames",
            )
        return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()


READERS: dict[str, tuple[RuntimeName, ...]] = {"onnx": ("openvino", "onnxruntime"), "openvino": ("openvino",)}
"""Runtimes that read the graphs of a target, the fastest on a CPU first."""


def open_exported(
    folder: Path,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    *,
    size: tuple[int, int] | None = None,
    frame: tuple[int, int] | None = None,
    workers: int = 1,
    cache: Path | None = None,
) -> ExportedNetwork:
    """The network in a folder that `tdseg export` wrote. Nothing in it is executed but the graphs themselves.

    Args:
        folder: with its tdseg.json.
        execution: device, runtime and threads; runtime "auto" is the fastest of those installed that read it.
        size: (height, width) of the input, pixels: OpenVINO runs a graph of any size faster where it takes one alone.
        frame: (height, width) of the frames, which say the size where it is not given and one alone is faster.
        workers: frames that are encoded at once, on a share of the threads each, where runtime and graph can do so.
        cache: folder where a runtime may keep what it compiles.

    Raises:
        ConfigError: the runtime does not read these graphs, is not installed, or lacks the device; or the size is none
            that the graph takes.
        WeightsError: the folder is incomplete, changed, or of another version.
    """
    manifest = read_manifest(folder)
    check_manifest(folder, manifest)
    runtime = choose_reader(folder, manifest.target, execution)
    graph, workers = folder / manifest.graph, workers if manifest.encoded else 1
    if size or frame or workers > 1:
        size = manifest.fit_size(size, frame=frame)
    if runtime == "onnxruntime":
        from tdseg.runtime.onnxruntime import OnnxRuntimeEngine

        engine = OnnxRuntimeEngine(graph, execution)
        check_graph(graph, manifest, engine.inputs, engine.outputs)
        return ExportedNetwork(manifest, engine, size)
    from tdseg.runtime.openvino import open_graph

    return ExportedNetwork(manifest, open_graph(graph, manifest, size, execution, workers=workers, cache=cache), size)


def choose_reader(name: object, target: str, execution: Execution) -> RuntimeName:
    """The runtime for a graph that is there already: the one asked for, or for "auto" the fastest one installed.

    Args:
        name: of the graph or its folder, printable.
        target: of READERS.
        execution: what is asked for.

    Raises:
        ConfigError: the runtime does not read such graphs, or is not installed.
    """
    readers = READERS[target]
    if execution.runtime != "auto":
        chosen: RuntimeName = execution.runtime
    else:  # on a GPU ONNX Runtime goes first: OpenVINO has only CPUs here
        order = readers if execution.device in ("cpu", "auto") else readers[::-1]
        chosen = next(filter(installed, order), readers[0])
    if chosen not in readers:
        raise ConfigError(
            f"runtime {chosen} for {name}, which holds {target} graphs",
            expected=" or ".join(readers),
            do="leave --runtime out, or export the model to another target",
        )
    require(chosen, extra="openvino" if chosen == "openvino" else "export")
    return chosen
