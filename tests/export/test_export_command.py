"""The way from `tdseg export` to masks, and what is refused on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.exports import consensus, require_extra
from support.small import write_clip
from tdseg.cli import DONE, REFUSED, main
from tdseg.errors import ConfigError
from tdseg.export import export
from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save

require_extra()


def test_the_command_runs_what_it_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, clip = tmp_path / "w.safetensors", write_clip(tmp_path / "clip.mp4", 6)
    save(consensus(), weights)
    assert main(["export", str(weights), "--to", "onnx", "-o", str(tmp_path / "e")]) == DONE
    assert "of pixels agree" in capsys.readouterr().out
    masks = {}
    for runtime in ("openvino", "onnxruntime"):
        out = tmp_path / runtime
        command = ["segment", str(clip), "--model", str(tmp_path / "e"), "--runtime", runtime, "-o", str(out)]
        assert main(command) == DONE
        assert json.loads((out / "summary.json").read_text())["runtime"] == runtime
        masks[runtime] = [path.read_bytes() for path in sorted((out / "masks").iterdir())]
    assert masks["openvino"] == masks["onnxruntime"]
    command = ["segment", str(clip), "--model", str(tmp_path / "e"), "-o", str(tmp_path / "o")]
    assert main([*command, "--size", "128x192"]) == REFUSED
    assert "exported or loaded for 64x96" in capsys.readouterr().err
    assert main(["bench", "--model", str(tmp_path / "e"), "--frames", "3"]) == DONE
    assert "fp32, openvino on cpu" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["td4-lite0", "td4-psp18"])
def test_export_load_segment_eval(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, in all three runtimes."""
    torch.manual_seed(0)
    size = (65, 97)
    weights, clip = tmp_path / "w.safetensors", write_clip(tmp_path / "clip.mp4", 9)
    classes = {"num_classes": 11, "classes": CAMVID_CLASSES, "palette": CAMVID_PALETTE}
    save(create_model(name, size=size, **classes), weights)
    assert main(["export", str(weights), "--to", "onnx", "-o", str(tmp_path / "e")]) == DONE
    masks, figures = {}, {}
    for runtime, model in (("torch", weights), ("onnxruntime", tmp_path / "e"), ("openvino", tmp_path / "e")):
        place = tmp_path / runtime
        run = ["--model", str(model), "--runtime", runtime, "--quiet"]
        assert main(["segment", str(clip), *run, "-o", str(place)]) == DONE
        masks[runtime] = np.stack([np.asarray(Image.open(path)) for path in sorted((place / "masks").iterdir())])
        data = ["--data", "synthetic", "--split", "tiny-val", "--json", str(tmp_path / "figures.json")]
        assert main(["eval", *run, *data]) == DONE
        figures[runtime] = json.loads((tmp_path / "figures.json").read_text())
    for runtime in ("onnxruntime", "openvino"):
        assert np.mean(masks[runtime] == masks["torch"]) > 0.999
        assert figures[runtime]["miou"] == pytest.approx(figures["torch"]["miou"], abs=0.05)
        assert len(figures[runtime]["per_path"]) == len(figures["torch"]["per_path"])
    capsys.readouterr()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--to", "tensorrt"], "tensorrt"),
        (["--to", "onnx", "--size", "16x16"], "at least 64"),
        (["--to", "onnx", "--size", "64"], "HxW"),
        (["--to", "onnx", "--int8", "--fp16"], "one of them"),
        (["--to", "onnx", "--agreement", "98"], "0..1"),
        (["--to", "onnx", "--stateful"], "stateful"),
        (["--to", "openvino", "--stateful", "--dynamic"], "--dynamic"),
        (["--to", "onnx", "--dynamic", "--size", "100x200"], "--size 96x200"),
        (["--to", "onnx", "--calibrate", "nowhere.mp4"], "nowhere.mp4"),
    ],
)
def test_refused(flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "td4-lite0-camvid", "-o", str(tmp_path / "out"), *flags]) == REFUSED
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdseg.system.installed", lambda package: package != "onnxscript")
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[export\]'"):
        export(consensus(), tmp_path / "e", to="onnx")
