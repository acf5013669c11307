"""Steadiness of masks over time."""

from __future__ import annotations

import numpy as np


class FlipRate:
    """Share of pixels whose class differs from the previous mask's at the same place, averaged over pairs of masks.

    Needs nothing but masks. True motion counts too, so compare with the flip rate of another method, or of labels, on
    the same video.
    """

    def __init__(self) -> None:
        self.pairs = 0
        self._sum = 0.0
        self._previous: np.ndarray | None = None

    def update(self, mask: np.ndarray) -> None:
        """Add the next mask, (H, W) class indices; a mask of another size starts a new pair."""
        previous, self._previous = self._previous, mask
        if previous is not None and previous.shape == mask.shape:
            self._sum += np.count_nonzero(mask != previous) / mask.size
            self.pairs += 1

    def reset(self) -> None:
        """Start another video: the next mask is not compared with the last one. Sums are kept."""
        self._previous = None

    @property
    def value(self) -> float | None:
        """0 … 1; None before the first pair."""
        return self._sum / self.pairs if self.pairs else None
