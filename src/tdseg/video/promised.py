"""The time that a playlist promises: pieces of it that cannot be had are left out, and FFmpeg says nothing of them."""

from __future__ import annotations

GAP_S = 1.0
"""What is shorter may be a slow video, or be rounded."""
_ROUNDED = 0.05
"""Part of what is promised that may be wrong: old playlists give whole seconds."""


class PromisedTime:
    """For how much of that time there were frames.

    Args:
        promised_s: seconds in all.
        usual_s: seconds from a frame to the next.
    """

    def __init__(self, promised_s: float, usual_s: float) -> None:
        self._promised_s, self._usual_s = promised_s, usual_s
        self._came_s, self._last_s, self._has_gap = 0.0, 0.0, False

    def note(self, time_s: float) -> None:
        """A frame that is shown then, seconds; later than those before it."""
        step_s = time_s - self._last_s if self._came_s else self._usual_s
        if step_s > max(GAP_S, 3 * self._usual_s):
            self._has_gap, step_s = True, self._usual_s
        self._came_s, self._last_s = self._came_s + step_s, time_s

    @property
    def shortfall(self) -> str | None:
        """What is missing, in words."""
        missing_s = self._promised_s - self._came_s
        if missing_s <= (GAP_S if self._has_gap else max(GAP_S, _ROUNDED * self._promised_s)):
            return None
        return f"{missing_s:.1f} of {self._promised_s:.1f} s are missing: pieces of the playlist could not be had"
