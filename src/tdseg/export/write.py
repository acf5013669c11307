"""Graphs as files: ONNX by torch's exporter, and what OpenVINO makes of that."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.export import Dim

from tdseg.config import MIN_SIZE
from tdseg.export.graph import StepGraph
from tdseg.export.same import translations
from tdseg.models.propagation import kind_of
from tdseg.runtime.manifest import TensorSpec, past, present

OPSET = 18
_MOST_CELLS = 2048
"""Of a feature map, in each direction, in a graph of any size."""


class Traced(NamedTuple):
    """A graph as ONNX."""

    model: Any
    """onnx.ModelProto"""
    encoded: tuple[str, ...]
    """Tensors inside it, which hold what a frame is by itself: all that is before them knows nothing of the state."""


def trace(
    graph: StepGraph, image: TensorSpec, logits: TensorSpec, memory: Sequence[TensorSpec], *, dynamic: bool
) -> Traced:
    """A graph as ONNX, with the names that the manifest gives.

    Args:
        graph: of one path.
        image, logits, memory: what goes in and comes out, with the shapes that the graph is traced with.
        dynamic: the graph takes any size that is a multiple of its stride.
    """
    inputs = tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in (image, *memory))
    with quiet("torch.onnx"), torch.no_grad():
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=_dynamic_shapes(graph) if dynamic else None,
            custom_translation_table=translations(),
            input_names=[image.name, *(past(spec.name) for spec in memory)],
            output_names=[logits.name, *(present(spec.name) for spec in memory)],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]  # lines of code and their places on this machine
    return Traced(model, _take_off(model, 1 + len(memory)))


def _take_off(model: Any, count: int) -> tuple[str, ...]:
    """Make what comes after the first `count` outputs tensors inside the graph, in place; their names there."""
    outputs = model.graph.output
    extra = [value.name for value in outputs[count:]]
    del outputs[count:]
    same = {node.output[0]: node for node in model.graph.node if node.op_type == "Identity" and node.output[0] in extra}
    for node in same.values():  # the exporter's second name for a tensor that is an output already
        model.graph.node.remove(node)
    return tuple(dict.fromkeys(same[name].input[0] if name in same else name for name in extra))


def _dynamic_shapes(graph: StepGraph) -> dict[str, Any]:
    """Which dimensions may differ from call to call, and how they hang together."""
    stride = graph.path.subnet.stride
    height, width = (Dim(name, min=MIN_SIZE // stride, max=_MOST_CELLS) for name in ("h", "w"))
    some, others = ((29, 37), (31, 41))  # cells: what differs between the two is free
    layouts = (kind_of(graph.config).layout(graph.config, size) for size in (some, others))
    past = tuple(
        {
            axis: {(some[0], others[0]): height, (some[1], others[1]): width}.get(sizes, Dim.AUTO)
            for axis, sizes in enumerate(zip(one.shape, other.shape, strict=True))
            if sizes[0] != sizes[1]
        }
        for one, other in zip(*layouts, strict=True)
    )
    return {"image": {1: stride * height, 2: stride * width}, "past": past}


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


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Without warnings, and without what a library logs that is not an error.

    Args:
        name: of its logger.
    """
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
