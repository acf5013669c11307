"""ONNX files that cannot be used, and descriptions that do not fit: refused in words, and by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper

from support.exports import require_extra
from support.graphs import BYTES, FLOAT, LONG, NCHW, argmax, echo, tensor, write_graph
from support.small import SIZE, write_clip
from tdseg.cli import REFUSED, main
from tdseg.errors import ConfigError, TdsegError, WeightsError
from tdseg.runtime.external.onnx_file import open_onnx
from tdseg.runtime.network import Execution

require_extra()
IMAGE = tensor("image", BYTES, NCHW)
DESCRIBED = [
    ("speed: 9", "speed"),
    ("layout: NHWC", "layout = NHWC"),
    ("layout: HWC", "layout"),
    ("channels: GBR", "channels"),
    ("num_classes: 4", "4 classes"),
    ("classes: [a, b]", "2 classes"),
    ("classes: [a, b, c]\npalette: [[1, 2, 3]]", "palette: 1"),
    ("palette: [[1, 2, 300], [0, 0, 0], [1, 1, 1]]", "palette.0.2"),
    ("size: [128, 128]", "size = [128, 128]"),
    ("size: [16, 16]", "size.0"),
    ("input: picture", "input = picture"),
    ("output: masks", "output = masks"),
    ("output_layout: NHWC", "3x64"),
    ("kind: indices\nnum_classes: 3", "as indices"),
    ("std: [1, 0, 1]", "std.1"),
    ("std: [1, .nan, 1]", "std.1"),
    ("mean: [.inf, 0, 0]", "mean.0"),
    ("mean: [1, 2]", "mean"),
    ("num_classes: 256", "num_classes"),
    ("range: 0..2", "range"),
    ("mean: [1, 2, 3", "not YAML"),
    ("- range: 0..255", "no fields"),
    ("", "no fields"),
    ("1: 2", "no fields"),
    ("mean: !!python/object/apply:os.system [exit]", "not YAML"),
    ("size: 2024-13-45", "not YAML"),
    ("x: " + 3000 * "[", "not YAML"),
    ("a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(8 * [f'*{a}'])}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ), "aliases"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), DESCRIBED, ids=range(len(DESCRIBED)))
def test_descriptions(text: str, said: str, tmp_path: Path) -> None:
    fitting = "" if "range" in text or said in ("not YAML", "no fields") else "range: 0..255\n"
    path = echo(tmp_path / "net.onnx", fitting + text)
    with pytest.raises(ConfigError) as raised:
        open_onnx(path, str(path), Execution("cpu", "onnxruntime"))
    assert said in raised.value.got + raised.value.expected
    assert "net.yaml" in str(raised.value)
    assert len(str(raised.value)) < 3000


def cast(path: Path, given: Any, taken: Any, text: str = "") -> Path:
    """An input and an output with nothing but a change of type between them; their shapes are only said."""
    node = helper.make_node("Cast", [given.name], [taken.name], to=taken.type.tensor_type.elem_type)
    return write_graph(path, [node], [given], [taken], text or None)


def pointwise(path: Path, classes: int) -> Path:
    """A convolution of one pixel."""
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=FLOAT),
        helper.make_node("Conv", ["values", "weight"], ["scores"]),
    ]
    output = tensor("scores", FLOAT, (1, classes, 64, 96))
    return write_graph(path, nodes, [IMAGE], [output], weight=np.ones((classes, 3, 1, 1), np.float32))


def float_indices(path: Path) -> Path:
    nodes = [
        helper.make_node("ArgMax", ["image"], ["numbers"], axis=1, keepdims=0),
        helper.make_node("Cast", ["numbers"], ["classes"], to=FLOAT),
    ]
    return write_graph(path, nodes, [IMAGE], [tensor("classes", FLOAT, (1, 64, 96))])


def two_outputs(path: Path) -> Path:
    nodes = [helper.make_node("Cast", ["image"], [name], to=FLOAT) for name in ("main", "aux")]
    return write_graph(
        path, nodes, [tensor("image", BYTES, NCHW)], [tensor(name, FLOAT, NCHW) for name in ("main", "aux")]
    )


def two_inputs(path: Path) -> Path:
    inputs = [tensor(name, FLOAT, NCHW) for name in ("image", "past")]
    return write_graph(path, [helper.make_node("Add", ["image", "past"], ["s"])], inputs, [tensor("s", FLOAT, NCHW)])


def total(path: Path) -> Path:
    node = helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=0)
    return write_graph(path, [node], [tensor("image", FLOAT, NCHW)], [tensor("sum", FLOAT, ())], "range: 0..255")


def rank_one(path: Path) -> Path:
    nodes = [helper.make_node("Reshape", ["image", "all"], ["flat"])]
    inputs, outputs = [tensor("image", FLOAT, NCHW)], [tensor("flat", FLOAT, (3 * 64 * 96,))]
    return write_graph(path, nodes, inputs, outputs, "range: 0..255", all=np.array([-1]))


def cut(path: Path) -> Path:
    whole = write_graph(
        path,
        [helper.make_node("Add", ["image", "weight"], ["scores"])],
        [tensor("image", FLOAT, NCHW)],
        [tensor("scores", FLOAT, NCHW)],
        "range: 0..255",
        weight=np.ones((1, 3, *SIZE), np.float32),
    )
    whole.write_bytes(whole.read_bytes()[:5000])
    return whole


def text_model(path: Path) -> Path:
    return cast(path, tensor("input_ids", LONG, (1, "tokens")), tensor("logits", FLOAT, (1, "tokens")))


def garbage(path: Path) -> Path:
    path.write_bytes(b"\x89PNG and so on" * 99)
    return path


def nothing(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def pickled(path: Path) -> Path:
    torch.save({"a": torch.zeros(1)}, path)
    return path


FILES: list[tuple[Callable[[Path], Path], str]] = [
    (garbage, "not an ONNX file"),
    (nothing, "not an ONNX file"),
    (pickled, "not an ONNX file"),
    (cut, "cannot load it"),
    (text_model, "input_ids, int64 (1, ?)"),
    (rank_one, "float32 (18432)"),
    (total, "sum, float32"),
    (two_outputs, "output: main"),
    (two_inputs, "past, float32 (1, 3, 64, 96)"),
    (argmax, "num_classes: 19"),
    (echo, "range: 0..1"),
    (lambda path: argmax(path, "num_classes: 3\nkind: scores"), "as scores"),
    (lambda path: argmax(path, "num_classes: 3\nmean: [1, 2, 3]"), "leave range, mean and std out"),
    (lambda path: echo(path, kind=BYTES, shape=(1, *SIZE, 3)), "output_layout: NHWC"),
    (lambda path: echo(path, kind=BYTES, shape=(1, "c", "h", "w")), "layout: NCHW"),
    (lambda path: echo(path, "layout: NCHW", kind=BYTES, shape=(1, "c", "h", "w")), "num_classes: 19"),
    (lambda path: echo(path, kind=BYTES, shape=(1, 4, 64, 96)), "3 channels"),
    (lambda path: echo(path, kind=BYTES, shape=(1, 3, 32, 96)), "at least 64"),
    (lambda path: echo(path, kind=BYTES, shape=(4, 3, 64, 96)), "one image at a time"),
    (lambda path: echo(path, kind=BYTES, shape=(3, 64, 96)), "(3, 64, 96)"),
    (lambda path: pointwise(path, 300), "300 classes"),
    (lambda path: pointwise(path, 1), "kind: indices"),
    (float_indices, "kind: indices"),
]  # fmt: skip


@pytest.mark.parametrize(("write", "said"), FILES, ids=range(len(FILES)))
def test_files(write: Callable[[Path], Path], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx")
    with pytest.raises(TdsegError) as raised:
        open_onnx(path, str(path), Execution("cpu", "onnxruntime"))
    assert said in str(raised.value)
    assert "net." in str(raised.value)


@pytest.mark.parametrize("write", [garbage, text_model, echo, argmax])
def test_the_command_refuses(write: Callable[[Path], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, clip = write(tmp_path / "net.onnx"), write_clip(tmp_path / "clip.mp4", 2)
    assert main(["segment", str(clip), "--model", str(path), "-o", str(tmp_path / "out")]) == REFUSED
    said = capfd.readouterr().err
    assert "net.onnx" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    path = echo(tmp_path / "net.onnx", kind=BYTES)
    for execution, said in (
        (Execution(runtime="torch"), "openvino or onnxruntime"),
        (Execution(compile=True), "form of torch"),
        (Execution("cuda", "openvino"), "OpenVINO"),
        (Execution("gpu"), "device"),
    ):
        with pytest.raises(ConfigError, match=said):
            open_onnx(path, "net.onnx", execution)


def test_a_graph_that_gives_something_else(tmp_path: Path) -> None:
    """What is not known before it runs is seen when it does."""
    node = helper.make_node("Cast", ["image"], ["scores"], to=FLOAT)
    free = tensor("scores", FLOAT, ("n", "c", "h", "w"))
    path = write_graph(
        tmp_path / "net.onnx", [node], [tensor("image", BYTES, (1, 3, "h", "w"))], [free], "num_classes: 5"
    )
    with pytest.raises((ConfigError, WeightsError), match=r"num_classes|5 classes"):
        open_onnx(path, "net.onnx", Execution("cpu", "onnxruntime")).encode(
            torch.zeros(1, 3, 64, 64, dtype=torch.uint8), 0
        )
