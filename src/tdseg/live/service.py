"""What the routes share: the sessions, who watches them, and what clients opened, which is closed when it is idle."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tdseg.errors import ConfigError
from tdseg.live.allowed import AllowedSources
from tdseg.live.encoding import class_shares, rounded
from tdseg.live.feed import ResultFeed
from tdseg.live.limits import Limits
from tdseg.live.refusal import RequestError
from tdseg.live.session import Session
from tdseg.live.sessions import Sessions
from tdseg.masks.palette import Colors
from tdseg.video.reconnecting import OVER

T = TypeVar("T")
NAME = re.compile(r"\w[\w .-]{0,63}")
"""Letters and digits of any script, and some marks: a name is part of URLs, of metrics and of pages."""
OPENERS = 8
"""Sources that are opened or closed at once; one that does not answer holds no other up."""
SWEEP_S = 5.0
"""Between two looks at what is idle, at the most."""


@dataclass(frozen=True)
class ServedModel:
    """The network that all sessions share, as clients are told of it."""

    model: str
    classes: tuple[str, ...]
    colors: Colors
    """RGB of every mask value."""


@dataclass
class _Opened:
    """A session that a client opened."""

    upload: Path | None = None
    """File that goes with it."""
    active_s: float = 0.0
    """When anything came of it last, `time.monotonic()`."""
    pushers: int = 0


def checked_name(name: object) -> str:
    """A session's name, if it may be one.

    Raises:
        RequestError: it is something else.
    """
    if isinstance(name, str) and NAME.fullmatch(name) and not name.endswith((" ", ".")):
        return name
    raise RequestError(
        422,
        f"the name {name[:80]!r}" if isinstance(name, str) else "no name",
        expected="up to 64 letters, digits, spaces and the marks . _ -, a letter or digit first",
        do="choose such a name",
    )


class Service:
    """The sessions of a server, in its event loop.

    Args:
        sessions: run beside the loop, in threads of their own.
        about: the network.
        allowed: sources that clients may open.
        limits: of what they may take.
    """

    def __init__(self, sessions: Sessions, about: ServedModel, allowed: AllowedSources, limits: Limits) -> None:
        self.sessions, self.about, self.allowed, self.limits = sessions, about, allowed, limits
        self.stopping = False
        """No more is served: what is open ends."""
        self.viewers = 0
        self._opened: dict[str, _Opened] = {}
        self._feeds: dict[str, ResultFeed] = {}
        self._reserved: set[str] = set()
        self._uploads = Path(tempfile.mkdtemp(prefix="tdseg-"))  # for this user alone
        self._encoders = ThreadPoolExecutor(2, "tdseg-draw")
        self._decoders = ThreadPoolExecutor(2, "tdseg-decode")
        self._openers = ThreadPoolExecutor(OPENERS, "tdseg-open")

    def get(self, name: str) -> Session:
        """The session of a name.

        Raises:
            RequestError: there is none.
        """
        session = self.sessions.get(name)
        if session is None:
            raise RequestError(
                404, f"session {name[:80]!r}", expected="one of /sessions", do="open it by POST /sessions"
            )
        return session

    def feed(self, name: str) -> ResultFeed:
        """The results of a session.

        Raises:
            RequestError: there is none.
        """
        session = self.get(name)
        feed = self._feeds.get(name)
        if feed is None or feed.session is not session:
            feed = self._feeds[name] = ResultFeed(session, self._encoders)
        return feed

    def described(self, session: Session) -> dict[str, Any]:
        """A session as fields of JSON; where the server keeps what a client sent is not told."""
        figures, result, opened = session.figures(), session.newest(), self._opened.get(session.name)
        source, problem = session.source, session.problem
        if opened and opened.upload:
            source, problem = "uploaded", problem and problem.replace(str(opened.upload), session.name)
        return {
            "name": session.name,
            "source": source,
            "state": session.state,
            "problem": problem,
            "index": result and result.index,
            "shares": class_shares(result) if result else {},
            "frames": figures.frames,
            "skipped": figures.skipped,
            "reconnects": figures.reconnects,
            "cuts": figures.cuts,
            "fps": rounded(figures.fps),
            "age_ms": _rounded(figures.age_ms),
            "latency_ms": _rounded(figures.latency_ms),
        }

    async def decode(self, read: Callable[[], T]) -> T:
        """What a client sent, read in a thread: of others than those that draw, so that it holds up no viewer."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, read)

    @contextmanager
    def reserve(self, name: object) -> Iterator[str]:
        """A name for a session to be, and room for it, while it is opened.

        Raises:
            RequestError: the name is taken or none, or there is no room.
        """
        checked = checked_name(name)
        if checked in self._reserved or self.sessions.get(checked) is not None:
            raise RequestError(
                409, f"session {checked!r} exists", expected="a new name", do="end it first, or choose another"
            )
        if len(self.sessions) + len(self._reserved) >= self.limits.most_sessions:
            raise RequestError(
                503,
                f"{self.limits.most_sessions} sessions are open",
                expected="fewer: that is --most-sessions",
                do="end one by DELETE /sessions/NAME",
            )
        self._reserved.add(checked)
        try:
            yield checked
        finally:
            self._reserved.discard(checked)

    async def open(
        self, name: str, source: str | Path | int | None, *, every: int = 1, upload: Path | None = None
    ) -> Session:
        """Open a session for a client, under a name that it has reserved.

        Args:
            name: of the session.
            source: checked; None: the client pushes frames.
            every: as of `Sessions.open`.
            upload: file that goes with the session.

        Raises:
            VideoError, ConfigError: as of `Sessions.open`.
        """

        def work() -> Session:
            return self.sessions.open(name, source, every=every, alone=True)

        self._opened[name] = _Opened(upload, time.monotonic())  # before it is there to be ended
        try:
            return await asyncio.get_running_loop().run_in_executor(self._openers, work)
        except BaseException:
            self._opened.pop(name, None)
            raise

    async def close(self, name: str) -> None:
        """End a session, whoever opened it.

        Raises:
            RequestError: there is none.
        """
        self.get(name)
        await self._end(name)

    async def _end(self, name: str) -> None:
        opened = self._opened.pop(name, None)

        def work() -> None:
            with suppress(ConfigError):  # ended by another at the same time
                self.sessions.close(name)
            if opened and opened.upload:
                opened.upload.unlink(missing_ok=True)

        await asyncio.get_running_loop().run_in_executor(self._openers, work)
        self._feeds.pop(name, None)  # when nobody can ask for it any more

    def new_upload(self) -> Path:
        """A file of its own for a video that a client sends."""
        handle, name = tempfile.mkstemp(dir=self._uploads)
        Path(name).chmod(0o600)
        with open(handle, "wb"):
            return Path(name)

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """A stream or WebSocket is open meanwhile.

        Raises:
            RequestError: too many are.
        """
        if self.viewers >= self.limits.most_viewers:
            raise RequestError(
                503,
                f"{self.viewers} streams are open",
                expected="fewer: that is --most-viewers",
                do="close one, or ask for /snapshot.jpg",
            )
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    @contextmanager
    def pushing(self, name: str) -> Iterator[None]:
        """A client sends frames to a session of its own meanwhile; it does not count as idle."""
        opened = self._opened.get(name)
        if opened is None or self.get(name).source != "pushed":
            raise RequestError(
                409,
                f"frames for {name!r}, which has a source",
                expected="a session without a source",
                do='open one by POST /sessions {"name": …}',
            )
        if opened.pushers:
            raise RequestError(
                409, f"frames for {name!r} from a second client", expected="one", do="open a session for each"
            )
        opened.pushers += 1
        try:
            yield
        finally:
            opened.pushers -= 1
            opened.active_s = time.monotonic()

    async def sweep(self) -> None:
        """Close what clients opened and left, for as long as this runs."""
        while True:
            await asyncio.sleep(min(SWEEP_S, self.limits.idle_s / 4))
            now = time.monotonic()
            for name, opened in list(self._opened.items()):
                session = self.sessions.get(name)
                works = session and session.state not in OVER and (session.source != "pushed" or opened.pushers)
                if works:
                    opened.active_s = now
                elif now - opened.active_s > self.limits.idle_s:
                    await self._end(name)

    def stop(self) -> None:
        """End all that is open; uploads go."""
        self.stopping = True
        self._openers.shutdown(wait=False, cancel_futures=True)
        self._encoders.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._uploads, ignore_errors=True)


def _rounded(spans: dict[str, float] | None) -> dict[str, float | None] | None:
    return None if spans is None else {name: rounded(value) for name, value in spans.items()}
