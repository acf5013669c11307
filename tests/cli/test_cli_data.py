from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from support import layouts
from tdseg.cli import DONE, IN_PART, REFUSED, main

RECIPE = {
    "model": "lite0",
    "steps": 1,
    "batch": 1,
    "length": 2,
    "augmentation": {"crop": [64, 96]},
    "optimizer": {"lr": 1e-3},
}


def check(path: Path, values: object, *options: str) -> int:
    path.write_text(yaml.safe_dump(values))
    return main(["data", "check", str(path), *options])


def reports(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["sources"]
    return found


def test_sound_sources_of_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = layouts.segnet(tmp_path / "camvid", ["A_0", "A_1", "B_0"], values=[*range(11), 0, 0, 0, 11, 11])
    layouts.segnet(root, ["C_7"], "val", size=(40, 64))
    source = {"data": "camvid", "root": str(root)}
    recipe = RECIPE | {"sources": [source | {"length": 2}], "validation": source | {"split": "val"}}
    assert check(tmp_path / "recipe.yaml", recipe, "--json", str(tmp_path / "report.json")) == DONE
    train, val = reports(tmp_path / "report.json")
    assert (train["name"], train["images"], train["clips"], train["sizes"]) == ("CamVid train", 3, 1, {"32x48": 3})
    assert [Path(name).stem for name in train["without_history"]] == ["A_0", "B_0"]
    assert train["shares"]["Sky"] == pytest.approx(100 * 4 / 14, abs=1e-3)
    assert (train["ignored"], train["sound"]) == (12.5, True)
    assert val["sizes"] == {"40x64": 1}
    shown = capsys.readouterr()
    for text in ("CamVid val", "32x48 (3)", "28.57", "Bicyclist"):
        assert text in shown.out, text
    assert shown.err == ""


def test_faults_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = layouts.cityscapes(tmp_path, {f"ulm_{i:06}": 19 for i in range(5)}, past=1)
    (root / "leftImg8bit_sequence/train/ulm/ulm_000000_000018_leftImg8bit.png").unlink()
    (root / "leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png").write_bytes(b"")
    label = root / "gtFine/train/ulm/ulm_000002_000019_gtFine_labelIds.png"
    layouts.save(label, layouts.stripes([7, 90]))
    (root / "gtFine/train/ulm/ulm_000003_000019_gtFine_labelIds.png").unlink()
    source = {"data": "cityscapes", "root": str(root), "length": 2}
    assert check(tmp_path / "source.yaml", source, "--json", str(tmp_path / "report.json")) == IN_PART
    (report,) = reports(tmp_path / "report.json")
    assert (report["images"], report["clips"], report["sound"]) == (4, 3, False)
    assert "ulm_000003_000019_leftImg8bit.png has no label" in report["missing"][0]
    assert "ulm_000000_000018_leftImg8bit.png" in report["missing"][1]
    assert [Path(line.split(":")[0]).name for line in report["unreadable"]] == ["ulm_000001_000019_leftImg8bit.png"]
    assert report["labels"] == [f"{label}: value 90 at x=24, y=0, 768 such pixels in all"]
    shown = capsys.readouterr().out
    assert "missing for clips of 2, 2" in shown
    assert report["labels"][0] in shown


def test_many_faults_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(12):
        layouts.save(tmp_path / f"images/{i}.png", np.zeros((*layouts.SIZE, 3), np.uint8))
        layouts.save(tmp_path / f"masks/{i}.png", layouts.stripes([0, 9]))
    layouts.folder(tmp_path, splits={"train": [{"images": "images", "masks": "masks"}]})
    assert check(tmp_path / "source.yaml", {"data": "folder", "root": str(tmp_path)}) == IN_PART
    assert "and 2 more" in capsys.readouterr().out


def test_no_clip_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = layouts.nyudv2(tmp_path, {"0001": 1})
    source = {"data": "nyudv2", "root": str(root), "length": 3}
    assert check(tmp_path / "source.yaml", source) == IN_PART
    assert "no frame has enough frames before it" in capsys.readouterr().out


def source_of(root: Path, masks: dict[str, np.ndarray], **fields: object) -> dict[str, object]:
    """A folder with an image for each of these masks, as a source."""
    for name, mask in masks.items():
        layouts.save(root / "images" / f"{name}.png", layouts.picture(1))
        layouts.save(root / "masks" / f"{name}.png", mask)
    layouts.folder(root, **{"splits": {"train": [{"images": "images", "masks": "masks"}]}, **fields})
    return {"data": "folder", "root": str(root)}


def test_a_value_that_is_no_class_brings_the_line_to_write_and_blanks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of(tmp_path, {"a": layouts.stripes([0, 1, 11]), "b": layouts.stripes([0, 11, 11])})
    assert check(tmp_path / "source.yaml", source, "--json", str(tmp_path / "report.json")) == IN_PART
    (report,) = reports(tmp_path / "report.json")
    assert report["sizes"] == {"32x48": 2}
    assert report["shares"] == {"road": pytest.approx(66.6667), "car": pytest.approx(33.3333)}
    assert "ignore: [11] in data.yaml" in capsys.readouterr().out
    layouts.folder(tmp_path, splits={"train": [{"images": "images", "masks": "masks"}]}, ignore=[11])
    assert check(tmp_path / "source.yaml", source) == DONE


@pytest.mark.parametrize(
    ("values", "said"),
    [([0, 0, 255], "looks like a binary mask"), ([0], "no pixel is car"), ([7], "no pixel has a class")],
)
def test_classes_without_pixels_are_a_fault(
    tmp_path: Path, values: list[int], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path / "c.yaml", source_of(tmp_path, {"a": layouts.stripes(values)}, ignore=[7])) == IN_PART
    assert said in " ".join(capsys.readouterr().out.split())


def test_data_without_labels_lacks_no_class(tmp_path: Path) -> None:
    source = source_of(tmp_path, {"a": layouts.stripes([0, 1])}, splits={"train": [{"images": "images"}]})
    assert check(tmp_path / "c.yaml", source) == DONE


@pytest.mark.parametrize(("turn", "faulty"), [(1, False), (3, True), (6, True), (2, True)])
def test_images_that_exif_turns_without_their_masks(
    tmp_path: Path, turn: int, faulty: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mask as it lies in the file is named; one of the same tag, or of the upright size, is right."""
    label, exif = layouts.stripes([0, 1]), Image.Exif()
    exif[0x0112] = turn
    source = source_of(tmp_path, {"a": label})
    Image.fromarray(layouts.picture(1)).save(tmp_path / "images/a.png", exif=exif)
    assert check(tmp_path / "c.yaml", source) == (IN_PART if faulty else DONE)
    shown = " ".join(capsys.readouterr().out.split())
    assert (f"turned by EXIF (orientation {turn}" in shown) == faulty
    assert ("turn the label in the same way" in shown) == faulty
    assert "resize" not in shown
    Image.fromarray(label).save(tmp_path / "masks/a.png", exif=exif)
    assert check(tmp_path / "c.yaml", source) == DONE
    if turn == 6:
        layouts.save(tmp_path / "masks/a.png", np.rot90(label, -1))
        assert check(tmp_path / "c.yaml", source) == DONE


def test_labels_without_an_image_lack_no_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = source_of(tmp_path, {"a": layouts.stripes([0, 1])})
    (tmp_path / "images/a.png").rename(tmp_path / "images/b.png")
    assert check(tmp_path / "c.yaml", source) == IN_PART
    shown = capsys.readouterr().out
    assert "has no image" in shown
    assert "no frame has enough frames before it" not in shown


def test_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "source.yaml"
    for values, named in (
        ({"data": "camvid", "root": str(tmp_path)}, "holds no images"),
        ({"data": "camvid"}, "needs a root"),
        ({"data": "camvid", "root": "x", "colour": 1}, "colour"),
        (["camvid"], "no fields"),
        ({"model": "lite0"}, "sources"),
    ):
        assert check(path, values) == REFUSED
        assert named in capsys.readouterr().err
    assert main(["data", "check", str(tmp_path / "none.yaml")]) == REFUSED
    assert "none.yaml" in capsys.readouterr().err
