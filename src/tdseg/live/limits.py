"""How much of the server clients may take, and how often they may ask."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields

from tdseg.errors import ConfigError

MOST_ADDRESSES = 4096
"""Addresses of clients that are remembered: what bounds the table, whoever asks."""


@dataclass(frozen=True)
class Limits:
    """How much of the server clients may take.

    Attributes:
        most_sessions: Sources at once, those of the command line included.
        most_viewers: Streams and WebSockets that are open at once.
        most_upload_mb: Size of an uploaded video, megabytes.
        most_frame_mb: Size of a JPEG that a client sends, megabytes.
        most_pixels: Of a frame that a client sends.
        requests_per_s: From one address.
        idle_s: After which what a client opened is closed: a source that ended or failed, or one whose client sends no
            frames, seconds.
    """

    most_sessions: int = 16
    most_viewers: int = 64
    most_upload_mb: float = 512.0
    most_frame_mb: float = 8.0
    most_pixels: int = 4096 * 4096
    requests_per_s: float = 50.0
    idle_s: float = 300.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                name = f"--{field.name.replace('_', '-')}"
                raise ConfigError(f"{name} {value}", expected="a number above 0", do=f"leave {name} out")


class RequestRate:
    """How many requests each address has left; it fills up again with time.

    Args:
        per_s: requests a second from one address; twice as many may come at once.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s, self._most = per_s, max(1.0, 2 * per_s)
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, address: str) -> bool:
        """Count a request; False if there are too many."""
        now = time.monotonic()
        left, then = self._left.pop(address, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_s)
        granted = left >= 1
        self._left[address] = (left - granted, now)  # at the end: the first is the one that asked longest ago
        if len(self._left) > MOST_ADDRESSES:
            self._left.pop(next(iter(self._left)))
        return granted
