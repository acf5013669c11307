"""Waiting for what may never come, such as the first picture of a silent address: an interrupt ends the wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Protocol, TypeVar

WAIT_S = 0.5
"""How long it waits before it looks whether a signal came."""


class Closable(Protocol):
    """Something to close when it is of no more use."""

    def close(self) -> None:
        """Release it."""


C = TypeVar("C", bound=Closable)


def waited_for(make: Callable[[], C]) -> C:
    """What a function makes; for the main thread, which signals reach, in a thread of its own.

    Where FFmpeg waits, no signal reaches Python; here it does, and what is made after that is closed again.

    Raises:
        BaseException: what the function raises; or an interrupt, at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return make()
    made: Future[C] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    # A daemon: it may wait for ever, and must not keep the process alive.
    threading.Thread(target=run, name="tdseg-open", daemon=True).start()
    try:
        while not wait([made], WAIT_S).done:  # a signal just before a wait does not end that
            pass
        return made.result()
    except BaseException:
        made.add_done_callback(_close)
        raise


def _close(made: Future[C]) -> None:
    with suppress(BaseException):
        made.result().close()
