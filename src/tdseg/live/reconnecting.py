"""A live source: opened, watched, and opened again when it breaks off."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import av

from tdseg.errors import ConfigError, VideoError
from tdseg.video import Excerpt, Frame, VideoReader, open_video
from tdseg.video.address import is_camera, is_url, printable

SourceState = Literal["opening", "running", "stalled", "reconnecting", "ended", "failed"]
OVER: frozenset[SourceState] = frozenset({"ended", "failed"})
_FINAL = (av.HTTPClientError, av.ProtocolNotFoundError, FileNotFoundError, PermissionError)
"""Why a source cannot be opened that was never open, and will not be: a wrong name or password."""


@dataclass(frozen=True)
class Patience:
    """How long a live source is waited for, seconds.

    Attributes:
        stall_s: Without a frame for so long, it is called stalled, and the next frame begins anew, without memory.
        timeout_s: Silent for so long, its connection is given up.
        first_pause_s: Before it is opened again; each further pause is twice as long …
        most_pause_s: … up to this one. A connection that gives frames for longer than that sets the pause back.
    """

    stall_s: float = 3.0
    timeout_s: float = 10.0
    first_pause_s: float = 0.5
    most_pause_s: float = 30.0

    def __post_init__(self) -> None:
        if min(self.stall_s, self.timeout_s, self.first_pause_s) <= 0 or self.most_pause_s < self.first_pause_s:
            raise ConfigError(
                f"patience of {self}",
                expected="times above 0 s, and a longest pause that is no shorter than the first",
                do="change one of them",
            )


class LiveFrame(NamedTuple):
    """A frame, and what of its source it belongs to."""

    frame: Frame
    """Its time is in seconds since the first frame of the source, gaps included."""
    part: int
    """Frames of one part followed each other without a gap; between parts the source was away or silent."""


class Arrivals:
    """When the frames of a source came: where it is silent, and where a part of it begins. One thread notes them.

    Args:
        stall_s: a silence of so many seconds is a gap.
    """

    def __init__(self, stall_s: float) -> None:
        self.stall_s = stall_s
        self._first_s: float | None = None
        self._last_s = time.perf_counter()
        self._part = 0
        self._base_s = self._time_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Since the first frame."""
        return 0.0 if self._first_s is None else time.perf_counter() - self._first_s

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
        """The next frame begins a part, whose times count from 0."""
        if self._first_s is not None:
            self._part += 1
            self._base_s = self.elapsed_s

    def begin(self) -> None:
        """From now on a frame is waited for."""
        self._last_s = time.perf_counter()

    def note(self, frame: Frame) -> LiveFrame:
        """A frame that just came."""
        now = time.perf_counter()
        if self._first_s is None:
            self._first_s = now
        elif self.has_stalled:
            self._part += 1
        self._last_s = now
        self._time_s = max(self._time_s, self._base_s + frame.time_s)
        return LiveFrame(Frame(frame.index, self._time_s, frame.image, now), self._part)


class LiveSource:
    """The frames of a camera, an address or a file, which is opened again whenever it breaks off.

    A file, or an address that is no live one, is played once.

    Args:
        source: as of `open_video`.
        every: of the frames, take the first and then every so-many-th.
        at_its_pace: play what is not live as fast as it was recorded; else as fast as it is taken.
        patience: how long it is waited for.
        alone: as of `open_video`.

    Attributes:
        name: the source as it may be shown, without user and password.
        reconnects: how many times it was opened again and gave frames.

    Raises:
        ConfigError: an `every` below 1.
    """

    def __init__(
        self,
        source: str | Path | int,
        *,
        every: int = 1,
        at_its_pace: bool = True,
        patience: Patience | None = None,
        alone: bool = False,
    ) -> None:
        self.name = printable(source)
        self.reconnects = 0
        self._source, self._excerpt, self._at_its_pace = source, Excerpt(every=every), at_its_pace
        self._patience, self._alone = patience or Patience(), alone
        self._arrivals = Arrivals(self._patience.stall_s)
        self._returns = is_camera(source) or is_url(str(source))
        self._stopped = threading.Event()
        self._state: SourceState = "opening"
        self._problem: str | None = None
        self._was_open = False

    @property
    def state(self) -> SourceState:
        """Where it stands."""
        return "stalled" if self._state == "running" and self._arrivals.has_stalled else self._state

    @property
    def problem(self) -> str | None:
        """Why it gives no frames now, or gave fewer than it has, in words."""
        if self.state == "stalled":
            return self._arrivals.stall
        return self._problem

    def stop(self) -> None:
        """No more frames. A thread that waits for one ends when that comes, or at the end of its patience."""
        self._stopped.set()

    def frames(self) -> Generator[LiveFrame, None, None]:
        """Its frames, once through; ends when the source does for good, or is stopped."""
        pause_s = self._patience.first_pause_s
        while not self._stopped.is_set():
            first_s: float | None = None
            with closing(self._connection()) as connection:
                for item in connection:
                    first_s = first_s or item.frame.arrived_s
                    yield item
            if self._state in OVER:
                return
            if first_s and time.perf_counter() - first_s > pause_s:
                pause_s = self._patience.first_pause_s
            self._arrivals.break_off()
            self._stopped.wait(pause_s)
            pause_s = min(2 * pause_s, self._patience.most_pause_s)
        self._state = "ended"

    def _connection(self) -> Generator[LiveFrame, None, None]:
        """The frames until it breaks off."""
        try:
            reader = open_video(self._source, self._excerpt, timeout_s=self._patience.timeout_s, alone=self._alone)
        except VideoError as error:
            self._problem = error.got.removeprefix(f"{self.name}: ")
            final = not self._was_open and isinstance(error.__cause__, _FINAL)
            self._state = "failed" if final or not self._returns else "reconnecting"
            return
        with closing(reader):
            self.reconnects += self._was_open
            self._was_open = True
            self._arrivals.stall_s = self._patience.stall_s if reader.is_live else math.inf
            for frame in self._played(reader):
                if self._stopped.is_set():
                    return
                arrived = self._arrivals.note(frame)
                self._state, self._problem = "running", None
                yield arrived
                self._arrivals.begin()
        self._problem = reader.problem
        if self._returns and reader.is_live:
            self._state, self._problem = "reconnecting", reader.problem or "the source ended"
        else:
            self._state = "ended"

    def _played(self, reader: VideoReader) -> Iterator[Frame]:
        """The frames as they come, or when it is their time."""
        begun: float | None = None
        for frame in reader:
            if self._at_its_pace and not reader.is_live:
                begun = time.perf_counter() - frame.time_s if begun is None else begun
                self._stopped.wait(begun + frame.time_s - time.perf_counter())
            yield frame
