"""ONNX Runtime: on CPUs, and through its execution providers on GPUs and Apple's accelerators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, WeightsError, first_line
from tdseg.runtime.engine import Arrays, GraphTensor
from tdseg.runtime.network import Execution, RuntimeName
from tdseg.system import split_device

_CPU = "CPUExecutionProvider"
_GPU = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
_PROVIDERS = {"cpu": (_CPU,), "cuda": _GPU, "auto": (*_GPU, "CoreMLExecutionProvider", _CPU)}
"""For each kind of device, the best first. What a provider cannot run, the CPU does."""
_FATAL, _WARNING = 4, 2


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime.

    Args:
        graph: the .onnx file.
        execution: its device, "auto" being the best execution provider that works here, and its threads.

    Raises:
        ConfigError: an unknown device, or none of its providers works here.
        WeightsError: the graph cannot be loaded.
    """

    name: RuntimeName = "onnxruntime"

    def __init__(self, graph: Path, execution: Execution) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = execution.threads or 0
        options.log_severity_level = 3  # errors only
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # decoding and drawing want the cores
        kind, index = split_device(execution.device)
        available = onnxruntime.get_available_providers()
        for provider in filter(available.__contains__, _PROVIDERS[kind]):
            session = _open(graph, options, provider, {"device_id": index} if index else {})
            if session is not None:
                break
        else:
            raise ConfigError(
                f"device {execution.device}, on which ONNX Runtime {onnxruntime.__version__} does not work here",
                expected=f"{' or '.join(_PROVIDERS[kind])} and its libraries; this build has {', '.join(available)}",
                do="pip install 'onnxruntime-gpu[cuda,cudnn]' in place of onnxruntime, or use --device cpu",
            )
        self._session = session
        self.where: str = provider.removesuffix("ExecutionProvider").lower()
        self.inputs, self.outputs = (tuple(map(_told, some)) for some in (session.get_inputs(), session.get_outputs()))
        self._names = [tensor.name for tensor in self.inputs]

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """See `Engine`."""
        outputs: Arrays = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return outputs


def _told(tensor: Any) -> GraphTensor:
    """What ONNX Runtime tells of an input or output, such as "tensor(float)", [1, 3, "height", "width"]."""
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    sides = (side if isinstance(side, int) and side >= 0 else None for side in tensor.shape or ())
    return GraphTensor(tensor.name, {"float": "float32", "double": "float64"}.get(kind, kind), tuple(sides) or None)


def _open(graph: Path, options: Any, provider: str, choice: dict[str, int]) -> Any:
    """A session on a provider; None where it does not work: a build lists all that it was made for, drivers or not."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)  # it would print what it does not find
    try:
        providers = [(provider, choice), _CPU] if provider != _CPU else [_CPU]
        session = onnxruntime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    except Exception as error:  # its own kinds share no base
        if provider != _CPU:
            return None
        raise WeightsError(
            f"{graph}: ONNX Runtime {onnxruntime.__version__} cannot load it ({first_line(error)})",
            expected="a graph of an opset that it knows",
            do="pip install --upgrade onnxruntime, or export the model again here",
        ) from None
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
    return session if session.get_providers()[0] == provider else None
