"""config.pbtxt: how NVIDIA Triton serves an exported ONNX graph, keeping the state of each sequence itself."""

from __future__ import annotations

from tdseg.runtime.manifest import Manifest, TensorSpec, past, present

CONFIG = "config.pbtxt"
_KINDS = {"uint8": "TYPE_UINT8", "float16": "TYPE_FP16", "float32": "TYPE_FP32", "int64": "TYPE_INT64"}


def triton_config(manifest: Manifest) -> str:
    """The text of a model configuration with implicit state; without, for a per-frame model."""
    parts = [
        f'name: "{manifest.model.name}"',
        'backend: "onnxruntime"',
        f'default_model_filename: "{manifest.graph}"',
        "max_batch_size: 1",
        f"input [ {_tensor(manifest.image)} ]",
        f"output [ {_tensor(manifest.logits)} ]",
    ]
    if manifest.memory:
        states = ",\n".join(_state(spec) for spec in manifest.memory)
        parts.append(f"sequence_batching {{\n  direct {{ }}\n  state [\n{states}\n  ]\n}}")
    return "\n".join(parts) + "\n"


def _tensor(spec: TensorSpec) -> str:
    return f'{{ name: "{spec.name}" {_typed(spec)} }}'


def _typed(spec: TensorSpec) -> str:
    """The first dimension is the batch, which Triton counts apart."""
    return f"data_type: {_KINDS[spec.dtype]} dims: [ {', '.join(map(str, spec.shape[1:]))} ]"


def _state(spec: TensorSpec) -> str:
    return (
        f'    {{ input_name: "{past(spec.name)}" output_name: "{present(spec.name)}" {_typed(spec)}\n'
        f'      initial_state: {{ name: "zeros" {_typed(spec)} zero_data: true }} }}'
    )
