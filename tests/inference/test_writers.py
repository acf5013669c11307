"""What an output of `segment` costs: one class and one registration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.small import small_model, write_clip
from tdseg.errors import ConfigError, OutputError
from tdseg.inference.pipeline import segment_to
from tdseg.inference.stream import Result
from tdseg.inference.writers import WRITERS
from tdseg.inference.writers.records import TextWriter


class ClassLog(TextWriter):
    """The classes of each frame, a line each."""

    pattern = "seen.txt"

    def line(self, result: Result) -> str:
        self.problem = f"{result.index + 1} lines"
        return " ".join(self.about.classes[value] for value in np.unique(result.mask)) + "\n"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", 3)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRITERS, "log", ClassLog)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_a_registered_output_is_written_and_replaced(clip: Path, tmp_path: Path) -> None:
    model, folder = small_model(), tmp_path / "result"
    summary = segment_to(clip, folder, model=model, write=("log", "masks"))
    assert names(folder) == {"seen.txt", "masks", "classes.txt", "legend.png", "summary.json"}
    lines = (folder / "seen.txt").read_text().splitlines()
    assert len(lines) == 3
    assert {name for line in lines for name in line.split(" ")} <= set(" ".join(model.config.classes).split(" "))
    assert summary.problem == "3 lines"
    (folder / "notes.txt").touch()
    segment_to(clip, folder, model=model, write=("log",), overwrite=True)
    assert (folder / "seen.txt").read_text().splitlines() == lines
    segment_to(clip, folder, model=model, write=(), overwrite=True)
    assert names(folder) == {"notes.txt", "summary.json"}


def test_a_registered_output_is_known_for_a_result(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/seen.txt").touch()
    with pytest.raises(OutputError, match=r"holds seen\.txt, but no summary\.json"):
        segment_to(clip, tmp_path / "other", model=small_model(), write=("log",), overwrite=True)
    with pytest.raises(OutputError, match="part of the former result"):
        segment_to(tmp_path / "other/seen.txt", tmp_path / "other", model=small_model(), overwrite=True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ClassLog, "write", full)
    with pytest.raises(OutputError, match="No space left on device"):
        segment_to(clip, tmp_path / "result", model=small_model(), write=("log",))
    assert not (tmp_path / "result").exists()


def test_an_unknown_output_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"'jpg'[\s\S]*{', '.join(WRITERS)}"):
        segment_to(clip, tmp_path / "result", model=small_model(), write=("masks", "jpg"))
    assert not (tmp_path / "result").exists()
