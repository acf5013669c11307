from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

import pytest

from tdseg.errors import VideoError
from tdseg.inference.stages import AHEAD, BoundedQueue, ahead

WAIT_S = 10.0


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Source:
    """Numbers from 0; `made` are those that were asked for."""

    def __init__(self, count: int = 100) -> None:
        self.count, self.made = count, 0
        self.closed_by = ""

    def __iter__(self) -> Iterator[int]:
        while self.made < self.count:
            self.made += 1
            yield self.made - 1

    def close(self) -> None:
        self.closed_by = threading.current_thread().name


def same(item: int) -> int:
    return item


def test_results_come_in_order() -> None:
    source = Source(50)
    assert list(ahead(source, lambda item: item * 2)) == [2 * item for item in range(50)]
    assert source.closed_by == "tdseg-ahead"
    assert list(ahead([], same)) == []


@pytest.mark.parametrize("most", [1, AHEAD])
def test_bounded(most: int) -> None:
    source = Source()
    with closing(ahead(source, same, most=most)) as results:
        for asked in range(5):
            assert next(results) == asked
            full = asked + 1 + most + 1  # given, waiting, and the one for which there is no room
            until(lambda full=full: source.made == full)  # type: ignore[misc]
            time.sleep(0.01)
            assert source.made == full
    assert source.made <= full + 1


def test_a_result_does_not_wait_for_the_next_item() -> None:
    """As of a camera: the next frame comes when it comes."""
    come = threading.Semaphore(0)

    def slow() -> Iterator[int]:
        for item in range(5):
            assert come.acquire(timeout=WAIT_S)
            yield item

    results = ahead(slow(), same)
    for item in range(5):
        come.release()
        assert next(results) == item
    assert list(results) == []


def test_closing_ends_the_thread_and_closes_the_source_there() -> None:
    source = Source()
    with closing(ahead(source, same)) as results:
        next(results)
    assert source.closed_by == "tdseg-ahead"
    source = Source()
    ahead(source, same).close()  # before the first: nothing was begun
    assert (source.made, source.closed_by) == (0, "")


def test_abandoned_stage_ends() -> None:
    source = Source()
    for item in ahead(source, same):
        if item == 3:
            break
    until(lambda: source.closed_by == "tdseg-ahead")


def test_closing_does_not_wait_for_a_source_that_gives_nothing() -> None:
    begun, go_on = threading.Event(), threading.Event()
    closed: list[str] = []

    def silent() -> Generator[int, None, None]:
        try:
            yield 0
            begun.set()
            go_on.wait()
            yield 1
        finally:
            closed.append(threading.current_thread().name)

    with closing(ahead(silent(), same)) as results:
        assert next(results) == 0
        assert begun.wait(WAIT_S)
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "tdseg-ahead")
        assert thread.daemon  # so that it does not keep the process alive
    assert not closed  # though it still has the source
    go_on.set()
    until(lambda: closed == ["tdseg-ahead"])


@pytest.mark.parametrize("where", ["source", "work", "close"])
def test_errors_reach_the_consumer_in_their_turn(where: str) -> None:
    error = VideoError("a broken thing", expected="a whole one", do="mend it")

    class Broken(Source):
        def __iter__(self) -> Iterator[int]:
            yield from range(3)
            if where == "source":
                raise error

        def close(self) -> None:
            super().close()
            if where == "close":
                raise error

    def work(item: int) -> int:
        if where == "work" and item == 2:
            raise error
        return item

    source = Broken()
    given: list[int] = []
    with pytest.raises(VideoError, match="a broken thing"):
        given.extend(ahead(source, work))
    assert given == ([0, 1] if where == "work" else [0, 1, 2])
    assert source.closed_by == "tdseg-ahead"
    results = ahead(Broken(), work)
    assert [next(results), next(results)] == [0, 1]
    results.close()  # an error nobody asks for is dropped


def test_interrupt_while_waiting_stops_the_stage() -> None:
    taken, go_on = threading.Event(), threading.Event()

    def silent() -> Iterator[int]:
        yield 0
        assert taken.wait(WAIT_S)
        time.sleep(0.1)  # until the other thread waits: a signal just before that would not wake it
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        go_on.wait()

    given: list[int] = []

    def take() -> None:
        with closing(ahead(silent(), same)) as results:
            for item in results:
                given.append(item)
                taken.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            take()
    finally:
        signal.signal(signal.SIGINT, before)
        go_on.set()
    assert given == [0]


def test_put_tells_when_nobody_takes_any_more() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    assert queue.put(0)
    waiting = threading.Timer(0.01, queue.close)
    waiting.start()
    assert not queue.put(1)  # while it waits for room
    assert not queue.put(2)
    waiting.join()


def test_what_waits_is_taken_before_the_end() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3)
    assert all(queue.put(item) for item in range(3))
    queue.end()
    assert list(queue) == [0, 1, 2]
