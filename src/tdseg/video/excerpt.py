"""A part of a video: from a time to a time, and of its frames each or only some."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdseg.errors import ConfigError

MOST_EVERY = 1_000_000_000
CLOSE_S = 1e-6
"""Times of frames are sums of fractions as floats: what lies as near to an end as this lies on it, seconds."""


@dataclass(frozen=True)
class Excerpt:
    """Which frames of a video; they keep their own times.

    Attributes:
        start: Leave out what comes before, seconds or hh:mm:ss from the start of the video.
        end: Leave out this moment and what comes after, seconds or hh:mm:ss.
        every: Of these, take the first and then every so-many-th.
        fps: Frames per second of a source without a clock, such as a folder of frames; by default 25.
    """

    start: float | str | None = None
    end: float | str | None = None
    every: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.every <= MOST_EVERY:
            raise ConfigError(
                f"every {self.every}", expected=f"1 or more, up to {MOST_EVERY}", do="choose another --every"
            )
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ConfigError(f"fps {self.fps}", expected="more than 0, up to 1000", do="choose another --fps")
        if self.end_s <= self.start_s:
            raise ConfigError(
                f"start {self.start or 0}, end {self.end}",
                expected="an end after the start",
                do="change one of them, or leave --end out to go on to the end of the video",
            )

    @property
    def start_s(self) -> float:
        """Seconds."""
        return 0.0 if self.start is None else parse_time(self.start)

    @property
    def end_s(self) -> float:
        """Seconds, infinite where there is none."""
        return float("inf") if self.end is None else parse_time(self.end)

    def ends_before(self, time_s: float) -> bool:
        """Whether it is over at the time of a frame, seconds."""
        return time_s > self.end_s - CLOSE_S

    def picker(self) -> Callable[[float], bool]:
        """What says of each frame in turn, given its time in seconds, whether it is one of those before the end."""
        count, start_s = -1, self.start_s

        def is_chosen(time_s: float) -> bool:
            nonlocal count
            count += time_s >= start_s - CLOSE_S
            return time_s >= start_s - CLOSE_S and count % self.every == 0

        return is_chosen

    def chosen(self, times: Sequence[float]) -> list[int]:
        """Which frames they are of a video whose frames have these times, seconds, in order."""
        is_chosen = self.picker()
        return [index for index, time_s in enumerate(times) if not self.ends_before(time_s) and is_chosen(time_s)]

    def expected(self, num_frames: int, fps: float) -> int:
        """How many of the frames of a video belong to it; an estimate where they do not come at a constant rate."""
        first = math.ceil((self.start_s - CLOSE_S) * fps)
        last = num_frames if self.end is None else min(num_frames, math.ceil((self.end_s - CLOSE_S) * fps))
        return max(1, -(-(last - first) // self.every))


def parse_time(given: float | str) -> float:
    """Seconds of a time in seconds, mm:ss or hh:mm:ss, with decimals where they are wanted.

    Raises:
        ConfigError: another form, or a time below 0.
    """
    text = given.strip() if isinstance(given, str) else f"{given:.17f}"  # of 1e-05 as well
    match = re.fullmatch(r"(?:(?:(\d{1,9}):)?(\d{1,9}):)?(\d{1,12}(?:\.\d{0,60})?)", text, re.ASCII)
    hours, minutes, seconds = match.groups(default="0") if match else ("0", "0", "0")
    parted = match is not None and match[2] is not None
    if not match or (parted and float(seconds) >= 60) or (match[1] is not None and int(minutes) >= 60):
        raise ConfigError(
            f"time {given!r}",
            expected="seconds, mm:ss or hh:mm:ss, from 0 on",
            do="write it like 90, 1:30 or 00:01:30.5",
        )
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
