"""Small ONNX graphs as others might give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, BYTES, LONG = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64
Shape = Sequence[int | str]
NCHW: Shape = (1, 3, 64, 96)


def tensor(name: str, kind: int, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def write_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    text: str | None = None,
    **weights: Any,
) -> Path:
    """A graph of some nodes, and what is written beside it."""
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9), path)
    if text is not None:
        path.with_suffix(".yaml").write_text(text, encoding="utf-8")
    return path


def echo(path: Path, text: str | None = None, *, kind: int = FLOAT, shape: Shape = NCHW) -> Path:
    """Three classes, whose scores are what the graph is given."""
    inputs, outputs = [tensor("image", kind, shape)], [tensor("scores", FLOAT, shape)]
    return write_graph(path, [helper.make_node("Cast", ["image"], ["scores"], to=FLOAT)], inputs, outputs, text)


def argmax(path: Path, text: str | None = None, *, keep: bool = False, shape: Shape = NCHW) -> Path:
    """The number of the largest channel, as an index: int64 (1, h, w), or with keep (1, 1, h, w)."""
    node = helper.make_node("ArgMax", ["values"], ["classes"], axis=1, keepdims=int(keep))
    cast = helper.make_node("Cast", ["image"], ["values"], to=FLOAT)
    size = [1, *([1] if keep else []), *shape[2:]]
    return write_graph(path, [cast, node], [tensor("image", BYTES, shape)], [tensor("classes", LONG, size)], text)


def red(path: Path, text: str | None = None) -> Path:
    """The red of each pixel as its class, uint8 (1, h, w)."""
    node = helper.make_node("Gather", ["image", "first"], ["classes"], axis=1)
    outputs = [tensor("classes", BYTES, (1, 64, 96))]
    return write_graph(path, [node], [tensor("image", BYTES, NCHW)], outputs, text, first=np.int64(0))
