"""One source on its way through the network that many share."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, first_line
from tdseg.inference.newest import NewestSlot
from tdseg.inference.stream import Result, Stream
from tdseg.metrics.basic import percentiles
from tdseg.video import Frame
from tdseg.video.arrivals import Arrivals
from tdseg.video.container import MOST_PIXELS
from tdseg.video.reconnecting import OVER, LiveSource, Patience, SourceState

RECENT = 256
"""Results whose times are kept for figures."""
RECENT_S = 5.0
"""Seconds over which the rate is taken."""


class SessionFigures(NamedTuple):
    """How a session went so far."""

    frames: int
    """Frames with a mask."""
    skipped: int
    """Frames that a newer one took the place of."""
    reconnects: int
    """Times that the source came back."""
    cuts: int
    """Times that the memory was emptied: gaps, hard cuts, and frames of another size."""
    fps: float
    """Masks per second, over the last 5 s at the most."""
    age_ms: dict[str, float] | None
    """p50, p95, p99 and max of the age of the last frames; None before the first."""
    latency_ms: dict[str, float] | None
    """The same of the time from the frame handed to the network until its mask was there."""


class Session:
    """A source, its `Stream`, and the slot for its newest frame. Made by `Sessions.open`; any thread may use it.

    Attributes:
        name: of the session.
        source: where frames come from, without passwords; "pushed" when the owner pushes them.
    """

    def __init__(
        self,
        name: str,
        stream: Stream,
        source: LiveSource | None,
        ask: Callable[[Session], None],
        *,
        latest: bool,
        patience: Patience,
    ) -> None:
        self.name, self.source = name, "pushed" if source is None else source.name
        self._stream, self._live, self._ask, self._latest = stream, source, ask, latest
        self._slot: NewestSlot[Frame] = NewestSlot()
        self._arrivals = Arrivals(patience.stall_s if latest else math.inf)  # else it is the owner who waits
        self._push_lock = threading.Lock()
        self._changed = threading.Condition()
        self._newest: Result | None = None
        self._closed = self._works = False
        self._problem: str | None = None
        self._frames = 0
        self._times: deque[tuple[float, float, float]] = deque(maxlen=RECENT)
        """(when it was there, age, latency) of the last results: seconds, milliseconds."""
        self._thread = (
            None
            if source is None
            else threading.Thread(target=self._read, name="tdseg-source", args=(source,), daemon=True)
        )

    # --- in ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read the source, in a thread of its own."""
        if self._thread:
            self._thread.start()

    @property
    def is_reading(self) -> bool:
        """Whether the thread of the source is alive; it may be for a while after `stop`."""
        return self._thread is not None and self._thread.is_alive()

    def push(self, image: NDArray[np.uint8], *, time_s: float | None = None) -> None:
        """The next frame, of a session without a source: uint8 (H, W, 3) RGB. It is not copied.

        Where frames are not to be skipped (`latest=False`), this waits until the one before it is in work.

        Args:
            image: of any size up to 7680×4320 pixels.
            time_s: presentation time in seconds; None: that of its coming, by which a long wait is a gap.

        Raises:
            ConfigError: the session has a source or is over, or the image is no such array.
        """
        if self._live or self.state in OVER:
            raise ConfigError(
                f"a frame pushed to session {self.name!r}, which {'has a source' if self._live else 'is over'}",
                expected="an open session without a source",
                do="open another session, without a source",
            )
        _check_pushed(image)
        with self._push_lock:
            elapsed_s = self._arrivals.elapsed_s if time_s is None else time_s
            frame = self._arrivals.note(Frame(self._arrivals.count, elapsed_s, image))
        self._hand_on(frame)

    def _read(self, source: LiveSource) -> None:
        """Hand on what comes from the source, until it is over."""
        try:
            with closing(source.frames()) as frames:
                for frame in frames:
                    height, width = frame.image.shape[:2]
                    if height * width > MOST_PIXELS:
                        self._fail(f"frames of {width}×{height} pixels, more than {MOST_PIXELS // 10**6} million")
                        break
                    if not self._hand_on(frame):
                        break
        except Exception as error:  # whatever happens to a source, it happens to one session
            self._fail(first_line(error))
        self._tell()

    def _hand_on(self, frame: Frame) -> bool:
        taken = self._slot.put(frame, lossless=not self._latest)
        self._ask(self)
        return taken

    # --- the turn ----------------------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether a frame waits for its turn."""
        return self._slot.waits

    def work(self) -> None:
        """Segment the frame that waits, if one does. Done by one thread at a time."""
        self._works = True  # before the slot is empty: see _is_done
        frame = self._slot.take(wait=False)
        result = None if frame is None or self._closed else self._step(frame)
        with self._changed:
            if result is not None:
                self._newest = result
                self._frames += 1
                self._times.append((time.perf_counter(), result.age_ms or 0.0, result.latency_ms))
            self._works = False
            self._changed.notify_all()

    def _step(self, frame: Frame) -> Result | None:
        try:
            return self._stream.step_of(frame)
        except Exception as error:  # one that the network cannot take harms no other session
            self._fail(first_line(error))
            return None

    # --- out ---------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> SourceState:
        """Where it stands. A session whose owner pushes frames is opening before the first, stalled without any."""
        if self._problem:
            return "failed"
        if self._closed:
            return "ended"
        if self._live:
            return self._live.state
        if not self._arrivals.count:
            return "opening"
        return "stalled" if self._arrivals.has_stalled else "running"

    @property
    def problem(self) -> str | None:
        """Why no frames come, in words; None where all is well."""
        if self._live and not self._problem:
            return self._live.problem
        return self._arrivals.stall if self.state == "stalled" else self._problem

    def newest(self) -> Result | None:
        """The newest result; its index counts the results of the session."""
        return self._newest

    def wait(self, after: int, timeout_s: float) -> Result | None:
        """The newest result, once there is one whose index is larger; None where none comes in time, or any more.

        Args:
            after: index of the last result that is known; -1: none is.
            timeout_s: seconds.
        """

        def is_there() -> bool:
            return self._newest is not None and self._newest.index > after

        with self._changed:
            self._changed.wait_for(lambda: is_there() or self._is_done(), timeout_s)
            return self._newest if is_there() else None

    def figures(self) -> SessionFigures:
        """Counts since the session was opened, and times of the last results."""
        with self._changed:
            times = list(self._times)
        now = time.perf_counter()
        recent = [done for done, _, _ in times if now - done <= RECENT_S]
        return SessionFigures(
            frames=self._frames,
            skipped=self._slot.skipped,
            reconnects=self._live.reconnects if self._live else 0,
            cuts=self._stream.resets,
            fps=round(len(recent) / max(1.0, now - recent[0]), 2) if recent else 0.0,
            age_ms=percentiles([age for _, age, _ in times]) if times else None,
            latency_ms=percentiles([latency for _, _, latency in times]) if times else None,
        )

    def _is_done(self) -> bool:
        """Whether no result comes any more."""
        if self._closed or self._problem is not None:
            return True
        return self.state in OVER and not self._slot.waits and not self._works  # asked in this order

    def _fail(self, problem: str) -> None:
        self._problem = problem
        self.stop()

    def _tell(self) -> None:
        """Those who wait for a result, that there may be none."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End it, at once; a source that blocks is left to its thread, which ends with its patience."""
        self._closed = True
        if self._live:
            self._live.stop()
        self._slot.close()
        self._tell()


def _check_pushed(image: NDArray[np.uint8]) -> None:
    is_array = isinstance(image, np.ndarray)
    is_rgb = is_array and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if is_rgb and 0 < image.shape[0] * image.shape[1] <= MOST_PIXELS:
        return
    raise ConfigError(
        f"a frame of {f'{image.dtype} {image.shape}' if is_array else type(image).__name__}",
        expected=f"a numpy array, uint8 (H, W, 3), RGB, of 1 to {MOST_PIXELS // 10**6} million pixels",
        do="convert the frame, or make it smaller",
    )
