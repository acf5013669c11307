"""OpenVINO, on CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, WeightsError
from tdseg.runtime.exported import Arrays


class OpenVinoEngine:
    """A graph in OpenVINO.

    Args:
        graph: the .xml or .onnx file.
        device: "cpu" or "auto", which is the same.
        threads: of the CPU; None: its own choice.
        cache: folder to keep the compiled graph in, for a faster start next time.

    Raises:
        ConfigError: another device.
        WeightsError: the graph cannot be loaded.
    """

    name = "openvino"
    where = "cpu"

    def __init__(self, graph: Path, *, device: str, threads: int | None, cache: Path | None = None) -> None:
        if device not in ("cpu", "auto"):
            raise ConfigError(
                f"device {device} with OpenVINO",
                expected="cpu or auto",
                do="use --runtime onnxruntime or torch on a GPU",
            )
        self._compiled = compile_graph(graph, threads=threads, cache=cache)
        self._free: SimpleQueue[Any] = SimpleQueue()
        """What runs the graph; there come to be as many as threads that ever ran it at once."""

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


def compile_graph(graph: Path, *, threads: int | None = None, cache: Path | None = None) -> Any:
    """An openvino.CompiledModel of a graph, for one frame at a time. Arguments and errors: see `OpenVinoEngine`."""
    import openvino

    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    if cache:
        settings["CACHE_DIR"] = str(cache)
    try:
        # In a thread that ends with it: compiling gives its thread another stack for signals, and frees that with the
        # compiled model. On the main thread the next signal, such as an interrupt, would then crash the process.
        with ThreadPoolExecutor(1, "tdseg-compile") as thread:
            return thread.submit(openvino.Core().compile_model, graph, "CPU", settings).result()
    except RuntimeError as error:
        raise WeightsError(
            f"{graph}: OpenVINO {openvino.__version__} cannot load it ({str(error).strip().splitlines()[-1].strip()})",
            expected="a graph of this version of OpenVINO or of an older one",
            do="pip install --upgrade openvino, or export the model again here",
        ) from None
