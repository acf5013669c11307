"""Many sources, one network: sessions, opened and closed while others run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.live.scheduler import Scheduler
from tdseg.live.session import Session
from tdseg.runtime.any_model import AnyModel, as_network
from tdseg.system import free_memory, share_freed_memory
from tdseg.video import Excerpt
from tdseg.video.reconnecting import LiveSource, Patience

LEAST_MEMORY = 256 << 20
"""Bytes of main memory that must be free where another session is opened."""


class Sessions:
    """Sources that share a network: each has its own `Stream`, and no state crosses. A context manager.

    Each worker gives those sessions that have a frame waiting a step in turn, with the newest frame there is. So a
    source that is fast takes no time from one that is slow, one that is dead takes none, and whoever looks at the
    results slowly keeps nobody waiting.

    Args:
        network: a TDNet in eval mode, what `tdseg.load` gave, or a function from a frame to class scores.
        size: (height, width) of the network's input, pixels, for all; None: as of `Stream`, by the frames of each.
        workers: steps at once, each in a thread.
        most: sessions open at once; no more than that many closed ones may wait for their sources to let go.
        patience: how long sources are waited for.

    Raises:
        ConfigError: no worker or session at all, or as of `Stream`.
    """

    def __init__(
        self,
        network: AnyModel,
        *,
        size: tuple[int, int] | None = None,
        workers: int = 1,
        most: int = 64,
        patience: Patience | None = None,
    ) -> None:
        if workers < 1 or most < 1:
            raise ConfigError(
                f"workers {workers}, most {most}", expected="1 or more of each", do="choose larger numbers"
            )
        self.network = as_network(network)
        Stream(self.network, size)  # refuses now what it would refuse for every session
        self._size, self._most, self._patience = size, most, patience or Patience()
        self._sessions: dict[str, Session] = {}
        self._leaving: list[Session] = []
        self._lock = threading.Lock()
        self._stopped = False
        share_freed_memory()
        self._scheduler = Scheduler(workers)

    def open(
        self,
        name: str,
        source: str | Path | int | None = None,
        *,
        latest: bool = True,
        every: int = 1,
        alone: bool = False,
    ) -> Session:
        """Another session, which begins at once; whether its source can be opened, its `state` says later.

        Args:
            name: of the session.
            source: as of `open_video`; None: frames are pushed, see `Session.push`.
            latest: skip frames for which there is no time, and play files at their pace; else every frame has its mask,
                and the source waits.
            every: of the frames of the source, take the first and then every so-many-th.
            alone: as of `open_video`, for sources that are not to be trusted.

        Raises:
            ConfigError: the name is taken, there are too many sessions or too little memory, or an `every` below 1.
        """
        live = None
        if source is not None:
            live = LiveSource(source, Excerpt(every=every), at_its_pace=latest, patience=self._patience, alone=alone)
        with self._lock:
            self._check_room(name)
            session = Session(
                name,
                Stream(self.network, self._size),
                live,
                self._scheduler.ask,
                latest=latest,
                patience=self._patience,
            )
            self._sessions[name] = session
        session.start()
        return session

    def close(self, name: str) -> None:
        """End a session, at once, whatever its source does.

        Raises:
            ConfigError: there is none of this name.
        """
        with self._lock:
            session = self._sessions.pop(name, None)
            if session is None:
                raise self._unknown(name)
            if session.is_reading:
                self._leaving.append(session)
        session.stop()

    def stop(self) -> None:
        """End all sessions and the workers; none can be opened any more."""
        with self._lock:
            self._stopped = True
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.stop()
        self._scheduler.stop()

    def get(self, name: str) -> Session | None:
        """The session of a name, if there is one."""
        return self._sessions.get(name)

    def __getitem__(self, name: str) -> Session:
        session = self._sessions.get(name)
        if session is None:
            raise self._unknown(name)
        return session

    def __iter__(self) -> Iterator[Session]:
        with self._lock:
            return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def __enter__(self) -> Sessions:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _check_room(self, name: str) -> None:
        self._leaving = [session for session in self._leaving if session.is_reading]
        if name in self._sessions or not name:
            raise ConfigError(
                f"session {name!r}", expected="a name that no open session has", do="choose another, or close that one"
            )
        if self._stopped or len(self._sessions) >= self._most:
            raise ConfigError(
                "a session after the end of all" if self._stopped else f"session {name!r}, one more than {self._most}",
                expected=f"up to {self._most} sessions at once",
                do="close one first",
            )
        if len(self._leaving) >= self._most:
            raise ConfigError(
                f"session {name!r}, while {len(self._leaving)} closed ones wait for their sources",
                expected=f"no more than {self._most} of these",
                do=f"wait for {self._patience.timeout_s:g} s",
            )
        if (free := free_memory()) is not None and free < LEAST_MEMORY:
            raise ConfigError(
                f"session {name!r} with {free >> 20} MB of free memory",
                expected=f"at least {LEAST_MEMORY >> 20} MB",
                do="close other sessions or programs first",
            )

    def _unknown(self, name: str) -> ConfigError:
        known = ", ".join(self._sessions) or "none"
        return ConfigError(f"session {name!r}", expected=f"one that is open: {known}", do="open it first")
