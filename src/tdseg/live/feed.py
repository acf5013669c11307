"""The results of a session for all who watch it: waited for by one thread, encoded once, never kept for the slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from tdseg.inference.stream import Result
from tdseg.live.session import Session
from tdseg.video.reconnecting import OVER

T = TypeVar("T")
WAIT_S = 0.5
"""How long the thread waits for a result before it looks whether anybody still does."""


class ResultFeed:
    """The newest results of a session, in the event loop that made it.

    Args:
        session: whose.
        encoders: threads that draw and encode.
    """

    def __init__(self, session: Session, encoders: ThreadPoolExecutor) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()
        self._encoders = encoders
        self._changed = asyncio.Event()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._encoded_of: Result | None = None
        self._encoded: dict[Hashable, asyncio.Future[Any]] = {}

    @property
    def is_over(self) -> bool:
        """Whether no more results come."""
        return self.session.state in OVER

    async def after(self, seen: Result | None, timeout_s: float = 1.0) -> Result | None:
        """The newest result, once it is another than the last one seen; None if none comes in time, or no more."""
        result = self.session.newest()
        if result is not None and result is not seen:
            return result
        if self.is_over:
            return None
        self._waiting += 1
        try:
            self._watch(-1 if result is None else result.index)
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
        result = self.session.newest()
        return None if result is seen else result

    async def encoded(self, result: Result, key: Hashable, encode: Callable[[Result], T]) -> T:
        """What a result is encoded as; those who ask for the same of the same result share it.

        Args:
            result: which; of others than the newest nothing is kept.
            key: tells what it is encoded as.
            encode: run in a thread.
        """
        if self._encoded_of is not result:
            self._encoded_of, self._encoded = result, {}
        if key not in self._encoded:
            self._encoded[key] = self._loop.run_in_executor(self._encoders, encode, result)
        shared: asyncio.Future[T] = self._encoded[key]
        return await asyncio.shield(shared)  # one that vanishes stops no other

    def _watch(self, index: int) -> None:
        """Have a thread wait for a result after this one, if none does."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(index,), name="tdseg-feed", daemon=True)
            self._thread.start()

    def _run(self, index: int) -> None:
        while self.session.wait(index, WAIT_S) is None and self._waiting and not self.is_over:
            pass
        with suppress(RuntimeError):  # the server ended meanwhile
            self._loop.call_soon_threadsafe(self._publish)

    def _publish(self) -> None:
        self._thread = None
        self._changed.set()
        self._changed = asyncio.Event()
