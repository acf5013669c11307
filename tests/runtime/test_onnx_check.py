"""ONNX files that end the process of a runtime, or would read other files: refused before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="exports need the extra 'export'")

import onnx

from support.graphs import FLOAT, NCHW, tensor, write_graph
from tdseg.errors import WeightsError
from tdseg.runtime.onnx_check import check_onnx


def make(path: Path) -> Path:
    node = onnx.helper.make_node("Conv", ["image", "weight"], ["scores"], pads=[1, 1, 1, 1])
    outputs = [tensor("scores", FLOAT, (1, 4, *NCHW[2:]))]
    weight = np.zeros((4, 3, 3, 3), np.float32)
    return write_graph(path, [node], [tensor("image", FLOAT, NCHW)], outputs, weight=weight)


def unknown(model: Any) -> None:
    model.graph.node[0].op_type = "Nonsense"


def cycle(model: Any) -> None:
    model.graph.node[0].input[0] = "scores"


def huge(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**62


def short(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"1234"


def negative(model: Any) -> None:
    model.graph.initializer[0].dims[0] = -4


def outside(model: Any) -> None:
    weight = model.graph.initializer[0]
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def empty(model: Any) -> None:
    del model.graph.node[:]


def version(model: Any) -> None:
    model.opset_import[0].version = -1


def test_a_whole_one_passes(tmp_path: Path) -> None:
    check_onnx(make(tmp_path / "net.onnx"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (unknown, "'Nonsense'"),
        (cycle, "which nothing before it gives"),
        (huge, "values in a row"),
        (short, "4 bytes for 108 values"),
        (negative, "below 0"),
        (outside, "outside of its folder"),
        (empty, "no graph"),
        (version, "version -1"),
    ],
)
def test_others_are_refused(change: Callable[[Any], None], said: str, tmp_path: Path) -> None:
    path = make(tmp_path / "net.onnx")
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"net\.onnx") as raised:
        check_onnx(path)
    assert said in raised.value.got


def test_damage(tmp_path: Path) -> None:
    path = make(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError):
        check_onnx(path)
    with pytest.raises(WeightsError, match="No such file"):
        check_onnx(tmp_path / "gone.onnx")
