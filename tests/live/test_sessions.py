from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from support.small import SIZE, moving_frames
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.live.session import Session
from tdseg.live.sessions import Sessions
from tdseg.runtime.network import Network
from tdseg.video.container import MOST_PIXELS
from tdseg.zoo.add_memory import add_memory

MANY = 100


@pytest.fixture(scope="module")
def model() -> Network:
    """Three classes, by colour, with a memory of four frames."""

    def scores(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (image[::8, ::8].transpose(2, 0, 1) / 32).astype(np.float32)

    return add_memory(scores, frames=4)


@pytest.fixture
def sessions(model: Network) -> Iterator[Sessions]:
    with Sessions(model, size=SIZE, workers=2, most=MANY) as opened:
        yield opened


def masks(model: Network, frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    stream = Stream(model, SIZE)
    return [stream.step(frame).mask for frame in frames]


def test_no_state_crosses_between_a_hundred_sessions(model: Network, sessions: Sessions) -> None:
    clips = [moving_frames(4 + seed % 4, seed=seed) for seed in range(MANY)]
    found: dict[int, list[NDArray[np.uint8]]] = {seed: [] for seed in range(MANY)}

    def feed(seed: int, session: Session) -> None:
        for index, frame in enumerate(clips[seed]):
            session.push(frame, time_s=index / 25)  # by their coming, a long wait would be a gap
            result = session.wait(index - 1, 300.0)
            assert result is not None
            assert result.index == index
            assert result.frame is frame
            found[seed].append(result.mask)

    threads = [threading.Thread(target=feed, args=(n, sessions.open(str(n), latest=False))) for n in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, clip in enumerate(clips):
        np.testing.assert_array_equal(found[seed], masks(model, clip))
    assert len({mask.tobytes() for of_one in found.values() for mask in of_one}) > 3 * MANY  # they can be told apart


def test_frames_for_which_there_is_no_time_are_skipped_and_counted(model: Network, sessions: Sessions) -> None:
    session = sessions.open("one")
    frames = moving_frames(60)
    for frame in frames:
        session.push(frame)
    result = session.wait(-1, 10.0)
    while result is not None and result.frame is not frames[-1]:
        result = session.wait(result.index, 10.0)
    assert result is not None
    figures = session.figures()
    assert figures.frames + figures.skipped == 60
    assert figures.frames == result.index + 1
    assert figures.skipped > 0
    assert figures.age_ms is not None
    assert figures.latency_ms is not None
    assert figures.age_ms["max"] >= figures.latency_ms["max"]


def test_a_frame_that_the_network_cannot_take_harms_no_other_session() -> None:
    def network(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        if image.shape[0] == 65:
            raise RuntimeError("out of light")
        return np.zeros((2, 8, 8), np.float32)

    with Sessions(network) as sessions:
        bad, good = sessions.open("bad"), sessions.open("good")
        bad.push(np.zeros((65, 64, 3), np.uint8))
        assert bad.wait(-1, 10.0) is None
        assert bad.state == "failed"
        assert bad.problem == "out of light"
        for index in range(3):
            good.push(np.full((64, 64, 3), 9, np.uint8))
            assert good.wait(index - 1, 10.0) is not None
        assert (good.state, good.problem) == ("running", None)


def test_who_waits_is_told_when_a_session_is_closed(sessions: Sessions) -> None:
    session = sessions.open("one")
    timer = threading.Timer(0.1, sessions.close, ("one",))
    timer.start()
    assert session.wait(-1, 30.0) is None
    assert session.state == "ended"
    assert sessions.get("one") is None
    assert len(sessions) == 0
    with pytest.raises(ConfigError, match="is over"):
        session.push(moving_frames(1)[0])


def test_what_cannot_be_a_session_or_a_frame_is_refused(model: Network, sessions: Sessions) -> None:
    session = sessions.open("one")
    for name in ("one", ""):
        with pytest.raises(ConfigError, match="name"):
            sessions.open(name)
    with pytest.raises(ConfigError, match="every 0"):
        sessions.open("other", "x.mp4", every=0)
    with pytest.raises(ConfigError, match="one that is open: one"):
        sessions["other"]
    with pytest.raises(ConfigError, match="one that is open"):
        sessions.close("other")
    side = 1 + int(MOST_PIXELS**0.5)
    for frame in (np.zeros((0, 4, 3), np.uint8), np.broadcast_to(np.uint8(0), (side, side, 3)), np.zeros((8, 8, 3))):
        with pytest.raises(ConfigError, match="a frame of"):
            session.push(frame)  # type: ignore[arg-type]
    with Sessions(model, most=1) as few:
        few.open("one")
        with pytest.raises(ConfigError, match="up to 1 sessions"):
            few.open("other")
    with pytest.raises(ConfigError, match="after the end"):
        few.open("late")
    with pytest.raises(ConfigError, match="workers 0"):
        Sessions(model, workers=0)
