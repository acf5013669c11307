"""ONNX Runtime: on CPUs, and through its execution providers on GPUs and Apple's accelerators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, WeightsError
from tdseg.runtime.exported import Arrays

_PROVIDERS = {
    "cuda": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
    "cpu": (),
    "auto": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CoreMLExecutionProvider"),
}
_FALL_BACK = "CPUExecutionProvider"


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime.

    Args:
        graph: the .onnx file.
        device: "cpu", "cuda", or "auto": the best execution provider that this build of ONNX Runtime has.
        threads: of the CPU; None: its own choice.

    Raises:
        ConfigError: this build has no provider for the device.
        WeightsError: the graph cannot be loaded.
    """

    name = "onnxruntime"

    def __init__(self, graph: Path, *, device: str, threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding and drawing want the cores
        providers = _providers(device, onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=providers)
        except Exception as error:  # its own kinds share no base
            raise WeightsError(
                f"{graph}: ONNX Runtime {onnxruntime.__version__} cannot load it ({str(error).splitlines()[0]})",
                expected="a graph of an opset that it knows",
                do="pip install --upgrade onnxruntime, or export the model again here",
            ) from None
        self.where: str = self._session.get_providers()[0].removesuffix("ExecutionProvider").lower()
        self._names = [tensor.name for tensor in self._session.get_inputs()]

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """See `Engine`."""
        outputs: Arrays = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return outputs


def _providers(device: str, available: list[str]) -> list[str]:
    kind = device.partition(":")[0]
    wanted = [name for name in _PROVIDERS[kind] if name in available]
    if kind == "cuda" and not wanted:
        raise ConfigError(
            f"device {device}, which this build of ONNX Runtime has no provider for",
            expected=f"one of {', '.join(_PROVIDERS['cuda'])}; it has {', '.join(available)}",
            do="pip install onnxruntime-gpu in place of onnxruntime, or use --device cpu",
        )
    return [*wanted, _FALL_BACK]
