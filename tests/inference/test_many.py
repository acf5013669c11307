from __future__ import annotations

import inspect
import os
from pathlib import Path

import pytest
from PIL import Image

from support.small import moving_frames, small_model, write_clip
from tdseg.errors import ConfigError, OutputError, VideoError
from tdseg.inference import pipeline, ready
from tdseg.inference.many import find_videos, segment_all
from tdseg.inference.stream import Stream


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a/one.mp4, a/two.mp4, b/one.mp4, b/broken.mov, frames/0.png …"""
    monkeypatch.chdir(tmp_path)
    for name in ("a/one.mp4", "a/two.mp4", "b/One.mp4"):
        Path(name).parent.mkdir(exist_ok=True)
        write_clip(Path(name), 3)
    Path("b/broken.mov").write_bytes(b"no video")
    Path("b/notes.txt").touch()
    Path("b/.hidden.mp4").touch()
    Path("frames").mkdir()
    for index, image in enumerate(moving_frames(2)):
        Image.fromarray(image).save(f"frames/{index}.png")
    return tmp_path


def names(*sources: str) -> list[str]:
    return [str(video) for video in find_videos(sources)[0]]


def test_what_sources_stand_for(clips: Path) -> None:
    assert names("a") == ["a/one.mp4", "a/two.mp4"]
    assert names("b", "frames") == ["b/broken.mov", "b/One.mp4", "frames"]
    assert names("a/*.mp4", "a/two.mp4", "./a/one.mp4") == ["a/one.mp4", "a/two.mp4"]
    assert names("*/*.mov", "-", "0", "rtsp://host/*") == ["b/broken.mov", "-", "0", "rtsp://host/*"]
    Path("a[1].mp4").touch()
    assert names("a[1].mp4") == ["a[1].mp4"]
    with pytest.raises(VideoError, match=r"\*\.avi"):
        names("a/*.avi")
    with pytest.raises(VideoError, match="no source"):
        names()


def test_each_has_its_folder_and_one_that_fails_stops_no_other(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Stream] = []
    monkeypatch.setattr(ready, "warm_up", made.append)
    outcomes = segment_all(["a", "b", "frames"], "out", model=small_model(), write=("masks",))
    assert len(made) == 1
    assert [str(outcome.output) for outcome in outcomes] == [
        os.path.join("out", name) for name in ("one", "two", "broken", "One-2", "frames")
    ]
    assert [outcome.summary.frames if outcome.summary else 0 for outcome in outcomes] == [3, 3, 0, 3, 2]
    assert isinstance(outcomes[2].error, VideoError)
    assert sorted(os.listdir("out")) == ["One-2", "frames", "one", "two"]
    for outcome in outcomes:
        assert not outcome.summary or len(list((outcome.output / "masks").iterdir())) == outcome.summary.frames
    again = segment_all(["a"], "out", model=small_model(), write=("masks",))
    assert all(isinstance(outcome.error, OutputError) for outcome in again)


def test_memory_of_one_does_not_reach_the_next(clips: Path) -> None:
    segment_all(["a/one.mp4", "a/two.mp4"], "out", model=small_model(), write=("masks",))
    for index in range(3):
        one, two = (Path("out", name, f"masks/{index:06d}.png").read_bytes() for name in ("one", "two"))
        assert one == two


def test_a_single_one_has_the_folder_itself_and_raises(clips: Path) -> None:
    (outcome,) = segment_all(["a/one.mp4"], "single", model=small_model(), write=())
    assert outcome.output == Path("single")
    assert os.listdir("single") == ["summary.json"]
    with pytest.raises(VideoError):
        segment_all("b/broken.mov", "broken", model=small_model())
    (outcome,) = segment_all(["frames"], model=small_model(), write=())
    assert outcome.output == Path("out/frames")


def test_the_command_and_python_have_the_same_defaults() -> None:
    whole = inspect.signature(segment_all).parameters
    for function in (pipeline.segment, pipeline.segment_to):
        own = inspect.signature(function).parameters
        assert {name: one.default for name, one in own.items() if name not in ("source", "output")} == {
            name: whole[name].default for name in own if name not in ("source", "output")
        }


def test_what_is_no_source_is_refused(clips: Path) -> None:
    with pytest.raises(ConfigError, match="a source of type list"):
        list(pipeline.segment(moving_frames(1), small_model()))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a source of type list"):
        pipeline.segment_to(moving_frames(1), "out", model=small_model())  # type: ignore[arg-type]
