"""Turns at a few workers, for many that want one now and then."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol


class TurnTaker(Protocol):
    """One that works in turns, at most one at a time."""

    @property
    def waits(self) -> bool:
        """Whether there is something for it to do."""

    def work(self) -> None:
        """Do one thing. Raises nothing."""


class Scheduler:
    """Workers, and those who wait for them: who has had a turn and wants another queues behind all others.

    Args:
        workers: threads; so many turns at once.
    """

    def __init__(self, workers: int) -> None:
        self._changed = threading.Condition()
        self._queue: deque[TurnTaker] = deque()
        self._known: set[TurnTaker] = set()
        """Those in the queue or at work."""
        self._stopped = False
        self._threads = [threading.Thread(target=self._run, name="tdseg-live", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def ask(self, taker: TurnTaker) -> None:
        """See that it has a turn, after it has something to do."""
        with self._changed:
            if taker not in self._known:
                self._known.add(taker)
                self._queue.append(taker)
                self._changed.notify()

    def stop(self) -> None:
        """End the workers, each after the turn in hand."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                taker = self._queue.popleft()
            taker.work()
            with self._changed:  # what it got to do before this, it is asked about now; later, it asks again
                if taker.waits:
                    self._queue.append(taker)
                    self._changed.notify()
                else:
                    self._known.discard(taker)
            del taker  # it holds pictures, and the next one may be long in coming
