from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from support.small import write_clip
from tdseg.errors import VideoError
from tdseg.inference.newest import NewestFrames, NewestSlot
from tdseg.video import Frame, open_video

IMAGE = np.zeros((8, 8, 3), np.uint8)
WAIT_S = 10.0


def test_a_newer_item_takes_the_place_of_one_that_waits() -> None:
    slot: NewestSlot[int] = NewestSlot()
    assert slot.take(wait=False) is None
    assert [slot.put(item) for item in (1, 2, 3)] == [True] * 3
    assert slot.waits
    assert slot.take() == 3
    assert slot.skipped == 2
    slot.put(4)
    slot.end()
    assert list(slot) == [4]
    assert slot.skipped == 2


def test_lossless_waits_until_the_item_before_is_taken() -> None:
    slot: NewestSlot[int] = NewestSlot()

    def put() -> None:
        for item in range(20):
            slot.put(item, lossless=True)
        slot.end()

    thread = threading.Thread(target=put)
    thread.start()
    assert list(slot) == list(range(20))
    assert slot.skipped == 0
    thread.join()


def test_closing_lets_both_sides_go() -> None:
    slot: NewestSlot[int] = NewestSlot()
    slot.put(0)
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(slot.put(1, lossless=True)))
    thread.start()
    slot.close()
    thread.join()
    assert taken == [False]
    assert slot.take() is None
    assert not slot.put(2)


def test_whoever_is_slow_has_the_newest_frame() -> None:
    go_on, given = threading.Semaphore(0), threading.Semaphore(0)

    def source() -> Iterator[Frame]:
        for index in range(9):
            assert go_on.acquire(timeout=WAIT_S)
            yield Frame(index, index / 25, IMAGE)
            given.release()  # the frame before is in the slot

    with closing(NewestFrames(source())) as newest:
        frames = iter(newest)
        go_on.release()
        assert next(frames).index == 0
        for last in (4, 7):
            for _ in range(last - 4 + 1 if last > 4 else 4):
                go_on.release()
            for _ in range(last - 4 if last > 4 else 4):
                given.acquire(timeout=WAIT_S)
            frame = next(frames)
            assert frame.index >= last - 1
            assert frame.arrived_s is not None
            assert frame.arrived_s <= time.perf_counter()
        assert newest.skipped >= 4


def test_every_frame_of_a_source_comes_or_is_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 40)
    with open_video(clip) as reader:
        newest = NewestFrames(reader)
        came = [frame.index for frame in newest]
    assert came == sorted(came)
    assert came[-1] == 39  # the last is skipped by none
    assert len(came) + newest.skipped == 40


def test_errors_come_after_the_last_frame() -> None:
    def broken() -> Iterator[Frame]:
        yield Frame(0, 0.0, IMAGE)
        raise VideoError("a broken thing", expected="a whole one", do="mend it")

    with pytest.raises(VideoError, match="a broken thing"):
        assert len([frame.index for frame in NewestFrames(broken())]) == 1


def test_closing_closes_the_source_where_it_is_read() -> None:
    closed: list[str] = []

    def endless() -> Generator[Frame, None, None]:
        try:
            while True:
                yield Frame(0, 0.0, IMAGE)
                time.sleep(0.001)
        finally:
            closed.append(threading.current_thread().name)

    with closing(NewestFrames(endless())) as newest:
        next(iter(newest))
    assert closed == ["tdseg-ahead"]
