"""ONNX files of others: what goes in, what comes out, and what is said of those that cannot be used."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from PIL import Image

import tdseg
from support.exports import require_extra
from support.graphs import BYTES, FLOAT, HALF, NCHW, argmax, echo, red, tensor, write_graph
from support.small import SIZE, moving_frames, write_clip
from tdseg.cli import DONE, main
from tdseg.errors import ConfigError
from tdseg.runtime.external.onnx_file import OnnxNetwork, index_scores, open_onnx
from tdseg.runtime.network import AnyRuntime, Execution
from tdseg.video import open_video
from tdseg.zoo.load import prepare

require_extra()
BOTH = pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
ANY = (1, 3, "h", "w")
IMAGENET = "range: 0..1\nmean: [0.485, 0.456, 0.406]\nstd: [0.229, 0.224, 0.225]\n"


def network(path: Path, runtime: AnyRuntime = "onnxruntime") -> OnnxNetwork:
    found = open_onnx(path, str(path), Execution("cpu", runtime, threads=1))
    assert isinstance(found, OnnxNetwork)
    return found


def pictures(count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, *SIZE), dtype=torch.uint8, generator=generator)


@BOTH
@pytest.mark.parametrize("kind", [FLOAT, HALF, BYTES])
def test_bytes_reach_the_graph_as_they_are(kind: int, runtime: AnyRuntime, tmp_path: Path) -> None:
    found = network(echo(tmp_path / "net.onnx", None if kind == BYTES else "range: 0..255", kind=kind), runtime)
    assert (found.config.name, found.runtime, found.config.num_classes) == ("net", runtime, 3)
    assert found.precision == ("fp16" if kind == HALF else "fp32")
    assert torch.equal(found.scores(pictures(2)), pictures(2).float())


@BOTH
def test_values_are_as_described(runtime: AnyRuntime, tmp_path: Path) -> None:
    """The graph gives back what it was given; mean and std are in its order of channels."""
    given = pictures().double() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    rgb, bgr = (given - mean) / std, (given.flip(1) - mean) / std
    for text, expected in ((IMAGENET, rgb), (f"{IMAGENET}channels: BGR\n", bgr)):
        found = network(echo(tmp_path / "net.onnx", text), runtime)
        torch.testing.assert_close(found.scores(pictures()), expected.float(), rtol=0, atol=1e-5)
    last = f"{IMAGENET}output_layout: NHWC\n"
    found = network(echo(tmp_path / "net.onnx", last, shape=(1, *SIZE, 3)), runtime)
    torch.testing.assert_close(found.scores(pictures()), rgb.float(), rtol=0, atol=1e-5)
    found = network(echo(tmp_path / "net.onnx", "range: 0..255\nmean: [104, 117, 123]\nchannels: BGR\n"), runtime)
    expected = pictures().flip(1).float() - torch.tensor([104.0, 117, 123])[:, None, None]
    torch.testing.assert_close(found.scores(pictures()), expected)


@BOTH
@pytest.mark.parametrize("keep", [False, True])
def test_colours_have_their_classes(keep: bool, runtime: AnyRuntime, tmp_path: Path) -> None:
    """Red, green and blue stripes, of scores and of indices."""
    frame = np.zeros((*SIZE, 3), np.uint8)
    truth = np.arange(SIZE[1]) // 32 * np.ones((SIZE[0], 1), int)
    np.put_along_axis(frame, truth[..., None], 200, axis=2)
    scores = network(echo(tmp_path / "scores.onnx", kind=BYTES), runtime)
    indices = network(argmax(tmp_path / "indices.onnx", "classes: [red, green, blue]", keep=keep), runtime)
    assert indices.config.classes == ("red", "green", "blue")
    for one in (scores, indices):
        result = tdseg.Stream(one).step(frame)
        assert np.array_equal(result.mask, truth)
        assert result.confidence.min() > 0.99
    reverse = network(echo(tmp_path / "scores.onnx", "channels: BGR", kind=BYTES), runtime)
    assert np.array_equal(tdseg.Stream(reverse).step(frame).mask, 2 - truth)


def test_indices_are_votes(tmp_path: Path) -> None:
    images = pictures()
    images[:, 0] %= 5
    images[:, 0, :8] = 255
    scores = network(red(tmp_path / "net.onnx", "num_classes: 3")).scores(images)
    assert scores.dtype == torch.float32
    for index in range(3):
        assert torch.equal(scores[:, index] > 0, images[:, 0] == index)
    assert set(scores.flatten().tolist()) == {0.0, 10.0}
    assert not scores[:, :, :8].any()


def test_many_votes_are_averaged() -> None:
    indices = torch.zeros(1, 640, 640, dtype=torch.int64)
    indices[:, ::2], indices[:, 1::2, 1::2] = 7, 254
    scores = index_scores(indices, 255, (640, 640))
    assert scores.shape == (1, 255, 320, 320)
    assert set(scores[:, 7].flatten().tolist()) == {5.0}
    assert set(scores[:, [0, 254]].flatten().tolist()) == {2.5}
    assert torch.equal(scores.sum(1), torch.full((1, 320, 320), 10.0))


def test_sizes(tmp_path: Path) -> None:
    fixed = network(echo(tmp_path / "fixed.onnx", kind=BYTES))
    assert fixed.fit_size(None, (720, 1280)) == fixed.fit_size(SIZE) == SIZE
    free = network(echo(tmp_path / "free.onnx", kind=BYTES, shape=ANY))
    assert free.fit_size(None, (540, 960)) == (544, 960)
    assert free.fit_size(None, (30, 40)) == (64, 64)
    assert free.fit_size((100, 200), (540, 960)) == (100, 200)
    told = network(echo(tmp_path / "told.onnx", "size: [96, 128]", kind=BYTES, shape=ANY))
    assert told.fit_size(None, (540, 960)) == told.config.size == (96, 128)
    assert told.fit_size((64, 64)) == (64, 64)
    high = network(echo(tmp_path / "high.onnx", "size: [64, 128]", kind=BYTES, shape=(1, 3, 64, "w")))
    assert high.fit_size(None) == (64, 128)
    asked = tdseg.load(tmp_path / "free.onnx", runtime="onnxruntime", size=(128, 160))
    assert asked.fit_size(None, (540, 960)) == asked.config.size == (128, 160)
    with pytest.raises(ConfigError, match="size 128x160"):
        tdseg.load(tmp_path / "fixed.onnx", runtime="onnxruntime", size=(128, 160))
    for one, size in ((fixed, (128, 192)), (high, (128, 128)), (free, (32, 64))):
        with pytest.raises(ConfigError, match=f"size {size[0]}x{size[1]}"):
            one.fit_size(size)


@BOTH
def test_a_size_at_which_it_does_not_run(runtime: AnyRuntime, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=FLOAT),
        helper.make_node("Add", ["values", "place"], ["scores"]),
    ]
    inputs, outputs = [tensor("image", BYTES, ANY)], [tensor("scores", FLOAT, NCHW)]
    place = np.zeros(SIZE, np.float32)  # a bias for each position
    found = network(write_graph(tmp_path / "net.onnx", nodes, inputs, outputs, place=place), runtime)
    assert found.scores(pictures()).shape == NCHW
    with pytest.raises(ConfigError, match=r"frame of 128x128[\s\S]*size: \[H, W\]"):
        found.scores(torch.zeros(1, 3, 128, 128, dtype=torch.uint8))


def test_runtimes_agree(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.SiLU(), torch.nn.Conv2d(8, 5, 1)).eval()
    free = {"x": {2: torch.export.Dim("h", min=64), 3: torch.export.Dim("w", min=64)}}
    program = torch.onnx.export(
        layers, (torch.zeros(1, 3, 96, 128),), dynamo=True, dynamic_shapes=(free["x"],), verbose=False
    )
    assert program is not None
    program.save(tmp_path / "net.onnx")
    (tmp_path / "net.yaml").write_text(IMAGENET)
    one, other = (network(tmp_path / "net.onnx", runtime) for runtime in ("onnxruntime", "openvino"))
    assert one.config.num_classes == 5
    torch.testing.assert_close(one.scores(pictures(2)), other.scores(pictures(2)), rtol=1e-4, atol=1e-4)


def test_a_memory_heals_what_flickers(tmp_path: Path) -> None:
    """A still picture, in which a patch that is nearly as green as red is green in one frame."""
    pytest.importorskip("cv2", reason="the motion of a memory on the host is OpenCV's")
    model = argmax(tmp_path / "net.onnx", "num_classes: 3")
    still = moving_frames(1)[0] // 2
    still[..., 2] = 0
    still[16:40, 24:60] = 90, 88, 0
    frames = [still.copy() for _ in range(8)]
    frames[5][16:40, 24:60, 1] = 91
    masks = {}
    for memory in (0, None):
        stream = tdseg.Stream(prepare(model, Execution("cpu"), memory=memory))
        masks[memory] = [stream.step(frame).mask for frame in frames]
    assert (masks[0][5] != masks[0][4]).sum() == 24 * 36
    steady = masks[None]
    assert all((steady[4] != mask).sum() < 10 for mask in steady[5:])  # at edges: votes are of 2×2 pixels
    assert np.mean(steady[4] == masks[0][4]) > 0.98


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    text = "classes: [warm, grassy, cold]\npalette: [[250, 10, 10], [10, 250, 10], [10, 10, 250]]\n"
    model = argmax(tmp_path / "net.onnx", text)
    out = tmp_path / "out"
    assert main(["segment", str(clip), "--model", str(model), "-o", str(out), "--memory", "0", "--quiet"]) == DONE
    assert json.loads((out / "summary.json").read_text())["runtime"] == "openvino"
    with open_video(clip) as video:
        for frame, path in zip(video, sorted((out / "masks").iterdir()), strict=True):
            mask = Image.open(path)
            assert mask.getpalette()[:3] == [250, 10, 10]  # type: ignore[index]
            assert np.array_equal(np.asarray(mask), frame.image.argmax(2))
    capsys.readouterr()


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "nice").mkdir()
    argmax(tmp_path / "nice" / "model.onnx", "num_classes: 3")
    found: object = tdseg.load(tmp_path / "nice")
    assert isinstance(found, OnnxNetwork)
    assert found.config.name == "nice"


def test_what_openvino_does_not_know_runs_in_onnx_runtime(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = helper.make_node("ExpandDims", ["image", "axis"], ["raised"], domain="com.microsoft")
    nodes = [node, helper.make_node("Squeeze", ["raised", "axes"], ["scores"])]
    inputs, outputs = [tensor("image", FLOAT, NCHW)], [tensor("scores", FLOAT, NCHW)]
    weights = {"axis": np.int32(0), "axes": np.array([0])}
    path = write_graph(tmp_path / "net.onnx", nodes, inputs, outputs, "range: 0..255", **weights)
    with caplog.at_level(logging.WARNING, "tdseg"):
        found = network(path, "auto")
    assert found.runtime == "onnxruntime"
    assert "runs in ONNX Runtime" in caplog.text
    assert torch.equal(found.scores(pictures()), pictures().float())
