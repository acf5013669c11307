"""Graphs as files: ONNX by torch's exporter, and what OpenVINO makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tdseg.export.graph import StepGraph
from tdseg.export.quiet import quiet
from tdseg.runtime.layout import past, present
from tdseg.runtime.manifest import TensorSpec

OPSET = 18


def onnx_model(graph: StepGraph, image: TensorSpec, logits: TensorSpec, memory: Sequence[TensorSpec]) -> Any:
    """The onnx.ModelProto of a graph, with the names that the manifest gives."""
    inputs = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in (image, *memory))
    with quiet("torch.onnx"), torch.no_grad():
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=[image.name, *(past(spec.name) for spec in memory)],
            output_names=[logits.name, *(present(spec.name) for spec in memory)],
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def save_onnx(model: Any, path: Path) -> None:
    """Write an onnx.ModelProto."""
    import onnx

    onnx.save(model, path)


def save_openvino(model: Any, path: Path, *, half: bool, inside: Sequence[TensorSpec] = ()) -> None:
    """Write OpenVINO's form of an onnx.ModelProto, as .xml and .bin.

    Args:
        half: keep weights in float16; they are computed with as before.
        inside: the state, to be turned from inputs and outputs into variables of the model, which start as zeros.
    """
    import openvino
    from openvino import passes

    converted = openvino.Core().read_model(model.SerializeToString())
    if inside:
        manager = passes.Manager()
        manager.register_pass(passes.MakeStateful({past(spec.name): present(spec.name) for spec in inside}))
        manager.run_passes(converted)
    openvino.save_model(converted, path, compress_to_fp16=half)
