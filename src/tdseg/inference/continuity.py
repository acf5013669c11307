"""Whether a frame goes on from the one before it: else what is remembered does not belong to it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tdseg.inference.cuts import Thumbnail, is_cut, thumbnail

Break = Literal["size", "gap", "cut"]
"""Another frame size; a jump in time, or a live source that was away; a hard cut."""
GAP_S, GAP = 1.0, 3.0
"""A gap is longer than so many seconds, and than so many times the interval before it: time lapses have none."""


class Continuity:
    """The frames of a video, one after the other. What is said of one depends on it and the two before it alone."""

    def __init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._thumbnail: Thumbnail | None = None
        self._time_s: float | None = None
        self._interval_s: float | None = None
        self._part = 0

    def check(self, frame: NDArray[np.uint8], time_s: float | None, part: int = 0) -> Break | None:
        """What separates the next frame from the one before it, if anything does; nothing separates the first.

        Args:
            frame: uint8 (H, W, 3) RGB.
            time_s: its presentation time in seconds, if it has one.
            part: as of `Frame`.
        """
        size, before, is_gap = self._size, self._thumbnail, part != self._part
        self._size, self._thumbnail, self._part = (frame.shape[0], frame.shape[1]), thumbnail(frame), part
        is_gap |= self._passes(time_s)
        if size is None or before is None:
            return None
        if size != self._size:
            return "size"
        if is_gap:
            return "gap"
        return "cut" if is_cut(before, self._thumbnail) else None

    def _passes(self, time_s: float | None) -> bool:
        """Go on to a time; whether that is a jump."""
        interval_s = None if time_s is None or self._time_s is None else time_s - self._time_s
        usual_s, self._time_s, self._interval_s = self._interval_s, time_s, interval_s
        return interval_s is not None and usual_s is not None and interval_s > max(GAP_S, GAP * usual_s)
