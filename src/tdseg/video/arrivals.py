"""When the frames of a live source came, and which of them follow each other."""

from __future__ import annotations

import time

from tdseg.video.frame import Frame


class Arrivals:
    """When the frames of a source came: where it is silent, and where a part of it begins. One thread notes them.

    Args:
        stall_s: a silence of so many seconds is a gap.

    Attributes:
        count: of the frames.
    """

    def __init__(self, stall_s: float) -> None:
        self.stall_s = stall_s
        self._first_s: float | None = None
        self._last_s = time.perf_counter()
        self.count = self._part = 0
        self._origin_s = self._base_s = self._time_s = 0.0
        self._is_broken = False

    @property
    def elapsed_s(self) -> float:
        """Since the first frame."""
        return 0.0 if self._first_s is None else time.perf_counter() - self._first_s

    @property
    def time_s(self) -> float:
        """That of a frame which came now."""
        return self._origin_s + self.elapsed_s

    @property
    def silence_s(self) -> float:
        """Since the last frame or, before the first, since the beginning."""
        return time.perf_counter() - self._last_s

    @property
    def has_stalled(self) -> bool:
        """Whether it is silent for so long that this is a gap."""
        return self.silence_s >= self.stall_s

    @property
    def stall(self) -> str:
        """The silence in words."""
        return f"no frame for {self.silence_s:.0f} s"

    def break_off(self) -> None:
        """The next frame begins a part, whose times count anew."""
        self._is_broken = self._first_s is not None

    def begin(self) -> None:
        """From now on a frame is waited for."""
        self._last_s = time.perf_counter()

    def note(self, frame: Frame) -> Frame:
        """A frame that just came: counted on, with the time since the first, gaps included, and its part."""
        now = time.perf_counter()
        if self._first_s is None:
            self._first_s, self._origin_s = now, frame.time_s
        else:
            self._part += self._is_broken or self.has_stalled
        if self._is_broken:
            self._base_s, self._is_broken = self.time_s - frame.time_s, False
        self._last_s = now
        self._time_s = max(self._time_s, self._base_s + frame.time_s)
        self.count += 1
        return frame._replace(index=self.count - 1, time_s=self._time_s, arrived_s=now, part=self._part)
