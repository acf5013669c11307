"""Two sides on one video, and where they differ: a few numbers a frame, and one table of classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tdseg.masks.palette import Palette
from tdseg.measure.compare.film import Film
from tdseg.metrics.basic import Mask, flip_share
from tdseg.metrics.bootstrap import Paired, Trace, paired
from tdseg.metrics.figures import FIGURES, temporal
from tdseg.metrics.iou import VOID, ConfusionMatrix

if TYPE_CHECKING:
    from tdseg.metrics.flow import Flow
    from tdseg.metrics.temporal import Steadiness

Flowing: TypeAlias = "Mapping[str, Flow | None]"
"""The flows to a frame from the one before, by name; None to the first."""
VALUES = 256
"""Values that a mask can have, void included."""


class ClassPair(NamedTuple):
    """The classes that two masks give the same pixels, where they differ."""

    a: int
    """Class of the first."""
    b: int
    share: float
    """Of all pixels, 0 … 1."""


@dataclass(eq=False)
class SideFigures:
    """One side over the whole video. Lists have a value for each frame, appended by `update`."""

    name: str
    """Short."""
    about: str
    """Name or path as given, and kind."""
    classes: int
    along_flow: Steadiness | None
    """Measures it along optical flow too; None: without the extra `metrics`."""
    ran: str = ""
    """Runtime and precision of a model; empty for masks."""
    latencies_ms: list[float] = field(default_factory=list)
    """Empty for masks."""
    flips: list[float] = field(default_factory=list)
    """Share of pixels that change class since the frame before, 0 … 1; NaN for the first."""
    flow_flips: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """The same along each flow, by its name."""
    traces: dict[str, Trace] = field(default_factory=lambda: defaultdict(Trace))
    """Of mIoU against labels, and of the figures of steadiness, by key."""
    matrix: ConfusionMatrix = field(default_factory=lambda: ConfusionMatrix(VOID))
    """Against labels."""
    _shares: list[NDArray[np.float32]] = field(default_factory=list)
    _previous: Mask | None = None

    def update(self, mask: Mask, counts: NDArray[np.int64], label: Mask | None, flow: Flowing) -> None:
        """Add a frame: its mask, how many pixels have each value, and label and flows, where there are any."""
        previous, self._previous = self._previous, mask
        self.flips.append(np.nan if previous is None else flip_share(previous, mask))
        self._shares.append((counts[: self.classes] / mask.size).astype(np.float32))
        if label is not None:
            self.matrix.update(mask, label)
            self.traces["miou"].add(self.matrix.sums)
        for name, motion in flow.items():
            pair = None if previous is None or motion is None else motion.along(previous, mask)
            self.flow_flips[name].append(flip_share(pair[0], mask, pair[1]) if pair else np.nan)
        if self.along_flow:
            self.along_flow.update(mask, label=label, flow=flow)
            for key, sums in self.along_flow.sums().items():
                self.traces[key].add(sums)

    @property
    def shares(self) -> NDArray[np.float32]:
        """(T, C): share of each class."""
        return np.stack(self._shares)

    @property
    def steadiness(self) -> dict[str, Any]:
        """flip_rate, and with flow the other figures of `tdseg.metrics.figures.temporal`."""
        if self.along_flow:
            return temporal([self.along_flow.compute()])
        return {"flip_rate": float(np.mean(self.flips[1:])) if self.flips[1:] else None}


@dataclass(eq=False)
class Comparison:
    """Two sides on one video. Lists have a value for each frame, appended by `update`."""

    video: str
    size: tuple[int, int]
    """(height, width) of the frames, pixels."""
    fps: float | None
    """None for a folder of frames."""
    classes: Palette
    labels: str | None
    a: SideFigures
    b: SideFigures
    film: Film
    """The video itself beside both sides, and pictures of the moments at which they differ most."""
    problem: str | None = None
    """Why the video gave fewer frames than it declares, if so."""
    sure: dict[str, Paired] = field(default_factory=dict)
    """The figures that both sides have, by key, each with its interval, and B less A with its; made by `finish`."""
    agreement: list[float] = field(default_factory=list)
    """Share of pixels with the same class in both, percent."""
    apart: list[ClassPair | None] = field(default_factory=list)
    """The pair that most pixels differ by; None where both are equal."""
    pairs: NDArray[np.int64] = field(default_factory=lambda: np.zeros((VALUES, VALUES), np.int64))
    """(256, 256): pixels of class i in A and j in B, over all frames."""

    def update(self, masks: Sequence[Mask], label: Mask | None, flow: Flowing) -> None:
        """Add a frame: the masks of both sides, and label and flows by name, where there are any."""
        a, b = masks
        joint = a.astype(np.uint16) * np.uint16(VALUES) + b
        pairs = np.bincount(joint.ravel(), minlength=VALUES**2).reshape(VALUES, VALUES)
        self.pairs += pairs
        self.agreement.append(100 * float(np.trace(pairs)) / joint.size)
        self.apart.append(next(iter(_class_pairs(pairs, 1)), None))
        self.a.update(a, pairs.sum(1), label, flow)
        self.b.update(b, pairs.sum(0), label, flow)

    def finish(self, problem: str | None) -> None:
        """The last frame was added; say why the video gave fewer than it declares, if so."""
        self.problem = problem
        both = {key: paired(self.a.traces[key], self.b.traces[key]) for key in FIGURES if key in self.a.traces}
        self.sure = {key: figure for key, figure in both.items() if not np.isnan(figure.difference.value)}

    @property
    def frames(self) -> int:
        """How many were compared."""
        return len(self.agreement)

    @property
    def mean_agreement(self) -> float:
        """Percent of all pixels."""
        return float(np.mean(self.agreement))

    @property
    def matrix(self) -> ConfusionMatrix:
        """Of both sides, void in either left out: its IoU of a class is what both say over what either says."""
        return ConfusionMatrix(VOID, np.pad(self.pairs[:VOID, :VOID], ((0, 0), (0, 1))))

    def confused(self, most: int) -> list[ClassPair]:
        """The pairs of classes that A and B differ by most, the most frequent first."""
        return _class_pairs(self.pairs, most)


def _class_pairs(pairs: NDArray[np.int64], most: int) -> list[ClassPair]:
    """The largest counts off the diagonal."""
    total, off = pairs.sum(), pairs.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(off, axis=None)[::-1][:most] if most > 1 else [off.argmax()]
    found = (divmod(int(place), VALUES) for place in order)
    return [ClassPair(a, b, float(off[a, b] / total)) for a, b in found if off[a, b]]
