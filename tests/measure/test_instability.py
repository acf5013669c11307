from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tdseg.errors import ConfigError, OutputError
from tdseg.measure.instability import heat, outlines, picture, write_map
from tdseg.video import VideoWriter, open_video

SIZE = (64, 96)


def test_heat_is_hot_where_values_are_high() -> None:
    base = np.full((1, 3, 3), 100, np.uint8)
    cold, warm, hot = heat(np.array([[0, 0.5, 2.0]]), base)[0].astype(int)
    assert cold.tolist() == [40, 40, 40]
    assert warm.sum() < hot.sum()


def test_outlines() -> None:
    mask = np.array([[0, 0, 1]], np.uint8)
    edge = outlines(mask)[0].tolist()
    assert edge[0] == edge[1]
    assert edge[2] == [170] * 3


def test_picture_has_a_scale() -> None:
    share = np.zeros(SIZE, np.float32)
    share[:32] = 0.25
    still = np.asarray(picture(share, np.zeros((*SIZE, 3), np.uint8))).astype(int)
    assert still.shape[0] > SIZE[0]
    assert still[20, 50].tolist() == [252, 255, 164]  # the hottest
    assert still[70, 50].tolist() == [0, 0, 0]


@pytest.mark.parametrize("target", ["map", "one.png", "one.mp4", "ONE.PNG", "one.MP4"])
def test_files(tmp_path: Path, target: str) -> None:
    with write_map(tmp_path / target, SIZE, fps=10) as add:
        for t in range(6):
            mask = np.zeros(SIZE, np.uint8)
            mask[:32] = t == 2
            add(mask, None, None)
    expected = {"map": {"instability.png", "instability.mp4"}}.get(target, {target})
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == expected
    for path in files:
        if path.suffix.lower() == ".png":
            assert Image.open(path).size[0] > SIZE[1]
        else:
            with open_video(path) as video:
                brightness = [frame.image[8:24].mean() for frame in video]
            assert int(np.argmax(brightness)) in {2, 3}  # the flash and its end
            assert brightness[5] < brightness[3]


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a map called map.jpg"), write_map(tmp_path / "map.jpg", SIZE, fps=10):
        pass
    (tmp_path / "v1.5").mkdir()
    with write_map(tmp_path / "v1.5", SIZE, fps=10) as add:
        for _ in range(2):
            add(np.zeros(SIZE, np.uint8), None, None)
    assert len(list(tmp_path.glob("*/*"))) == 2


@pytest.mark.parametrize("where", ["__init__", "close", "publish"])
@pytest.mark.parametrize("target", ["new/map", "new/deeper/map.mp4"])
def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, target: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full") if where == "publish" else OutputError("disk full", expected="room", do="make some")

    owner, name = (Path, "replace") if where == "publish" else (VideoWriter, where)
    monkeypatch.setattr(owner, name, fail)

    def run() -> None:
        with write_map(tmp_path / target, SIZE, fps=10) as add:
            for _ in range(2):
                add(np.zeros(SIZE, np.uint8), None, None)

    with pytest.raises(OutputError, match="disk full"):
        run()
    assert not list(tmp_path.iterdir())
