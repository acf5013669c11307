"""What is remembered does not outlive its scene: cuts, gaps in time and other sizes empty the memory by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.fake_camera import FakeCamera, first, mjpeg
from support.small import moving_frames, small_model
from support.videos import make_clip
from tdseg.inference.continuity import Continuity
from tdseg.inference.pipeline import segment, segment_to
from tdseg.inference.stream import Stream
from tdseg.street import render_street
from tdseg.video.pictures import RGB


def scenes() -> list[RGB]:
    """Six frames each of two streets."""
    return [frame.image for seed in (3, 8) for frame in render_street(seed, num_frames=6, size=(96, 160))]


def masks(frames: list[RGB], times: list[float] | None = None) -> list[np.ndarray]:
    stream = Stream(small_model())
    pairs = zip(frames, times or [index / 10 for index in range(len(frames))], strict=True)
    return [stream.step(frame, time_s=time_s).mask for frame, time_s in pairs]


def test_a_cut_begins_anew() -> None:
    frames, stream = scenes(), Stream(small_model())
    results = [stream.step(frame, time_s=index / 10) for index, frame in enumerate(frames)]
    assert [result.broken_by for result in results] == [None] * 6 + ["cut"] + [None] * 5
    assert stream.resets == 1
    second = Stream(small_model())
    second.reset(6)
    np.testing.assert_array_equal([second.step(frame).mask for frame in frames[6:]], [r.mask for r in results[6:]])


@pytest.mark.parametrize(
    ("times", "broken"),
    [
        ([0.0, 0.1, 0.2, 1.5, 1.6], {3: "gap"}),
        ([0.0, 0.1, 0.2, 1.1, 1.2], {}),  # 0.9 s are none
        ([0.0, 5.0, 10.0, 15.0, 31.0], {4: "gap"}),  # a time lapse
        ([0.0, 2.0, 2.1, 2.2, 2.3], {}),  # after the first frame nothing is usual yet
    ],
)
def test_a_jump_in_time_begins_anew(times: list[float], broken: dict[int, str]) -> None:
    frames, stream = moving_frames(5), Stream(small_model())
    found = [stream.step(frame, time_s=time_s).broken_by for frame, time_s in zip(frames, times, strict=True)]
    assert {index: why for index, why in enumerate(found) if why} == broken
    untimed = Continuity()
    assert [untimed.check(frame, None) for frame in frames] == [None] * 5


def test_cuts_and_gaps_are_in_the_summary(tmp_path: Path) -> None:
    times = [index / 10 + 4 * (index > 9) for index in range(12)]
    clip = make_clip(tmp_path / "clip.mkv", scenes(), times=times)
    summary = segment_to(clip, tmp_path / "out", model=small_model(), write=("masks",))
    assert summary.cuts == pytest.approx([0.6])
    assert summary.gaps == pytest.approx([5.0])
    assert json.loads((tmp_path / "out/summary.json").read_text())["cuts"] == pytest.approx([0.6])


def test_photos_have_no_cuts(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", scenes(), fps=10)
    assert segment_to(clip, tmp_path / "out", model=small_model(), write=(), stills=True).cuts == []


def test_a_camera_that_breaks_off_is_opened_again(tmp_path: Path) -> None:
    """The memory begins anew, its video goes on; and what came is kept when it stays away."""
    away = first(*[mjpeg(5)] * 4, then=lambda camera, connection, before: camera.hang_up())
    with FakeCamera(away) as camera:
        summary = segment_to(camera.address(), tmp_path / "out", model=small_model(), latest=False, reconnect_s=2.0)
    assert (summary.frames, summary.reconnects, len(summary.gaps)) == (10, 1, 1)
    assert (summary.complete, summary.problem) == (False, "Connection refused")
    assert summary.age_ms


def test_the_newest_frames_of_a_file(tmp_path: Path) -> None:
    """What the network has no time for is counted, and every frame's age is known."""
    clip = make_clip(tmp_path / "clip.mp4", moving_frames(30), fps=10)
    summary = segment_to(clip, tmp_path / "out", model=small_model(), latest=True)
    assert summary.skipped is not None
    assert summary.frames + summary.skipped == 30
    assert summary.age_ms
    assert summary.age_ms["max"] >= summary.latency_ms["p50"]
    assert len(list((tmp_path / "out/masks").iterdir())) == summary.frames
    results = list(segment(clip, small_model(), latest=True))
    assert results[-1].time_s == pytest.approx(2.9)
    assert all(result.age_ms is not None for result in results)
    frames = tmp_path / "frames"
    frames.mkdir()
    for index, image in enumerate(moving_frames(3)):
        Image.fromarray(image).save(frames / f"IMG_{index:02}.png")
    names = segment_to(frames, tmp_path / "named", model=small_model(), latest=True).names
    assert names is not None
    assert names[-1] == "IMG_02"
    every = segment_to(clip, tmp_path / "all", model=small_model(), write=())
    assert (every.skipped, every.age_ms, every.frames) == (None, None, 30)
