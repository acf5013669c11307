"""What is counted while two sides run: a few numbers a frame, and one table of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.masks.palette import Palette
from tdseg.measure.compare.sides import Mask, Seen
from tdseg.metrics.iou import VOID, ConfusionMatrix

if TYPE_CHECKING:
    from tdseg.metrics.flow import Flow
    from tdseg.metrics.temporal import Steadiness

VALUES = 256
"""Values that a mask can have, void included."""


class Apart(NamedTuple):
    """What two masks of a frame say most often where they differ."""

    a: int
    """Class of the first."""
    b: int
    share: float
    """Of all pixels, 0 … 1."""


@dataclass(frozen=True)
class Track:
    """One side over the whole video. Lists have a value for each frame."""

    name: str
    """Short."""
    about: str
    """What was given, and what it is."""
    latencies_ms: list[float]
    """Empty for masks."""
    flips: list[float]
    """Share of pixels that change class since the frame before, 0 … 1; NaN for the first."""
    flow_flips: list[float]
    """The same along optical flow; empty where there is none."""
    shares: NDArray[np.float32]
    """(T, C): share of each class."""
    steadiness: dict[str, float | None]
    """flip_rate, and with flow the other figures of `tdseg.metrics.report.temporal`."""
    miou: float
    """Percent, against labels; NaN without."""
    iou: NDArray[np.float64]
    """(C,) percent, against labels; NaN for classes that do not occur."""


@dataclass(frozen=True)
class Comparison:
    """Two sides on one video."""

    video: str
    problem: str | None
    """Why the video gave fewer frames than it declares, if so."""
    frames: int
    size: tuple[int, int]
    """(height, width) of the frames, pixels."""
    fps: float | None
    """None for a folder of frames."""
    classes: Palette
    a: Track
    b: Track
    labels: str | None
    agreement: list[float]
    """Of each frame: share of pixels with the same class in both, percent."""
    apart: list[Apart | None]
    """Of each frame; None where both are equal."""
    pairs: NDArray[np.int64]
    """(256, 256): pixels of class i in A and j in B, over all frames."""

    @property
    def mean_agreement(self) -> float:
        """Percent of all pixels."""
        return float(np.mean(self.agreement))

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) percent: of each class, what both say over what either says, void left out; NaN: neither does."""
        counts = self.pairs[:VOID, :VOID]
        both = np.diag(counts).astype(float)
        either = counts.sum(0) + counts.sum(1) - both
        iou: NDArray[np.float64] = 100 * np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)
        return iou[: len(self.classes.names)]

    @property
    def miou(self) -> float:
        """Mean of `iou` over the classes there are, percent; NaN where all is void."""
        return float(np.nanmean(self.iou)) if np.isfinite(self.iou).any() else np.nan

    def confused(self, most: int) -> list[Apart]:
        """The pairs of classes that A and B differ by most, the most frequent first."""
        return _apart(self.pairs, most)


class Tally:
    """Counts both sides; memory grows by a few numbers a frame.

    Args:
        classes: how many there are.
        fps: frames per second; None: unknown.
        with_flow: also along optical flow; needs the extra `metrics`.
    """

    def __init__(self, classes: int, fps: float | None, *, with_flow: bool) -> None:
        self.agreement: list[float] = []
        self.apart: list[Apart | None] = []
        self.pairs = np.zeros((VALUES, VALUES), np.int64)
        self.tracks = (_Track(classes, fps, with_flow=with_flow), _Track(classes, fps, with_flow=with_flow))

    def update(self, a: Seen, b: Seen, label: Mask | None, flow: Flow | None) -> None:
        """Add a frame."""
        joint = a.mask.astype(np.uint16) * np.uint16(VALUES) + b.mask
        pairs = np.bincount(joint.ravel(), minlength=VALUES**2).reshape(VALUES, VALUES)
        self.pairs += pairs
        self.agreement.append(100 * float(np.trace(pairs)) / joint.size)
        self.apart.append(next(iter(_apart(pairs, 1)), None))
        for track, seen, counts in zip(self.tracks, (a, b), (pairs.sum(1), pairs.sum(0)), strict=True):
            track.update(seen, counts, label, flow)


class _Track:
    """One side on its way to a `Track`."""

    def __init__(self, classes: int, fps: float | None, *, with_flow: bool) -> None:
        self._classes = classes
        self._latencies: list[float] = []
        self._flips: list[float] = []
        self._flow_flips: list[float] = []
        self._shares: list[NDArray[np.float32]] = []
        self._previous: Mask | None = None
        self._matrix = ConfusionMatrix(VOID)
        self._steadiness = _steadiness(fps) if with_flow else None

    def update(self, seen: Seen, counts: NDArray[np.int64], label: Mask | None, flow: Flow | None) -> None:
        mask, previous = seen.mask, self._previous
        self._flips.append(np.nan if previous is None else np.count_nonzero(mask != previous) / mask.size)
        self._shares.append((counts[: self._classes] / mask.size).astype(np.float32))
        if seen.latency_ms is not None:
            self._latencies.append(seen.latency_ms)
        if label is not None:
            self._matrix.update(mask, label)
        if self._steadiness:
            self._steadiness.update(mask, label=label, flow=flow)
            self._flow_flips.append(np.nan if previous is None or flow is None else _along(previous, mask, flow))
        self._previous = mask

    def finish(self, name: str, about: str) -> Track:
        """What came of it."""
        return Track(
            name=name,
            about=about,
            latencies_ms=self._latencies,
            flips=self._flips,
            flow_flips=self._flow_flips,
            shares=np.stack(self._shares),
            steadiness=self._figures(),
            miou=self._matrix.miou,
            iou=self._matrix.iou[: self._classes],
        )

    def _figures(self) -> dict[str, Any]:
        if self._steadiness:
            from tdseg.metrics import report

            return report.temporal([self._steadiness])
        known = self._flips[1:]
        return {"flip_rate": float(np.mean(known)) if known else None}


def _steadiness(fps: float | None) -> Steadiness:
    from tdseg.metrics.temporal import Steadiness

    return Steadiness(fps=fps)


def _along(previous: Mask, mask: Mask, flow: Flow) -> float:
    """Share of pixels that change class along the flow, 0 … 1; NaN where none can be compared."""
    from tdseg.metrics.video import along

    warped, valid = along(previous, mask, flow)
    return float(np.count_nonzero((mask != warped) & valid) / pixels) if (pixels := valid.sum()) else np.nan


def _apart(pairs: NDArray[np.int64], most: int) -> list[Apart]:
    """The largest counts off the diagonal."""
    total, off = pairs.sum(), pairs.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(off, axis=None)[::-1][:most] if most > 1 else [off.argmax()]
    found = (divmod(int(place), VALUES) for place in order)
    return [Apart(a, b, float(off[a, b] / total)) for a, b in found if off[a, b]]
