"""Graphs as files: ONNX by torch's exporter, and what OpenVINO makes of that."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.export import Dim

from tdseg.config import MIN_SIZE
from tdseg.export.graph import StepGraph
from tdseg.export.join import chain
from tdseg.export.same import translations
from tdseg.models.propagation import kind_of
from tdseg.runtime.manifest import TensorSpec, past, present

OPSET = 18
_MOST_CELLS = 2048
"""Of a feature map, in each direction, in a graph of any size."""


class Traced(NamedTuple):
    """A step as ONNX."""

    model: Any
    """onnx.ModelProto"""
    encoded: tuple[str, ...]
    """Tensors inside it, which hold what a frame is by itself: all that is before them knows nothing of the state."""


def trace(
    graph: StepGraph, image: TensorSpec, logits: TensorSpec, memory: Sequence[TensorSpec], *, dynamic: bool
) -> Traced:
    """A step as ONNX, with the names that the manifest gives; its encoded tensors are named after the fields of a code.

    Args:
        graph: of one path.
        image, logits, memory: what goes in and comes out, with the shapes that the graph is traced with.
        dynamic: the graph takes any size that is a multiple of its stride.
    """
    frame, *state = (torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in (image, *memory))
    free = _dynamic_shapes(graph) if dynamic else (None, None)
    with torch.no_grad():
        code = graph.encode(frame)
        encoded = tuple(f"encoded_{field}" for field in code._fields)
        encode = trace_module(graph.encode, (frame,), [image.name], encoded, free[0])
        merge = trace_module(
            graph.merge,
            (code, tuple(state)) if state else (code,),
            [*encoded, *(past(spec.name) for spec in memory)],
            [logits.name, *(present(spec.name) for spec in memory)],
            free[1],
        )
    return Traced(chain(encode, merge), encoded)


def trace_module(
    graph: nn.Module, inputs: tuple[Any, ...], names: Sequence[str], outputs: Sequence[str], free: dict[str, Any] | None
) -> Any:
    """A module as an onnx.ModelProto, with dimensions that are free."""
    with quiet("torch.onnx"):
        program = torch.onnx.export(
            graph,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=free,
            custom_translation_table=translations(),
            input_names=names,
            output_names=outputs,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]  # lines of code and their places on this machine
    return model


def _dynamic_shapes(graph: StepGraph) -> tuple[dict[str, Any], dict[str, Any]]:
    """Which dimensions may differ from call to call, and how they hang together: of both parts of a step."""
    stride = graph.stride
    height, width = (Dim(name, min=MIN_SIZE // stride, max=_MOST_CELLS) for name in ("h", "w"))
    some, others = ((29, 37), (31, 41))  # cells: what differs between the two is free

    def free(one: Sequence[int], other: Sequence[int]) -> dict[int, Any]:
        known = {(some[0], others[0]): height, (some[1], others[1]): width}
        pairs = enumerate(zip(one, other, strict=True))
        return {axis: known.get(sizes, Dim.AUTO) for axis, sizes in pairs if sizes[0] != sizes[1]}

    def shapes(cells: tuple[int, int]) -> tuple[Any, list[tuple[int, ...]]]:
        frame = torch.zeros(1, *(stride * n for n in cells), 3, dtype=torch.uint8)
        return graph.encode(frame), [one.shape for one in kind_of(graph.config).layout(graph.config, cells)]

    (code, past), (other_code, other_past) = shapes(some), shapes(others)
    merge = {"code": type(code)(*(free(one.shape, other.shape) for one, other in zip(code, other_code, strict=True)))}
    if past:
        merge["past"] = tuple(map(free, past, other_past))
    return {"image": {1: stride * height, 2: stride * width}}, merge


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
