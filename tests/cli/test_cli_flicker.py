from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.small import moving_frames, write_clip
from tdseg.cli import DONE, REFUSED, main

COUNT = 6


def write(folder: Path, arrays: list[np.ndarray], start: int = 0) -> Path:
    folder.mkdir()
    for index, array in enumerate(arrays, start):
        Image.fromarray(array).save(folder / f"{index:03d}.png")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frames = moving_frames(COUNT)
    write_clip(tmp_path / "clip.mp4", COUNT)
    write(tmp_path / "masks", [(frame[..., 0] // 64).astype(np.uint8) for frame in frames])
    write(tmp_path / "colour", [(frame // 64) for frame in frames])
    return tmp_path


def test_figures_map_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--video clip.mp4 --labels masks --phases 2 --map out --json figures.json"
    assert main(["flicker", "masks", *options.split()]) == DONE
    report = json.loads(Path("figures.json").read_text())
    assert report["miou"] == 100
    assert report["excess_flip_rate"] == 0
    assert (report["frames"], report["fps"], report["vc8"]) == (COUNT, 10, None)
    assert {path.name for path in Path("out").iterdir()} == {"instability.png", "instability.mp4"}
    shown = capsys.readouterr()
    for text in ("TC ", "flow flip rate", "flip rate by phase", "6 frames; masks in masks"):
        assert text in shown.out
    assert shown.err == ""


def test_quiet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flicker", "masks", "--quiet"]) == DONE
    assert capsys.readouterr() == ("", "")


def test_json_is_checked_before_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    for target in ("missing/figures.json", "masks"):
        assert main(["flicker", "not-there", "--json", target, "--map", "out"]) == REFUSED
        assert f"cannot write {target}" in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before


def test_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(folder / "short.mp4", COUNT - 1)
    write_clip(folder / "wide.mp4", COUNT, (64, 128))
    Path("palette.txt").write_text("0 0 0 Sky\n1 1 1 Road\n")
    write(folder / "gap", [np.zeros((64, 96), np.uint8)] * COUNT)
    Path("gap/003.png").unlink()
    Path("empty").mkdir()
    before = sorted(folder.rglob("*"))
    cases = {
        "short.mp4": ["masks", "--video", "short.mp4"],
        "its frame is 64x128": ["masks", "--video", "wide.mp4"],
        "colour/000.png": ["colour"],
        "palette.txt": ["masks", "--palette", "palette.txt"],
        "colour/000.png: colour": ["colour", "--palette", "palette.txt"],
        "002.png is followed by 004.png": ["masks", "--labels", "gap"],
        "empty: no PNG": ["empty"],
        "missing": ["missing"],
        "fps -1": ["masks", "--fps", "-1"],
        "7 phases": ["masks", "--phases", "7"],
    }
    for message, arguments in cases.items():
        assert main(["flicker", *arguments, "--json", "figures.json", "--map", "map.png"]) == REFUSED, arguments
        shown = capsys.readouterr()
        assert message in shown.err, arguments
        assert "do this:" in shown.err
        assert shown.out == ""
    assert sorted(folder.rglob("*")) == before
