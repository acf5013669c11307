"""OpenVINO, on CPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, WeightsError
from tdseg.runtime.compiled import trusted_blobs
from tdseg.runtime.contract import check_graph
from tdseg.runtime.engine import Arrays, GraphTensor, Parts
from tdseg.runtime.manifest import Manifest, past
from tdseg.runtime.network import Execution, RuntimeName
from tdseg.runtime.onnx_check import check_onnx

T = TypeVar("T")
_SIZES = 2
"""Forms of a graph that are kept, each for one size."""


class OpenVinoEngine:
    """A graph in OpenVINO.

    Args:
        compiled: an openvino.CompiledModel.
        model: the openvino.Model it is of, which knows inputs and outputs by their own names alone: compiled, one may
            have those of tensors that it was fused with.
    """

    name: RuntimeName = "openvino"
    where = "cpu"

    def __init__(self, compiled: Any, model: Any = None) -> None:
        self._compiled = compiled
        ports = compiled if model is None else model
        self.inputs, self.outputs = (tuple(map(_told, some)) for some in (ports.inputs, ports.outputs))
        self._free: SimpleQueue[Any] = SimpleQueue()
        """Requests that run the graph; there come to be as many as threads that ever ran it at once."""

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """See `Engine`."""
        try:
            request = self._free.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        results = request.infer(inputs, share_inputs=True, share_outputs=True)
        outputs = [np.array(results[index]) for index in range(len(results))]  # its memory serves the next frame
        self._free.put(request)
        return outputs


class OpenVinoSizes:
    """A graph that takes several sizes, compiled for each that it meets. See `Engine`.

    That is faster, and then only does OpenVINO refuse a size that does not fit: else it would compute something.

    Args:
        model: an openvino.Model.
        threads: of the CPU; None: all cores.

    Raises:
        WeightsError: it cannot be compiled.
    """

    name: RuntimeName = "openvino"
    where = "cpu"

    def __init__(self, model: Any, threads: int | None) -> None:
        self._model, self._threads = model, threads
        compile_graph(model, threads=threads)  # what OpenVINO does not know is refused now
        self.inputs, self.outputs = (tuple(map(_told, some)) for some in (model.inputs, model.outputs))
        self._sized = lru_cache(_SIZES)(self._compile)
        self._one = Lock()

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """See `Engine`."""
        with self._one:  # else every thread would compile for the first frame
            engine = self._sized(tuple(array.shape for array in inputs))
        return engine.run(inputs)

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> OpenVinoEngine:
        model = self._model.clone()
        model.reshape({index: list(shape) for index, shape in enumerate(shapes)})
        return OpenVinoEngine(compile_graph(model, threads=self._threads))


def open_bare(graph: Path, threads: int | None) -> OpenVinoEngine | OpenVinoSizes:
    """A graph without a manifest, for the size or the sizes that it takes.

    Args:
        graph: the .onnx file.
        threads: of the CPU; None: all cores.

    Raises:
        WeightsError: the graph cannot be loaded.
    """
    import openvino

    check_onnx(graph)
    model = _explained(graph, lambda: openvino.Core().read_model(graph))
    model.set_friendly_name(str(graph))
    if any(port.partial_shape.is_dynamic for port in model.inputs):
        return OpenVinoSizes(model, threads)
    return OpenVinoEngine(compile_graph(model, threads=threads), model)


def _told(port: Any) -> GraphTensor:
    """What OpenVINO tells of an input or output."""
    shape = port.partial_shape
    sides = None if shape.rank.is_dynamic else tuple(None if side.is_dynamic else side.get_length() for side in shape)
    kind = port.element_type.get_type_name()  # such as f32, i64, u8, boolean
    bits = {"f": "float", "i": "int", "u": "uint"}
    name = f"{bits[kind[0]]}{kind[1:]}" if kind[0] in bits and kind[1:].isdecimal() else kind
    return GraphTensor(port.get_any_name() if port.get_names() else "", name, sides or None)


def open_graph(
    graph: Path,
    manifest: Manifest,
    size: tuple[int, int] | None,
    execution: Execution,
    *,
    workers: int = 1,
    cache: Path | None = None,
) -> OpenVinoEngine | Parts:
    """A graph, whole, or in two parts for several frames at once.

    Args:
        graph: the .xml or .onnx file.
        manifest: of the graph.
        size: (height, width) of the input, pixels; None: any that the graph takes.
        execution: its device, "cpu" or "auto", which is the same, and its threads.
        workers: frames at once, on a share of the threads each. More than one need a size, and tensors to cut at.
        cache: folder to keep what is compiled in, for a faster start next time.

    Raises:
        ConfigError: another device, or a size at which a graph of any size does not run.
        WeightsError: the graph cannot be loaded.
    """
    check_device(execution.device)
    threads = execution.threads
    model = _explained(graph, lambda: _read(graph, manifest))
    own = None if cache is None else cache / manifest.sha256[manifest.graph][:16]
    try:
        _explained(graph, lambda: _resize(model, manifest, size))
        with trusted_blobs(own) as kept:
            if workers == 1:
                return OpenVinoEngine(compile_graph(model, threads=threads, cache=kept))
            encode, merge = _explained(graph, lambda: _cut(model, manifest))
            return Parts(
                OpenVinoEngine(compile_graph(encode, threads=threads, cache=kept, streams=workers)),
                OpenVinoEngine(compile_graph(merge, threads=1, cache=kept)),
            )
    except WeightsError as error:
        if size is None or manifest.size:
            raise
        raise ConfigError(
            f"size {size[0]}x{size[1]}, at which the network does not run: {error.got}",
            expected="a size for which there is memory",
            do="choose a smaller --size",
        ) from error


def check_device(device: str) -> None:
    """Refuse a device that is not used through OpenVINO here.

    Raises:
        ConfigError: another than "cpu" or "auto", which is the same.
    """
    if device not in ("cpu", "auto"):
        raise ConfigError(
            f"device {device} with OpenVINO",
            expected="cpu or auto",
            do="use --runtime onnxruntime or torch on a GPU",
        )


def compile_graph(graph: Any, *, threads: int | None = None, cache: Path | None = None, streams: int = 1) -> Any:
    """An openvino.CompiledModel.

    Args:
        graph: file, or openvino.Model.
        threads, cache: as of `open_graph`, with its errors.
        streams: frames at once, which share the threads.
    """
    import openvino

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    settings |= {"PERFORMANCE_HINT": "LATENCY"} if streams == 1 else {"NUM_STREAMS": streams}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    if cache:
        settings["CACHE_DIR"] = str(cache)
    # In a thread that ends with it: compiling gives its thread another stack for signals, and frees that with the
    # compiled model. On the main thread the next signal, such as an interrupt, would then crash the process.
    with ThreadPoolExecutor(1, "tdseg-compile") as thread:
        work = thread.submit(openvino.Core().compile_model, graph, "CPU", settings)
        return _explained(graph if isinstance(graph, Path) else graph.get_friendly_name(), work.result)


def _read(graph: Path, manifest: Manifest) -> Any:
    """The openvino.Model in a file, seen to be what its manifest says."""
    import openvino

    if graph.suffix == ".onnx":
        check_onnx(graph)
    model = openvino.Core().read_model(graph)
    model.set_friendly_name(str(graph))
    check_graph(graph, manifest, *(tuple(map(_told, ports)) for ports in (model.inputs, model.outputs)))
    return model


def _resize(model: Any, manifest: Manifest, size: tuple[int, int] | None) -> None:
    """Let a model take one size alone, if one is given: that is faster."""
    from openvino import opset13 as ops

    if size is None or manifest.size:
        return
    memory = manifest.layout(size)
    model.reshape({manifest.image.name: [1, *size, 3], **{past(one.name): list(one.shape) for one in memory}})
    for node in model.get_ordered_ops():  # sizes are known now: what asks the state for one shall not
        if node.get_type_name() == "ShapeOf":
            shape = np.array(node.input_value(0).get_shape())
            _replace(node.output(0), ops.constant(shape, node.get_output_element_type(0)))


def _cut(whole: Any, manifest: Manifest) -> tuple[Any, Any]:
    """A model up to its encoded tensors, and from there on; a part that differs by path takes the path last."""
    from openvino import Model
    from openvino import opset13 as ops

    first = whole.clone()
    image, *_ = inputs = first.get_parameters()
    state, outputs = whole.get_parameters()[1:], whole.get_results()
    if manifest.has_turns:  # the path is the last of the state, and its next one is for whoever runs the whole
        outputs = outputs[:-1]
        state = state if "merge" in manifest.by_path else state[:-1]
    told = inputs[-1:] if "encode" in manifest.by_path else []
    results = [ops.result(_tensor(first, name)) for name in manifest.encoded]
    encoded = []
    for tensor in [_tensor(whole, name) for name in manifest.encoded]:
        encoded.append(ops.parameter(tensor.get_shape(), tensor.get_element_type()))
        _replace(tensor, encoded[-1])
    name = whole.get_friendly_name()
    encode = Model(results, [image, *told], f"{name}, encoding")
    return encode, Model(outputs, [*encoded, *state], f"{name}, merging")


def _tensor(model: Any, name: str) -> Any:
    for node in model.get_ops():
        for output in node.outputs():
            if name in output.get_names():
                return output
    raise RuntimeError(f"no tensor {name}")


def _replace(tensor: Any, node: Any) -> None:
    for reader in tensor.get_target_inputs():
        reader.replace_source_output(node.output(0))


def _explained(graph: object, load: Callable[[], T]) -> T:
    """The value of `load`; OpenVINO's errors as ours."""
    import openvino

    try:
        return load()
    except (RuntimeError, ValueError, OverflowError) as error:  # ValueError: of names that are no text
        why = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise WeightsError(
            f"{graph}: OpenVINO {openvino.__version__} cannot load it ({why})",
            expected="a graph of this version of OpenVINO or of an older one",
            do="pip install --upgrade openvino, or export the model again here",
        ) from None
