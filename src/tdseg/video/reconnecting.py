"""A live source: opened, watched, and opened again when it breaks off."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import av

from tdseg.errors import ConfigError, VideoError
from tdseg.video.address import is_camera, is_http, is_url, printable
from tdseg.video.arrivals import Arrivals
from tdseg.video.excerpt import Excerpt
from tdseg.video.frame import Frame, FrameGenerator
from tdseg.video.opening import WHOLE, open_video
from tdseg.video.reader import VideoReader

SourceState = Literal["opening", "running", "stalled", "reconnecting", "ended", "failed"]
OVER: frozenset[SourceState] = frozenset({"ended", "failed"})
_FINAL = (av.HTTPClientError, av.ProtocolNotFoundError, FileNotFoundError, PermissionError)
"""Why a source cannot be opened that was never open, and will not be: a wrong name or password."""
LEAST_S = 1.0
"""A source that ends so shortly before the end of what is asked for of it is not opened again, seconds."""
_log = logging.getLogger("tdseg")


@dataclass(frozen=True)
class Patience:
    """How long a live source is waited for, seconds.

    Attributes:
        stall_s: Without a frame for so long, it is called stalled, and the next frame begins anew, without memory.
        timeout_s: Silent for so long, its connection is given up.
        first_pause_s: Before it is opened again; each further pause is twice as long …
        most_pause_s: … up to this one. A connection that gives frames for longer than that sets the pause back.
        away_s: Without a frame for so long, a source that was open is given up; 0: as soon as it breaks off.
    """

    stall_s: float = 3.0
    timeout_s: float = 10.0
    first_pause_s: float = 0.5
    most_pause_s: float = 30.0
    away_s: float = math.inf

    def __post_init__(self) -> None:
        pauses = 0 < self.first_pause_s <= self.most_pause_s
        if not (pauses and self.stall_s > 0 and self.timeout_s > 0 and self.away_s >= 0):
            raise ConfigError(
                f"patience of {self}",
                expected="times above 0 s (away_s from 0 on), and a longest pause that is no shorter than the first",
                do="change one of them",
            )


class LiveSource:
    """The frames of a camera, an address or a file, which is opened again whenever it breaks off.

    A file, or an address that is no live one, is played once; so is what HTTP says is at its end.

    Args:
        source: as of `open_video`.
        excerpt: which of its frames; of a live one, by the time since its first.
        deinterlace: as of `open_video`.
        at_its_pace: play what is not live as fast as it was recorded; else as fast as it is taken.
        patience: how long it is waited for.
        alone: as of `open_video`.
        opened: its first connection, if that is there, with the same excerpt.

    Attributes:
        name: the source as it may be shown, without user and password.
        reconnects: how many times it was opened again and gave frames.
    """

    def __init__(
        self,
        source: str | Path | int,
        excerpt: Excerpt = WHOLE,
        *,
        deinterlace: bool = True,
        at_its_pace: bool = True,
        patience: Patience | None = None,
        alone: bool = False,
        opened: VideoReader | None = None,
    ) -> None:
        self.name = printable(source)
        self.reconnects = 0
        self._source, self._excerpt, self._at_its_pace = source, excerpt, at_its_pace
        self._deinterlace, self._patience, self._alone = deinterlace, patience or Patience(), alone
        self._opened = opened
        self._arrivals = Arrivals(self._patience.stall_s)
        self._returns = is_camera(source) or is_url(str(source))
        self._stopped = threading.Event()
        self._state: SourceState = "opening"
        self._problem: str | None = None
        self._was_open = self._is_away = False

    @property
    def _left_s(self) -> float:
        """Of its excerpt, seconds."""
        return self._excerpt.end_s - self._arrivals.time_s

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

    def frames(self) -> Generator[Frame, None, None]:
        """Its frames, once through; ends when the source does for good, or is stopped."""
        pause_s = self._patience.first_pause_s
        while not self._stopped.is_set():
            first_s: float | None = None
            with closing(self._connection()) as connection:
                for frame in connection:
                    first_s = first_s or frame.arrived_s
                    yield frame
            if self._state in OVER or self._stopped.is_set():
                break
            if first_s and time.perf_counter() - first_s > pause_s:
                pause_s = self._patience.first_pause_s
            self._arrivals.break_off()
            left_s = min(self._patience.away_s - self._arrivals.silence_s, self._left_s - LEAST_S)
            if left_s <= 0:
                break
            self._tell(f"{self._problem}; trying again")
            self._stopped.wait(min(pause_s, left_s))
            pause_s = min(2 * pause_s, self._patience.most_pause_s)
        if self._state not in OVER:
            self._state = "ended"

    def _tell(self, news: str, *, is_back: bool = False) -> None:
        """Log that the source went away, or is back: once each."""
        if self._is_away == is_back:
            self._is_away = not is_back
            _log.log(logging.INFO if is_back else logging.WARNING, "%s: %s", self.name, news)

    def _connection(self) -> Generator[Frame, None, None]:
        """The frames until it breaks off."""
        try:
            reader = self._open()
        except VideoError as error:
            self._problem = error.got.removeprefix(f"{self.name}: ")
            final = not self._was_open and isinstance(error.__cause__, _FINAL)
            self._state = "failed" if final or not self._returns else "reconnecting"
            return
        with closing(reader):
            self._tell(f"back after {self._arrivals.silence_s:.0f} s", is_back=True)
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
        is_whole = not reader.problem and is_http(self._source)
        if self._returns and reader.is_live and not is_whole and self._left_s > LEAST_S:
            self._state, self._problem = "reconnecting", reader.problem or "the source ended"
        else:
            self._state = "ended"

    def _open(self) -> VideoReader:
        """The next connection: the one that was there, or one for what is left of the excerpt."""
        reader, self._opened = self._opened, None
        if reader:
            return reader
        rest = self._excerpt
        if self._was_open:
            rest = replace(rest, start=None, end=None if math.isinf(self._left_s) else self._left_s)
        return open_video(
            self._source,
            rest,
            deinterlace=self._deinterlace,
            timeout_s=self._patience.timeout_s,
            alone=self._alone,
        )

    def _played(self, reader: VideoReader) -> Iterator[Frame]:
        """The frames as they come, or when it is their time."""
        begun: float | None = None
        for frame in reader:
            if self._at_its_pace and not reader.is_live:
                begun = time.perf_counter() - frame.time_s if begun is None else begun
                self._stopped.wait(begun + frame.time_s - time.perf_counter())
            yield frame


class LastingReader(VideoReader):
    """The frames of a live source, which is opened again when it breaks off; made by `open_lasting`.

    Args:
        source: of the frames.
        opened: its first connection.
    """

    def __init__(self, source: LiveSource, opened: VideoReader) -> None:
        self._live = source
        super().__init__(self._lasting(), source.name, opened.about)
        self.is_live = self.is_endless = True

    @property
    def reconnects(self) -> int:  # noqa: D102 - see VideoReader
        return self._live.reconnects

    def _lasting(self) -> FrameGenerator:
        yield from self._live.frames()
        return self._live.problem

    def close(self) -> None:
        """Release the source; it is not opened again."""
        self._live.stop()
        super().close()


def open_lasting(
    source: str | Path | int, excerpt: Excerpt = WHOLE, *, deinterlace: bool = True, patience: Patience
) -> VideoReader:
    """As `open_video`; a source without an end that breaks off is opened again, see `LiveSource`.

    Args:
        source, excerpt, deinterlace: as of `open_video`.
        patience: how long it is waited for, once it was open; what cannot be opened at first is an error.

    Raises:
        VideoError, ConfigError: as of `open_video`.
    """
    opened = open_video(source, excerpt, deinterlace=deinterlace, timeout_s=patience.timeout_s)
    if not opened.is_endless:
        return opened
    live = LiveSource(source, excerpt, deinterlace=deinterlace, patience=patience, opened=opened)
    return LastingReader(live, opened)
