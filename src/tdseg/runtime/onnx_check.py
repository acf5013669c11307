"""ONNX files looked at before a runtime reads them: some end the process at what is damaged or made up."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tdseg.config import LARGE
from tdseg.errors import WeightsError
from tdseg.runtime.network import MOST_SIDE
from tdseg.system import installed

MOST_NODES = 200_000
MOST_LEVELS = 8
"""Of graphs inside of nodes."""
_KNOWN = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "org.openvinotoolkit")
"""Domains of operators that runtimes have."""


def check_onnx(path: Path) -> None:
    """See that the nodes of a graph are known and in order, and that sizes are what they are said to be.

    Without the package onnx nothing is looked at.

    Raises:
        WeightsError: they are not.
    """
    if not installed("onnx"):
        return
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        for problem in _problems(model, path):
            raise ValueError(problem)
    except OSError as error:
        raise _refused(path, error.strerror or "unreadable") from None
    except Exception as error:  # that of protobuf is of another package
        raise _refused(path, " ".join(str(error).split())[:300] or "damaged") from None


def _refused(path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{path}: {why}",
        expected="a whole ONNX graph of known operators, each after those that it needs",
        do="copy the file again, or export the network again",
    )


def _problems(model: Any, path: Path) -> Iterator[str]:
    from onnx import defs

    graph = model.graph
    if not graph.node:
        yield "no graph in it"
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    for domain, version in opsets.items():
        if not 0 < version < LARGE:
            yield f"version {version} of the operators of {domain or 'ONNX'}"
    functions = {(function.domain, function.name) for function in model.functions}
    has = {schema.name for schema in defs.get_all_schemas() if schema.domain in _KNOWN}
    yield from _of_graph(graph, path, set(), functions, has, 0)


def _of_graph(
    graph: Any, path: Path, above: set[str], functions: set[tuple[str, str]], has: set[str], level: int
) -> Iterator[str]:
    """Problems of a graph; `above` are the tensors around it."""
    if level > MOST_LEVELS or len(graph.node) > MOST_NODES:
        yield "too large a graph"
        return
    for tensor in graph.initializer:
        yield from _of_weights(tensor, path)
    for tensor in (*graph.input, *graph.output):
        yield from _of_shape(tensor)
    known = above | {tensor.name for tensor in (*graph.input, *graph.initializer)} | {""}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        name = node.op_type
        if node.domain in _KNOWN[:2] and name not in has and (node.domain, name) not in functions:
            yield f"an operator {name!r} that ONNX does not have"
        if missing := [one for one in node.input if one not in known]:
            yield f"{name} needs {missing[0]!r}, which nothing before it gives"
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _of_graph(inner, path, known, functions, has, level + 1)
        known.update(node.output)
    if missing := [tensor.name for tensor in graph.output if tensor.name not in known]:
        yield f"an output {missing[0]!r} that nothing gives"


def _of_shape(tensor: Any) -> Iterator[str]:
    """Problems of an input or output."""
    for side in tensor.type.tensor_type.shape.dim:
        if side.HasField("dim_value") and not -1 <= side.dim_value <= LARGE:
            yield f"{tensor.name} of {side.dim_value} values in a row"
    sides = [side.dim_value for side in tensor.type.tensor_type.shape.dim if side.dim_value > 0]
    if math.prod(sides) > 16 * MOST_SIDE**2:
        yield f"{tensor.name} of {math.prod(sides)} values"


def _of_weights(tensor: Any, path: Path) -> Iterator[str]:
    """Problems of what is stored."""
    count = math.prod(tensor.dims)
    if any(side < 0 for side in tensor.dims):
        yield f"{tensor.name} of a side below 0"
    for entry in tensor.external_data:
        if entry.key == "location":
            place = Path(os.path.realpath(path.parent / entry.value))
            if not place.is_relative_to(os.path.realpath(path.parent)):
                yield f"weights of {tensor.name} outside of its folder, in {entry.value}"
    if tensor.HasField("raw_data") and len(tensor.raw_data) * 8 < count * _LEAST_BITS.get(tensor.data_type, 4):
        yield f"{tensor.name} with {len(tensor.raw_data)} bytes for {count} values"


_LEAST_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16}
"""Of a value, by the number of its type; fewer in types that are packed."""
