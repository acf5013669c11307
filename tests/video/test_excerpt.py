from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.videos import make_clip, moving
from tdseg.errors import ConfigError, VideoError
from tdseg.video import Excerpt, Frame, open_video, playback
from tdseg.video.decoding import decode
from tdseg.video.excerpt import parse_time

FPS = 5
FRAMES = 200


def read_part(path: Path, excerpt: Excerpt) -> list[Frame]:
    with open_video(path, excerpt) as reader:
        frames = list(reader)
    assert reader.problem is None
    assert [frame.index for frame in frames] == list(range(len(frames)))
    return frames


@pytest.fixture(
    scope="module",
    params=[("b.mp4", {}), ("b.mkv", {}), ("late.mp4", {"shift_s": 3.0}), ("c.avi", {"codec": "mpeg4"})],
    ids=lambda param: param[0],
)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With pictures between key frames that are sent in another order than shown."""
    name, options = request.param
    images = [moving(index) for index in range(FRAMES)]
    coded = None if "codec" in options else {"g": "25", "bf": "3"}
    return make_clip(tmp_path_factory.mktemp("part") / name, images, fps=FPS, options=coded, **options)


@pytest.mark.parametrize(
    "excerpt",
    [
        Excerpt(start=23.4, end=27),
        Excerpt(start=23.45, end="0:27.1", every=3),
        Excerpt(start="00:00:39"),
        Excerpt(end=1),
        Excerpt(every=50),
        Excerpt(start=10.2, every=7),
    ],
    ids=str,
)
def test_a_part_is_what_the_whole_holds(clip: Path, excerpt: Excerpt) -> None:
    whole = read_part(clip, Excerpt())
    assert len(whole) == FRAMES
    inside = [frame for frame in whole if excerpt.start_s - 1e-6 <= frame.time_s < excerpt.end_s - 1e-6]
    expected = inside[:: excerpt.every]
    part = read_part(clip, excerpt)
    assert [frame.time_s for frame in part] == pytest.approx([frame.time_s for frame in expected])
    for frame, same in zip(part, expected, strict=True):
        np.testing.assert_array_equal(frame.image, same.image)
    with open_video(clip, excerpt) as reader:
        assert reader.info.num_frames == len(expected)
        assert reader.info.fps == FPS / excerpt.every


def test_a_late_start_is_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [moving(index) for index in range(FRAMES)], fps=FPS, options={"g": "10"})
    decoded: list[float] = []

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        for time_s, image in decode(*arguments, **options):
            decoded.append(float(time_s or 0))
            yield time_s, image

    monkeypatch.setattr("tdseg.video.playback.decode", counted)
    assert read_part(clip, Excerpt(start=30, end=31))[0].time_s == 30
    assert 18 <= decoded[0] <= 20
    decoded.clear()
    monkeypatch.setattr(playback, "_seek_went_well", lambda *_: False)
    assert read_part(clip, Excerpt(start=30, end=31))[0].time_s == 30
    assert decoded[0] == 0


def test_a_sought_part_that_breaks_off_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", [moving(i) for i in range(FRAMES)], fps=FPS, muxer={"movflags": "faststart"})
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 9 // 10])
    with open_video(tmp_path / "cut.mp4", Excerpt(start=20)) as reader:
        assert len(list(reader)) < 100
    assert "cut off" in str(reader.problem)
    with open_video(tmp_path / "cut.mp4", Excerpt(start=20, end=25)) as reader:
        assert len(list(reader)) == 25
    assert reader.problem is None


def test_a_folder_of_frames_has_the_clock_it_is_given(tmp_path: Path) -> None:
    for index in range(10):
        Image.fromarray(np.full((4, 4, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    frames = read_part(tmp_path, Excerpt(start=0.2, end=0.8, every=2, fps=10))
    assert [frame.time_s for frame in frames] == pytest.approx([0.2, 0.4, 0.6])
    assert [frame.image[0, 0, 0] for frame in frames] == [2, 4, 6]


def test_a_raw_stream_has_the_clock_it_is_given(tmp_path: Path) -> None:
    raw = make_clip(tmp_path / "clip.h264", fps=25, options={"bf": "0"})
    assert [frame.time_s for frame in read_part(raw, Excerpt(fps=10))[:3]] == pytest.approx([0, 0.1, 0.2])


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(ConfigError, match=r"fps 10 for .*clip\.mp4"):
        open_video(clip, Excerpt(fps=10))
    with pytest.raises(VideoError, match="no frame from 5 on"):
        open_video(clip, Excerpt(start=5))
    for wrong in ({"start": 2, "end": 1}, {"every": 0}, {"fps": 0.0}, {"start": "1:75"}, {"end": "-3"}, {"start": "x"}):
        with pytest.raises(ConfigError):
            Excerpt(**wrong)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), ("01:00:01.25", 3601.25), (2.5, 2.5), ("100:00", 6000)]
)
def test_times(text: float | str, seconds: float) -> None:
    assert parse_time(text) == seconds


def test_a_last_frame_that_stands_does_so_in_a_part(tmp_path: Path) -> None:
    images, times = [moving(index) for index in range(10)], [*(index / 5 for index in range(9)), 4.6]
    clip = make_clip(tmp_path / "clip.mkv", images, fps=FPS, times=times)
    with open_video(clip) as reader:
        whole_s = reader.info.duration_s
    assert whole_s is not None
    for excerpt, end_s in ((Excerpt(start=1), whole_s), (Excerpt(every=2), whole_s), (Excerpt(end=4), 4.0)):
        with open_video(clip, excerpt) as reader:
            assert reader.info.duration_s == pytest.approx(end_s)


def test_a_damaged_start_is_no_wrong_time(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", [moving(index) for index in range(5)], fps=FPS)
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 4
    data[start : start + 4000] = bytes(4000)
    clip.write_bytes(data)
    with pytest.raises(VideoError) as whole:
        read_part(clip, Excerpt())
    with pytest.raises(VideoError) as part:
        read_part(clip, Excerpt(start=0))
    assert part.value.got == whole.value.got


@pytest.mark.parametrize(
    "text", ["9" * 400, "1:" + "9" * 400, "9" * 400 + ":00:00", "٣", "nan", "inf", "1e5", "-1", "x" * 10**6]
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_time(text)
    assert len(str(raised.value)) < 4000


@pytest.mark.parametrize("every", [0, -1, 10**30])
def test_steps_that_are_none(every: int) -> None:
    with pytest.raises(ConfigError, match="every"):
        Excerpt(every=every)
