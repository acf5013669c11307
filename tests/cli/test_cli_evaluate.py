from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from support import layouts
from support.pages import Parsed
from support.small import SIZE, moving_frames, small_model, write_clip
from tdseg.cli import DONE, REFUSED, main
from tdseg.masks.classes import CAMVID_CLASSES, CITYSCAPES_CLASSES
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save

CITY_TO_CAMVID = {
    "road": "Road",
    "sidewalk": "Pavement",
    **dict.fromkeys(["building", "wall"], "Building"),
    "fence": "Fence",
    "pole": "Pole",
    **dict.fromkeys(["traffic light", "traffic sign"], "SignSymbol"),
    **dict.fromkeys(["vegetation", "terrain"], "Tree"),
    "sky": "Sky",
    "person": "Pedestrian",
    **dict.fromkeys(["rider", "bicycle", "motorcycle"], "Bicyclist"),
    **dict.fromkeys(["car", "truck", "bus", "train"], "Car"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine frames of a fabricated CamVid, and small.safetensors."""
    root = tmp_path_factory.mktemp("camvid")
    save(small_model(), root / "small.safetensors")
    for split in ("val", "test"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for index, frame in enumerate(moving_frames(9)):
            name = f"A_{index * (2 if split == 'val' else 30)}.png"
            Image.fromarray(frame).save(root / "images" / split / name)
            Image.fromarray((frame[..., 0] // 24).astype(np.uint8)).save(root / "labels" / split / name)
    return root


def evaluate(root: Path, *options: object) -> int:
    model = str(root / "small.safetensors")
    return main(["eval", "--root", str(root), "--model", model, "--runtime", "torch", *map(str, options)])


def test_video_is_streamed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(root, "--data", "camvid", "--split", "val", "--json", tmp_path / "val.json") == DONE
    report = json.loads((tmp_path / "val.json").read_text())
    keys = "miou iou pixel_accuracy per_path flip_rate flow_flip_rate tc vc8 vc16 frames protocol excess_flip_rate fps"
    keys += " tc_farneback flow_flip_rate_farneback"
    assert set(keys.split()) <= report.keys()
    assert report["frames"] == 9
    assert len(report["flip_rate_by_phase"]) == 4
    assert report["vc16"] is None
    shown = capsys.readouterr()
    assert f"9 frames in {report['runtime']} fp32; {report['protocol']}" in shown.out
    assert re.search(rf"^mIoU +{report['miou']:.2f} %", shown.out, re.MULTILINE)
    assert "VC16" not in shown.out
    for name in ("TC (DIS)", "TC (Farnebäck)", "flow flip rate (DIS)", "flow flip rate (Farnebäck)"):
        assert re.search(rf"^{re.escape(name)} +[\d.]+ ", shown.out, re.MULTILINE), name
    assert "flow: DIS and Farnebäck, both ways" in shown.out
    assert shown.err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["val.json"]


def test_the_flow_is_chosen(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, none = tmp_path / "one.json", tmp_path / "none.json"
    assert evaluate(root, "--split", "val", "--flow", "farneback", "--json", one) == DONE
    report = json.loads(one.read_text())
    assert (report["tc"], report["flow_flip_rate"]) == (None, None)
    assert 0 < report["tc_farneback"] <= 100
    assert report["protocol"].endswith(
        "; flow: Farnebäck, both ways, pixels that fail the forward-backward check and void left out"
    )
    assert evaluate(root, "--split", "val", "--flow", "none", "--quiet", "--json", none) == DONE
    report = json.loads(none.read_text())
    assert (report["tc"], report["tc_farneback"]) == (None, None)
    assert report["flip_rate"] > 0
    assert "flow" not in report["protocol"]
    capsys.readouterr()
    assert evaluate(root, "--split", "val", "--flow", "dis,raft") == REFUSED
    assert "flow 'raft'" in capsys.readouterr().err


def test_page(root: Path, tmp_path: Path) -> None:
    assert evaluate(root, "--split", "val", "--quiet", "--report", tmp_path / "val.html") == DONE
    parsed = Parsed((tmp_path / "val.html").read_text())
    for text in (
        "small.safetensors",
        "mIoU",
        "Bicyclist",
        "flow flip rate (Farnebäck)",
        "phase 3",
        "CamVid val, stream",
    ):
        assert text in parsed.text, text


def test_test_frames_are_stills(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(root, "--split", "test") == DONE
    shown = capsys.readouterr().out
    assert "CamVid test, still" in shown
    assert "mIoU streamed" in shown
    assert "TC " not in shown


def cityscapes_model(folder: Path) -> Path:
    """A model of the classes of Cityscapes."""
    names = CITYSCAPES_CLASSES
    save(create_model("lite0s", size=SIZE, num_classes=len(names), classes=names), folder / "city.safetensors")
    return folder / "city.safetensors"


def test_classes_are_mapped_by_a_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", "--root", str(root), "--model", str(cityscapes_model(tmp_path)), "--runtime", "torch"]
    assert main(command) == REFUSED
    assert "--class-map" in (shown := capsys.readouterr().err)
    assert "no class of the model is called Pavement, Tree, SignSymbol, Pedestrian, Bicyclist" in shown
    (tmp_path / "map.txt").write_text("".join(f"{ours} = {theirs}\n" for ours, theirs in CITY_TO_CAMVID.items()))
    command += ["--class-map", str(tmp_path / "map.txt")]
    assert main([*command, "--flow", "none", "--json", str(tmp_path / "val.json")]) == DONE
    report = json.loads((tmp_path / "val.json").read_text())
    assert list(report["iou"]) == list(CAMVID_CLASSES)
    assert f"; classes mapped by {tmp_path}/map.txt" in report["protocol"]
    assert "without" not in report["protocol"]
    assert report["protocol"] in capsys.readouterr().out
    for text, message in {"roof = Road": "line 1: 'roof = Road'", "": "no line that maps"}.items():
        (tmp_path / "map.txt").write_text(text)
        assert main(command) == REFUSED
        assert message in capsys.readouterr().err


def test_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(root, "--split", "train") == REFUSED
    assert "holds no images" in capsys.readouterr().err
    assert evaluate(root, "--quiet", "--json", tmp_path / "none" / "val.json") == REFUSED
    assert "val.json" in capsys.readouterr().err
    assert main(["eval", "--quiet"]) == REFUSED
    assert "needs a root" in capsys.readouterr().err
    assert main(["eval", "--root", str(root), "--model", "lite"]) == REFUSED
    assert "did you mean lite0-camvid" in capsys.readouterr().err


def test_validation_of_a_recipe(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    values: dict[str, Any] = {
        "model": "lite0",
        "sources": [{"data": "synthetic"}],
        "steps": 1,
        "batch": 1,
        "augmentation": {"crop": [64, 96]},
        "optimizer": {"lr": 1e-3},
    }
    recipe.write_text(yaml.safe_dump(values))
    command = ["eval", "--model", str(root / "small.safetensors"), "--config", str(recipe)]
    assert main(command) == REFUSED
    assert "without validation" in capsys.readouterr().err
    values["validation"] = {"data": "camvid", "root": str(root), "split": "test"}
    recipe.write_text(yaml.safe_dump(values))
    assert main(command) == DONE
    assert "CamVid test, still" in capsys.readouterr().out
    assert main([*command, "--root", str(root)]) == REFUSED
    assert "--config" in capsys.readouterr().err


def test_sparse_labels_of_a_video(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "drive.mp4", 8)
    layouts.save(tmp_path / "masks/5.png", layouts.stripes(range(11), (64, 96)))
    parts = [{"video": "drive.mp4", "masks": "masks"}]
    layouts.folder(tmp_path, classes=list(CAMVID_CLASSES), splits={"val": parts})
    options = ["--model", str(root / "small.safetensors"), "--data", "folder", "--root", str(tmp_path)]
    assert main(["eval", *options]) == DONE
    assert "1 frames" in (shown := capsys.readouterr().out)
    assert "val, clip: each labelled frame after the frames before it" in shown
