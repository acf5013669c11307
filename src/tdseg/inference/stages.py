"""The bounded stage: a thread that works beside its caller, and what is between the two: a queue, or one slot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from queue import SimpleQueue
from typing import Generic, NamedTuple, Protocol, TypeVar

AHEAD = 4
"""Items that may wait between two stages: what bounds memory, whatever the length of the video."""

T = TypeVar("T")
R = TypeVar("R")


class _End(NamedTuple):
    error: BaseException | None


class Passage(Protocol[T]):
    """The way of items from the thread that puts them to the thread that iterates; either may stop."""

    def put(self, item: T) -> bool:
        """Hand an item on; False if no more are taken."""

    def end(self, error: BaseException | None = None) -> None:
        """No more are put; the error, if there is one, is raised in the thread that iterates, after the last item."""

    def close(self) -> None:
        """No more are taken."""

    def __iter__(self) -> Iterator[T]: ...


class BoundedQueue(Generic[T]):
    """Items on their way from the thread that puts them to the thread that iterates, in order; either may stop.

    Args:
        most: items that may wait.
    """

    def __init__(self, most: int = AHEAD) -> None:
        self._room = threading.Semaphore(most)
        self._items: SimpleQueue[T | _End] = SimpleQueue()
        self._closed = False

    def put(self, item: T) -> bool:
        """Hand an item on, once there is room for it; False if no more are taken."""
        self._room.acquire()
        if self._closed:
            self._room.release()  # for the next one, which is to wait no more
            return False
        self._items.put(item)
        return True

    def end(self, error: BaseException | None = None) -> None:
        """No more are put; the error, if there is one, is raised in the thread that iterates, after the last item."""
        self._items.put(_End(error))

    def close(self) -> None:
        """No more are taken."""
        self._closed = True
        self._room.release()

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._items.get(), _End):
            self._room.release()
            yield item
            del item  # it may be large, and the next one may be long in coming
        if item.error:
            raise item.error


def ahead(items: Iterable[T], work: Callable[[T], R], *, most: int = AHEAD) -> Generator[R, None, None]:
    """`work` of each item, in order, done in a thread of its own before it is asked for.

    A result is given as soon as it is there, however long the next item takes. An error is raised in its turn. Closing
    the generator ends the thread, which closes the items: at once, or when an item comes for which it waits.

    Args:
        items: iterated in the thread, and closed there if they can be.
        work: done on one item at a time.
        most: results that may wait; one more may be ready, for which there is no room yet.
    """
    return through(BoundedQueue(most), items, work)


def through(results: Passage[R], items: Iterable[T], work: Callable[[T], R]) -> Generator[R, None, None]:
    """As `ahead`, with a passage of the caller's between the thread and him."""

    def run() -> None:
        error: BaseException | None = None
        try:
            with ExitStack() as last:
                if callable(close := getattr(items, "close", None)):
                    last.callback(close)
                for item in items:
                    if not results.put(work(item)):
                        break
        except BaseException as raised:
            error = raised
        results.end(error)

    # A daemon: a camera or pipe that gives nothing may block it forever, and must not keep the process alive.
    thread = threading.Thread(target=run, name="tdseg-ahead", daemon=True)
    try:
        thread.start()
        yield from results
    finally:
        results.close()
        thread.join(timeout=1.0)
