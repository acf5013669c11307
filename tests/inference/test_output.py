from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tdseg.errors import OutputError
from tdseg.inference.output import OutputFolder, RunStatistics, Summary
from tdseg.inference.stream import Result


def summary(frames: int = 1) -> Summary:
    latency = {"p50": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0}
    return Summary(
        "m",
        "s",
        "cpu",
        "torch",
        "fp32",
        None,
        frames,
        True,
        None,
        4,
        3,
        (64, 96),
        0,
        0.1,
        1.0,
        1.0,
        latency,
        None,
        {"road": 1.0},
    )


def result(mask: np.ndarray, latency_ms: float = 1.0) -> Result:
    return Result(0, 0.0, np.zeros((*mask.shape, 3), np.uint8), mask, latency_ms, torch.zeros(1))


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def make(folder: OutputFolder, name: str, text: str = "new") -> None:
    path = folder.staging / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def publish(path: Path, names: list[str], text: str = "new", *, overwrite: bool = False) -> None:
    with OutputFolder(path, overwrite=overwrite) as folder:
        for name in names:
            make(folder, name, text)
        folder.publish(summary())


def test_files_take_their_names_when_all_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "result"
    with OutputFolder(path) as folder:
        make(folder, "masks/000000.png")
        assert not (path / "masks").exists()
        folder.publish(summary())
    assert files(path) == {"masks/000000.png", "summary.json"}
    assert json.loads((path / "summary.json").read_text())["size"] == [64, 96]


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="in use"):
        OutputFolder(tmp_path)
    assert files(tmp_path) == {"thesis.txt"}


def test_overwrite_replaces_only_a_former_result(tmp_path: Path) -> None:
    publish(tmp_path, ["masks/000000.png", "masks/000001.png", "overlay.mp4"], "old")
    foreign = {"masks/notes.png", "masks/000000.txt", "thesis.txt", "clip.mp4"}
    for name in foreign:
        (tmp_path / name).write_text("mine")
    publish(tmp_path, ["masks/000000.png"], overwrite=True)
    assert files(tmp_path) == foreign | {"masks/000000.png", "summary.json"}
    assert (tmp_path / "masks/000000.png").read_text() == "new"
    assert all((tmp_path / name).read_text() == "mine" for name in foreign)


def test_overwrite_refuses_what_only_looks_like_a_result(tmp_path: Path) -> None:
    for folder, name in ((tmp_path / "a", "overlay.mp4"), (tmp_path / "b", "masks/000000.png")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        with pytest.raises(OutputError, match=r"no summary\.json"):
            OutputFolder(folder, overwrite=True)
        assert files(folder) == {name}


def fail_after(path: Path, names: list[str]) -> None:
    with OutputFolder(path, overwrite=True) as folder:
        for name in names:
            make(folder, name)
        raise folder.error(OSError(28, "No space left on device"))


def test_former_result_survives_a_failure(tmp_path: Path) -> None:
    publish(tmp_path, ["masks/000000.png", "overlay.mp4"], "old")
    with pytest.raises(OutputError, match=r"No space left on device[\s\S]*made so far is in .*\.partial"):
        fail_after(tmp_path, ["masks/000000.png"])
    assert (tmp_path / "masks/000000.png").read_text() == "old"
    assert (tmp_path / ".partial/masks/000000.png").read_text() == "new"
    publish(tmp_path, ["overlay.mp4"], overwrite=True)  # a later run clears up
    assert files(tmp_path) == {"overlay.mp4", "summary.json"}


def test_overlay_alone_survives_a_failure(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="made so far is in"):
        fail_after(tmp_path / "result", ["overlay.mp4"])
    assert files(tmp_path / "result") == {".partial/overlay.mp4"}


def test_failure_before_anything_was_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        fail_after(tmp_path / "result", [])
    assert not list(tmp_path.iterdir())


def test_unwritable_places_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Not a directory"):
        OutputFolder(tmp_path / "file")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(OutputError, match="Read-only file system"):
        OutputFolder(tmp_path / "result")


def test_statistics() -> None:
    statistics = RunStatistics()
    a, b = np.zeros((2, 4), np.uint8), np.zeros((2, 4), np.uint8)
    b[0, :2] = 1
    for index, mask in enumerate([a, b, b, np.ones((2, 2), np.uint8)]):
        statistics.add(result(mask, latency_ms=float(index)))
    figures = statistics.figures(("road", "sky", "car"))
    assert figures["frames"] == statistics.frames == 4
    assert (figures["height"], figures["width"]) == (2, 4)
    assert figures["flip_rate"] == pytest.approx((2 / 8 + 0) / 2)  # the pair of unequal size does not count
    assert figures["class_share"] == pytest.approx({"road": 20 / 28, "sky": 8 / 28, "car": 0}, abs=1e-6)
    assert (figures["latency_ms"]["max"], figures["latency_ms"]["p50"]) == (3.0, 1.5)
    assert set(figures) < {field.name for field in dataclasses.fields(Summary)}


def test_one_frame_has_no_flip_rate() -> None:
    statistics = RunStatistics()
    statistics.add(result(np.zeros((2, 2), np.uint8)))
    assert statistics.figures(())["flip_rate"] is None
