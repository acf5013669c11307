from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.small import small_model, write_clip
from tdseg.errors import OutputError, WeightsError
from tdseg.inference import pipeline
from tdseg.inference.demo import demo
from tdseg.models.tdnet import TDNet

LEFT = {"classes.txt", "legend.png", "clip.mp4", "preview.png", "overlay.mp4", "masks", "summary.json"}


@pytest.fixture(autouse=True)
def _untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: object, device: str = "cpu") -> TDNet:
        return small_model()

    monkeypatch.setattr("tdseg.inference.demo.load", load)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_demo_leaves_whole_files_and_replaces_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "demo"
    for num_frames in (4, 2):
        miou, summary = demo(folder, num_frames=num_frames)
        assert 0 <= miou <= 100
        assert (summary.frames, summary.complete) == (num_frames, True)
        assert json.loads((folder / "summary.json").read_text())["source"] == str(folder / "clip.mp4")
        assert names(folder) == LEFT
        assert len(names(folder / "masks")) == num_frames


def test_clip_or_result_of_others_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    clip = write_clip(tmp_path / "mine" / "clip.mp4", 2)
    pipeline.segment_to(clip, tmp_path / "result", model=small_model())
    for folder in (clip.parent, tmp_path / "result"):
        before = {path: path.read_bytes() for path in folder.rglob("*.*")}
        with pytest.raises(OutputError, match="not the demo's"):
            demo(folder, num_frames=2)
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_failure_leaves_a_folder_the_next_demo_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tdseg.masks.draw.write_mask", no_space)
        with pytest.raises(OutputError, match="No space left on device"):
            demo(tmp_path, num_frames=2)
    assert names(tmp_path) <= {".partial"}
    demo(tmp_path, num_frames=2)
    assert names(tmp_path) == LEFT


def test_bad_weights_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object, **__: object) -> TDNet:
        raise WeightsError("weights", expected="whole ones", do="install again")

    monkeypatch.setattr("tdseg.inference.demo.load", damaged)
    with pytest.raises(WeightsError):
        demo(tmp_path / "demo")
    assert not names(tmp_path)
