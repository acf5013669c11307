"""The newest frame: one slot between a source and a network that is slower than it."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

from tdseg.inference.stages import through
from tdseg.video import Frame

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """One place for an item on its way from the threads that put it to those that take it.

    A newer item takes the place of one that waits, which is skipped; so what is taken is never old.

    Attributes:
        skipped: items that nobody took.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._changed = threading.Condition()
        self._item: T | None = None
        self._ended = self._closed = False
        self._error: BaseException | None = None

    @property
    def waits(self) -> bool:
        """Whether an item is there to be taken."""
        return self._item is not None

    def put(self, item: T, *, lossless: bool = False) -> bool:
        """Hand an item on; False if no more are taken.

        Args:
            item: anything but None.
            lossless: wait until the one before it is taken, and skip none.
        """
        with self._changed:
            while lossless and self._item is not None and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self.skipped += self._item is not None
            self._item = item
            self._changed.notify_all()
        return True

    def take(self, *, wait: bool = True) -> T | None:
        """The item that was put last, once there is one; None at the end, or where none is there to wait for."""
        with self._changed:
            while wait and self._item is None and not self._ended and not self._closed:
                self._changed.wait()
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def end(self, error: BaseException | None = None) -> None:
        """No more are put; the error, if there is one, is raised in the thread that iterates, after the last item."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """No more are taken."""
        with self._changed:
            self._closed, self._item = True, None
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while (item := self.take()) is not None:
            yield item
            del item  # it may be large, and the next one may be long in coming
        if self._error:
            raise self._error


class NewestFrames:
    """The frames of a source, each the newest there is when it is asked for; those between are skipped.

    Each says when it arrived, so that `Result.age_ms` is known where it is handed to `Stream.step`. Give them to that
    one by one: what reads ahead, as `Stream.ahead` does, makes them wait, and thus old. Close it, or let it end.

    Args:
        frames: a `VideoReader`; read in a thread of their own, which closes it.

    Attributes:
        skipped: frames that came and were not taken.
    """

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._slot: NewestSlot[Frame] = NewestSlot()
        self._frames = through(self._slot, frames, _arrived)

    @property
    def skipped(self) -> int:  # noqa: D102 - see the class
        return self._slot.skipped

    def __iter__(self) -> Generator[Frame, None, None]:
        return self._frames

    def close(self) -> None:
        """Stop reading: at once, or when the frame comes for which the source waits."""
        self._frames.close()


def _arrived(frame: Frame) -> Frame:
    return frame if frame.arrived_s else frame._replace(arrived_s=time.perf_counter())
