from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pages import Parsed
from small import moving_frames, small_model
from tdseg.cli import DONE, REFUSED, main
from tdseg.weights import write_model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine frames of a fabricated CamVid, and small.safetensors."""
    root = tmp_path_factory.mktemp("camvid")
    write_model(small_model(), root / "small.safetensors", about={})
    for split in ("val", "test"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for index, frame in enumerate(moving_frames(9)):
            Image.fromarray(frame).save(root / "images" / split / f"A_{index}.png")
            Image.fromarray((frame[..., 0] // 24).astype(np.uint8)).save(root / "labels" / split / f"A_{index}.png")
    return root


def evaluate(root: Path, *options: object) -> int:
    return main(["eval", "--root", str(root), "--model", str(root / "small.safetensors"), *map(str, options)])


def test_video_is_streamed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(root, "--data", "camvid", "--split", "val", "--json", tmp_path / "val.json") == DONE
    report = json.loads((tmp_path / "val.json").read_text())
    keys = "miou iou pixel_accuracy per_path flip_rate flow_flip_rate tc vc8 vc16 frames protocol excess_flip_rate fps"
    assert set(keys.split()) <= report.keys()
    assert report["frames"] == 9
    assert len(report["flip_rate_by_phase"]) == 4
    assert report["vc16"] is None
    shown = capsys.readouterr()
    assert report["protocol"] in shown.out
    assert f"mIoU                {report['miou']:.2f} %" in shown.out
    assert "VC16" not in shown.out
    assert shown.err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["val.json"]


def test_page(root: Path, tmp_path: Path) -> None:
    assert evaluate(root, "--split", "val", "--quiet", "--report", tmp_path / "val.html") == DONE
    parsed = Parsed((tmp_path / "val.html").read_text())
    for text in ("small.safetensors", "mIoU", "Bicyclist", "flow flip rate", "phase 3", "CamVid val, stream"):
        assert text in parsed.text, text


def test_test_frames_are_stills(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(root, "--split", "test") == DONE
    shown = capsys.readouterr().out
    assert "CamVid test, still" in shown
    assert "mIoU streamed" in shown
    assert "TC " not in shown


def test_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(root, "--split", "train") == REFUSED
    assert "holds no images" in capsys.readouterr().err
    assert evaluate(root, "--quiet", "--json", tmp_path / "none" / "val.json") == REFUSED
    assert "val.json" in capsys.readouterr().err
    assert main(["eval", "--root", str(root), "--model", "lite"]) == REFUSED
    assert "did you mean lite0-camvid" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["eval", "--root", "x"], ["flicker", "x"]])
def test_missing_extra_is_named(
    verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name in {"tdseg.evaluate", "tdseg.flicker"}:
            raise ModuleNotFoundError("No module named 'torchmetrics'", name="torchmetrics")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(verb) == REFUSED
    shown = capsys.readouterr().err
    assert "torchmetrics is not installed" in shown
    assert "pip install 'tdseg[metrics]'" in shown
