from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import tdseg
from support.bad_cameras import KINDS
from support.fake_camera import FakeCamera, mjpeg
from support.small import moving_frames, write_clip
from tdseg.errors import ConfigError
from tdseg.live.session import Session
from tdseg.live.sessions import Sessions
from tdseg.video.reconnecting import Patience

HASTE = Patience(stall_s=0.3, timeout_s=1.5, first_pause_s=0.05, most_pause_s=0.2)
WAIT_S = 30.0
GOOD = "good"


def network(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Two classes: dark and light."""
    light = image[::8, ::8].mean(2) / 255
    return np.stack([1 - light, light]).astype(np.float32)


@pytest.fixture(scope="module")
def sessions() -> Iterator[Sessions]:
    """All bad cameras at once, and a good one beside them."""
    with ExitStack() as opened:
        sessions = opened.enter_context(Sessions(tdseg.add_memory(network, frames=2), size=(64, 96), patience=HASTE))
        for name, kind in KINDS.items():
            camera = opened.enter_context(FakeCamera(kind.behave))
            sessions.open(name, camera.address(kind.scheme, user="me:secret@"))
        sessions.open(GOOD, opened.enter_context(FakeCamera(mjpeg())).address())
        yield sessions


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def goes_on(session: Session) -> bool:
    """Whether another mask comes."""
    newest = session.newest()
    return session.wait(-1 if newest is None else newest.index, WAIT_S) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_camera_is_named_or_runs_again_and_harms_no_other(sessions: Sessions, kind: str) -> None:
    session, expected = sessions[kind], KINDS[kind].expected

    def is_as_expected() -> bool:
        said = expected.problem in (session.problem or "")
        return session.state == expected.state and said and session.figures().cuts + 1 >= expected.parts

    assert until(is_as_expected), (session.state, session.problem, session.figures())
    if expected.state == "running":
        assert goes_on(session)
    assert goes_on(sessions[GOOD])
    assert sessions[GOOD].figures().reconnects == 0
    for said in (session.source, session.problem or ""):
        assert "secret" not in said
        assert "Immediate exit" not in said


def test_a_source_that_blocks_is_stopped_at_once() -> None:
    slow = Patience(timeout_s=3600.0)
    with FakeCamera(KINDS["never answers"].behave) as camera, Sessions(network, patience=slow, most=2) as sessions:
        for _ in range(2):
            session = sessions.open("one", camera.address())
            assert until(lambda: camera.connections > 0)
            started = time.monotonic()
            sessions.close("one")
            assert time.monotonic() - started < WAIT_S / 2
            assert session.state == "ended"
        with pytest.raises(ConfigError, match="2 closed ones wait for their sources"):
            sessions.open("one", camera.address())


def test_a_file_is_played_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 12)
    with Sessions(network, size=(64, 96)) as sessions:
        session = sessions.open("file", clip, latest=False, every=2)
        assert session.wait(4, WAIT_S) is not None
        assert session.wait(5, WAIT_S) is None  # at once: there are no more
        assert session.state == "ended"
        figures = session.figures()
        assert (figures.frames, figures.skipped, figures.cuts) == (6, 0, 0)
        newest = session.newest()
        assert newest is not None
        assert newest.time_s == pytest.approx(1.0)
        missing = sessions.open("missing", tmp_path / "none.mp4")
        assert until(lambda: missing.state == "failed")
        assert missing.problem == "No such file or directory"


def test_a_pause_in_pushing_is_a_gap() -> None:
    with Sessions(tdseg.add_memory(network, frames=2), size=(64, 96), patience=Patience(stall_s=0.1)) as sessions:
        session = sessions.open("pushed")
        assert session.state == "opening"
        for index, frame in enumerate(moving_frames(2)):
            session.push(frame)
            assert session.wait(index - 1, WAIT_S) is not None
            assert until(lambda: session.state == "stalled")
        assert session.problem is not None
        assert session.problem.startswith("no frame for ")
        assert session.figures().cuts == 1
