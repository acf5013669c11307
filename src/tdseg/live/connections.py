"""Connections that hold a place and do nothing with it, or make the server keep more and more for them: let go."""

from __future__ import annotations

import time
from dataclasses import dataclass

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

IDLE_S = 20.0
"""After which a connection goes that has not asked for anything, or takes nothing of its answer, seconds."""
MOST_WAITING = 64 << 20
"""Bytes on their way to one client: answers to pings wait for nobody."""
MOST_FRAGMENTS = 4096
"""Of one message of a WebSocket: empty ones are not counted by their bytes, and each takes memory."""


@dataclass
class _Seen:
    """A connection as it was when it was looked at last; times of `time.monotonic()`."""

    request: object
    idle_since_s: float
    stuck_since_s: float
    waiting: int = 0
    """Bytes that the client has still to take."""


class Connections:
    """The open connections of a server, looked at several times a second.

    Uvicorn waits without an end for the head of a first request, for the rest of a body that was refused, and for those
    who do not read the end of their answer; and it counts all of them against those who ask.

    Args:
        state: of the server.
        most: that may be open; of more, those go that have been without a request for longest.
    """

    def __init__(self, state: ServerState, most: int) -> None:
        self._state, self._most = state, most
        self._known: dict[object, _Seen] = {}

    def look(self) -> None:
        """Let go of those that are to go."""
        now = time.monotonic()
        before, self._known = self._known, {}
        idle = []
        for one in list(self._state.connections):
            assert isinstance(one, H11Protocol | WebSocketsSansIOProtocol), "as LiveServer chose"
            seen = self._known[one] = _looked_at(one, before.get(one), now)
            if _is_too_much(one, seen) or max(now - seen.idle_since_s, now - seen.stuck_since_s) > IDLE_S:
                one.transport.abort()
            elif seen.idle_since_s < now:
                idle.append(one)
        idle.sort(key=lambda one: self._known[one].idle_since_s)
        for one in idle[: max(0, len(self._known) - self._most)]:
            one.transport.abort()

    def end_bodies(self) -> None:
        """Let go of those whose request is still on its way: its end may be long in coming, and nobody waits for it."""
        for one in list(self._state.connections):
            if isinstance(one, H11Protocol) and _is_busy(one) and one.cycle.more_body:
                one.transport.abort()


def _looked_at(one: H11Protocol | WebSocketsSansIOProtocol, before: _Seen | None, now: float) -> _Seen:
    request = one.cycle if isinstance(one, H11Protocol) else None
    waiting = one.transport.get_write_buffer_size()
    seen = before or _Seen(request, now, now)
    if _is_busy(one) or request is not seen.request or waiting < seen.waiting:
        seen.idle_since_s = now
    if waiting == 0 or waiting != seen.waiting:
        seen.stuck_since_s = now
    seen.request, seen.waiting = request, waiting
    return seen


def _is_busy(one: H11Protocol | WebSocketsSansIOProtocol) -> bool:
    """Whether a request is being answered, or a WebSocket is open."""
    if one.transport.is_closing():
        return False
    if isinstance(one, H11Protocol):
        return one.cycle is not None and not one.cycle.response_complete
    return one.handshake_initiated and not one.close_sent


def _is_too_much(one: H11Protocol | WebSocketsSansIOProtocol, seen: _Seen) -> bool:
    fragments = len(one.frames) if isinstance(one, WebSocketsSansIOProtocol) else 0
    return seen.waiting > MOST_WAITING or fragments > MOST_FRAGMENTS
