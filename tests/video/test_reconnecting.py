from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from support.bad_cameras import KINDS
from support.fake_camera import FakeCamera, in_chunks, mjpeg, mpegts
from support.serving import until
from support.small import write_clip
from tdseg.video import Excerpt
from tdseg.video.reconnecting import LastingReader, LiveSource, Patience, open_lasting

HASTE = Patience(stall_s=0.3, timeout_s=1.5, first_pause_s=0.05, most_pause_s=0.2)


def test_a_silent_camera_is_called_stalled() -> None:
    with FakeCamera(KINDS["stalls, comes back"].behave) as camera:
        source = LiveSource(camera.address(), patience=Patience(stall_s=0.1, timeout_s=3600.0))
        frames = source.frames()
        assert source.state == "opening"
        next(frames)
        assert (source.state, source.problem) == ("running", None)
        until(lambda: source.state == "stalled")
        assert source.problem is not None
        assert source.problem.startswith("no frame for ")


def test_pauses_grow_up_to_a_bound() -> None:
    with FakeCamera(KINDS["closes at once"].behave) as camera:
        source = LiveSource(camera.address(), patience=HASTE)
        thread = threading.Thread(target=lambda: list(source.frames()))
        started = time.monotonic()
        thread.start()
        until(lambda: camera.connections >= 6)
        assert time.monotonic() - started >= 0.05 + 0.1 + 3 * 0.2
        source.stop()
        thread.join()


def test_times_go_on_over_gaps() -> None:
    with FakeCamera(mjpeg(5)) as camera:
        source = LiveSource(camera.address(), patience=HASTE)
        frames = [frame for _, frame in zip(range(20), source.frames(), strict=False)]
    assert [frame.part for frame in frames] == sorted(frame.part for frame in frames)
    assert frames[-1].part >= 3
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    arrivals = [frame.arrived_s or 0.0 for frame in frames]
    assert times[-1] == pytest.approx(arrivals[-1] - arrivals[0], abs=0.3)


def test_a_file_is_played_at_its_pace(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 6)
    started = time.monotonic()
    frames = list(LiveSource(clip).frames())
    assert len(frames) == 6
    assert time.monotonic() - started >= 0.5
    source = LiveSource(clip)
    for _ in source.frames():
        source.stop()
    assert source.state == "ended"


def test_a_live_source_is_one_video_over_gaps() -> None:
    """What it is opened as at first, and frames that are counted on; the part of it that is asked for ends it."""
    with FakeCamera(mjpeg(5)) as camera, open_lasting(camera.address(), Excerpt(every=2), patience=HASTE) as reader:
        assert isinstance(reader, LastingReader)
        assert reader.is_live
        assert (reader.info.num_frames, reader.info.source) == (None, camera.address())
        frames = list(islice(reader, 12))
        assert [frame.index for frame in frames] == list(range(12))
        assert frames[-1].part >= 2
        assert reader.reconnects >= 2
    with FakeCamera(mjpeg(5)) as camera, open_lasting(camera.address(), Excerpt(end=1.6), patience=HASTE) as reader:
        times = [frame.time_s for frame in reader]
        assert 0.3 < times[-1] < 1.6
        assert reader.reconnects


def test_a_source_that_stays_away_is_given_up() -> None:
    patience = replace(HASTE, away_s=0.5)
    with FakeCamera(KINDS["goes away for good"].behave) as camera:
        with open_lasting(camera.address(), patience=patience) as reader:
            assert len(list(reader)) == 5
        assert reader.problem == "Connection refused"
    at_once = replace(HASTE, away_s=0.0)
    with FakeCamera(mjpeg(5)) as camera, open_lasting(camera.address(), patience=at_once) as reader:
        assert len(list(reader)) == 5
        assert reader.problem == "reading stopped: the connection ended"
        assert reader.reconnects == 0


def test_what_may_be_a_film_is_not_opened_again() -> None:
    """Its server would send it from its beginning. A session, which only shows it, takes it for a camera."""
    with FakeCamera(mpegts(5)) as camera, open_lasting(camera.address(), patience=HASTE) as reader:
        assert reader.is_live
        assert len(list(reader)) == 5
        assert (reader.problem, reader.reconnects) == ("reading stopped: the connection ended", None)
    with FakeCamera(in_chunks(5)) as camera:
        source = LiveSource(camera.address(), patience=HASTE)
        assert len(list(source.frames())) == 5
        assert (source.state, source.problem, source.reconnects) == ("ended", None, 0)
