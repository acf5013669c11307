"""How sure a figure of one video is: a bootstrap over stretches of it. Needs numpy only.

Neighbouring frames are alike, so resampling single frames would promise far too much. What is resampled here are
stretches of consecutive frames, of one length, from anywhere in the video; one that runs over its end goes on at its
beginning, so that all frames count alike (circular block bootstrap, Politis & Romano 1992). As many are drawn, with
replacement, as make up the length of the video; the figure of a draw is that of all its frames together, and the
interval holds the middle 95 % of the draws. A frame brings what it has in the video: where stretches meet, no pair of
frames is made up. Two mask sequences are drawn alike, so that what is hard for both falls out of their difference.

**Limits.** An interval speaks of more video of the same kind, not of other places, weather or cameras, nor of another
training of the model. It is too narrow where frames more than a stretch apart are still alike, and where there are few
stretches: CamVid val, 101 frames of one drive, has six. Of simulated sequences of so many frames, each correlated with
the one before by 0.5, 0.8 and 0.9, only 88, 84 and 75 % of the intervals held the truth. Take them for the least that
is uncertain. There is none for a video of less than two stretches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, DataError

STRETCH = 16
"""Frames: as far as any figure looks back, VC16's window. On CamVid val frames that far apart are hardly alike any more
(correlation of their mIoU 0.05), and longer stretches hardly widen the intervals of differences."""
DRAWS = 2000
MIDDLE = 95.0
"""Of the draws, percent, between the ends of an interval."""
INTERVALS = f"intervals: {MIDDLE:g} %, bootstrap over stretches of {STRETCH} frames; too narrow where there are few"
"""How intervals are taken, to stand beside them."""

Sums = NDArray[np.float64]


class Interval(NamedTuple):
    """A figure, or the difference of two, and the ends of its interval; NaN where there is none."""

    value: float
    low: float
    high: float


class Paired(NamedTuple):
    """A figure of two mask sequences of one video."""

    a: Interval
    b: Interval
    difference: Interval
    """b - a."""


class Trace:
    """A figure that is made of sums over the frames of one video, with what each frame adds to them.

    The figure is the mean over c of Σ_t n_tc / Σ_t d_tc, over the c whose Σ_t d_tc is not 0: of a mean IoU c are the
    classes, of a mean share there is one c.
    """

    def __init__(self) -> None:
        self._sums: list[Sums] = []

    def add(self, sums: Sums) -> None:
        """The next frame: (2, C), n and d of all frames so far."""
        seen = np.flatnonzero(sums[1])
        self._sums.append(sums[:, : seen[-1] + 1 if seen.size else 1].copy())

    def frames(self) -> Sums:
        """(T, 2, C): what each frame adds."""
        sums = np.zeros((len(self._sums) + 1, 2, max((sums.shape[1] for sums in self._sums), default=1)))
        for row, so_far in zip(sums[1:], self._sums, strict=True):
            row[:, : so_far.shape[1]] = so_far
        return np.diff(sums, axis=0)


def interval(trace: Trace, *, stretch: int = STRETCH, draws: int = DRAWS, seed: int = 0) -> Interval:
    """A figure of one mask sequence.

    Args:
        trace: of every frame of the video.
        stretch: frames.
        draws: how many.
        seed: of the draws; with the same one they are the same.

    Raises:
        ConfigError: a stretch or number of draws below 1.
    """
    (figures,) = _drawn((trace,), stretch, draws, seed)
    return _middle(figures)


def paired(a: Trace, b: Trace, *, stretch: int = STRETCH, draws: int = DRAWS, seed: int = 0) -> Paired:
    """A figure of two mask sequences of one video, and their difference over the same stretches.

    Arguments and errors are those of `interval`.

    Raises:
        DataError: the traces are not of one length.
    """
    of_a, of_b = _drawn((a, b), stretch, draws, seed)
    return Paired(_middle(of_a), _middle(of_b), _middle(of_b - of_a))


def _drawn(traces: Sequence[Trace], stretch: int, draws: int, seed: int) -> list[Sums]:
    """For each trace the figure of the video itself, and of every draw: (1 + draws,); (1,) of a video too short."""
    if stretch < 1 or draws < 1:
        raise ConfigError(f"{draws} draws of stretches of {stretch} frames", expected="1 or more", do="give more")
    frames = [trace.frames() for trace in traces]
    count = len(frames[0])
    if any(len(those) != count for those in frames):
        raise DataError(
            f"traces of {' and '.join(str(len(those)) for those in frames)} frames",
            expected="two mask sequences of the same frames",
            do="trace both from the first frame to the last",
        )
    sums = [those.sum(0, keepdims=True) for those in frames]
    if count >= 2 * stretch:
        starts = np.random.default_rng(seed).integers(count, size=(draws, round(count / stretch)))
        every = [_stretches(those, stretch) for those in frames]
        sums += [np.stack([those[row].sum(0) for row in starts]) for those in every]
    return [_figure(np.concatenate(sums[index :: len(frames)])) for index in range(len(frames))]


def _stretches(frames: Sums, stretch: int) -> Sums:
    """(T, 2, C): sums over the stretches that begin at each frame."""
    around = np.concatenate([np.zeros_like(frames[:1]), frames, frames[: stretch - 1]]).cumsum(0)
    sums: Sums = around[stretch:] - around[:-stretch]
    return sums


def _figure(sums: Sums) -> Sums:
    """(…,) of sums (…, 2, C); NaN where all of d are 0."""
    n, d = sums[..., 0, :], sums[..., 1, :]
    ratios = np.divide(n, d, out=np.zeros_like(n), where=d > 0)
    known = (d > 0).sum(-1)
    figure: Sums = np.divide(ratios.sum(-1), known, out=np.full(known.shape, math.nan), where=known > 0)
    return figure


def _middle(figures: Sums) -> Interval:
    """The first as it is, of the others the ends of their middle."""
    drawn = figures[1:][~np.isnan(figures[1:])]
    low, high = np.percentile(drawn, (50 - MIDDLE / 2, 50 + MIDDLE / 2)) if drawn.size else (math.nan, math.nan)
    return Interval(float(figures[0]), float(low), float(high))
