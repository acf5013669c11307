"""The way of a network of others to a folder with an ONNX graph, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

import tdseg
from support.exports import require_extra
from support.graphs import BYTES, echo
from support.small import SIZE, moving_frames, write_clip
from tdseg.cli import DONE, REFUSED, main
from tdseg.errors import ConfigError, OutputError
from tdseg.export import export
from tdseg.export.request import check_output
from tdseg.inference.stream import Stream
from tdseg.runtime.external.function import FunctionNetwork
from tdseg.runtime.external.onnx_file import OnnxNetwork
from tdseg.runtime.external.per_frame import PerFrameNetwork, external_config
from tdseg.runtime.memory import RememberingNetwork
from tdseg.zoo.catalog import PACKAGED
from tdseg.zoo.load import prepare

require_extra()
CLASSES = ("sky", "road", "tree", "Straße")
PALETTE = ((1, 2, 3), (4, 5, 6), (7, 8, 9), (250, 251, 252))


class Whole(nn.Module):
    """A network with its normalisation."""

    def __init__(self, *, odd: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.GELU(), nn.Conv2d(8, len(CLASSES), 1))
        self.odd = odd

    def forward(self, image: Tensor) -> Tensor:
        if self.odd and image.float().mean() > 100:  # which cannot be known before there is a picture
            return self.layers(255 - image.float())  # type: ignore[no-any-return]
        return self.layers((image.float() - 110) / 60)  # type: ignore[no-any-return]


class Given(PerFrameNetwork):
    """A model of torch, as another library might give it.

    Args:
        wrong: what it gives is not what its module gives.
    """

    def __init__(self, *, odd: bool = False, wrong: bool = False) -> None:
        config = external_config("given", len(CLASSES), SIZE, classes=CLASSES, palette=PALETTE)
        super().__init__(config, "torch", "fp32", "cpu")
        self.module, self.wrong = Whole(odd=odd).eval(), wrong

    def graph_module(self) -> nn.Module:
        return self.module

    def scores(self, images: Tensor) -> Tensor:
        scores: Tensor = self.module(images)
        return -scores if self.wrong else scores


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others") / "given"
    manifest = export(Given(), folder, to="onnx")
    assert manifest.parity is not None
    assert manifest.parity.agreement >= 0.999
    assert (manifest.size, manifest.stride, manifest.precision) == (SIZE, 4, "fp32")
    return folder


def test_the_folder_is_a_graph_and_its_description(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {"model.onnx", "model.yaml"}
    described = yaml.safe_load((exported / "model.yaml").read_text(encoding="utf-8"))
    assert described["classes"] == list(CLASSES)
    assert described["palette"] == [list(color) for color in PALETTE]
    assert str(Path.home()).encode() not in (exported / "model.onnx").read_bytes()


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@torch.inference_mode()
def test_it_gives_what_the_network_gives(exported: Path, runtime: Any) -> None:
    found = tdseg.load(exported, runtime=runtime)
    assert isinstance(found, OnnxNetwork)
    assert found.config == Given().config
    image = torch.from_numpy(moving_frames(1)[0]).permute(2, 0, 1)[None]
    torch.testing.assert_close(found.scores(image), Given().scores(image), rtol=1e-4, atol=1e-4)


def test_it_is_a_model_of_the_command(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    assert main(["segment", str(clip), "--model", str(exported), "-o", str(tmp_path / "out"), "--quiet"]) == DONE
    assert main(["export", str(exported), "--to", "onnx", "-o", str(tmp_path / "again")]) == REFUSED
    assert "weights of tdseg" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def test_another_size_and_footage(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    manifest = export(Given(), tmp_path / "e", to="onnx", size=(96, 64), calibrate=clip)
    assert manifest.parity is not None
    assert manifest.parity.frames == 3
    assert tdseg.load(tmp_path / "e", runtime="onnxruntime").fit_size(None) == (96, 64)


def test_a_former_export_is_replaced_on_demand_only(exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "e"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(OutputError, match="former export"):
        export(Given(), folder, to="onnx")
    export(Given(), folder, to="onnx", overwrite=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="something else"):
        export(Given(), folder, to="onnx", overwrite=True)


@pytest.mark.parametrize(
    "texts",
    [
        {"model.onnx": "mine", "model.yaml": "kind: scores\n"},
        {"model.onnx": "mine", "tdseg.json": "{}"},
        {"model.onnx": "mine", "tdseg.json": '{"sha256": {"model.onnx": "0"}}'},
    ],
)
def test_what_only_looks_like_an_export_is_not_replaced(texts: dict[str, str], tmp_path: Path) -> None:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(OutputError, match="something else"):
        export(Given(), tmp_path, to="onnx", overwrite=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == texts


def test_a_manifest_that_tells_of_other_files_is_not_believed(tmp_path: Path) -> None:
    graph = PACKAGED["td4-lite0-camvid"].graph
    assert graph is not None
    manifest = json.loads((graph / "tdseg.json").read_text())
    former = {"tdseg.json", *manifest["sha256"]}
    manifest["sha256"] |= {"mine.txt": "0", "../mine.bin": "0", "/mine.bin": "0", "a/mine.bin": "0"}
    (tmp_path / "tdseg.json").write_text(json.dumps(manifest))
    assert set(map(str, check_output(tmp_path, overwrite=True))) == former


def test_nothing_is_left_of_one_that_differs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="masks that agree on"):
        export(Given(wrong=True), tmp_path / "e", to="onnx")
    assert not list(tmp_path.iterdir())
    export(Given(wrong=True), tmp_path / "e", to="onnx", agreement=0.0)


def test_what_cannot_be_traced(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="given cannot be exported") as raised:
        export(Given(odd=True), tmp_path / "e", to="onnx")
    assert "\n" not in raised.value.got
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", ["segformer", "upernet", "dpt", "mobilevit", "mobilenet", "beit", "data2vec", "maskformer"]
)
def test_models_of_hugging_face(make: str, tmp_path: Path) -> None:
    """Semantic ones, of BGR, universal ones: exported, and read again in either runtime."""
    from support import pretrained

    square = pretrained.SQUARE if make in ("dpt", "data2vec") else {}
    pretrained.save_pretrained(tmp_path / "model", getattr(pretrained, make), **square)
    manifest = export(tmp_path / "model", tmp_path / "e", to="onnx")
    assert manifest.parity
    assert manifest.parity.agreement >= 0.999
    model = Stream(tdseg.load(tmp_path / "model", runtime="auto"))
    for runtime in ("onnxruntime", "openvino"):
        graph = tdseg.load(tmp_path / "e", runtime=runtime)
        assert (graph.runtime, graph.config.classes) == (runtime, pretrained.FIVE)
        frame = moving_frames(1)[0]
        assert (Stream(graph).step(frame).mask == model.step(frame).mask).mean() >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("make", ["oneformer", "eomt", "videomt"])
def test_models_that_no_graph_holds(make: str, tmp_path: Path) -> None:
    from support import pretrained

    square = {} if make == "oneformer" else pretrained.SQUARE
    pretrained.save_pretrained(tmp_path / "model", getattr(pretrained, make), **square)
    if make == "oneformer":
        pretrained.save_tokenizer(tmp_path / "model")
    with pytest.raises(ConfigError, match=r"cannot be exported|export of"):
        export(tmp_path / "model", tmp_path / "e", to="onnx")
    assert not (tmp_path / "e").exists()


def blue(frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return frame.transpose(2, 0, 1).astype(np.float32)


def test_refused(tmp_path: Path) -> None:
    options: list[tuple[dict[str, Any], str]] = [
        ({"to": "openvino"}, "--to openvino"),
        ({"dynamic": True}, "--dynamic"),
        ({"stateful": True}, "--stateful"),
        ({"precision": "int8"}, "--int8"),
        ({"precision": "fp16"}, "--fp16"),
        ({"size": (32, 64)}, "at least 64"),
        ({"agreement": 98}, "0..1"),
    ]
    for fields, said in options:
        with pytest.raises(ConfigError, match=said):
            export(Given(), tmp_path / "e", **{"to": "onnx", **fields})
    for network, said in (
        (RememberingNetwork(Given(), 2, "matching"), "a memory"),
        (FunctionNetwork(blue), "no model of torch"),
        (prepare(echo(tmp_path / "net.onnx", kind=BYTES), memory=0), "no model of torch"),
    ):
        with pytest.raises(ConfigError, match=said):
            export(network, tmp_path / "e", to="onnx")
    assert not (tmp_path / "e").exists()
