"""What stands behind a score: which classes are taken for which, and the frames that have most wrong."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from tdseg.masks.palette import Colors
from tdseg.measure.panels import four_panels
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.video.pictures import RGB

SHOWN = 6
"""Frames that are kept."""
PANEL = 320
"""Longer side of a panel of their pictures at most, pixels."""


class Example(NamedTuple):
    """A labelled frame as the model sees it."""

    frame: RGB
    """(H, W, 3)."""
    label: Mask
    """(H, W), VOID where unknown."""
    mask: Mask
    """(H, W)."""


class WorstFrame(NamedTuple):
    """The frame of a stretch of the data that has the smallest share of its labelled pixels right."""

    number: int
    """In the data, from 0."""
    accuracy: float
    """Percent of its labelled pixels."""
    example: Example

    def picture(self, colors: Colors, num_classes: int) -> Image.Image:
        """Four panels: the frame and what is wrong above, label and mask below."""
        frame, label, mask = self.example
        scale = min(1.0, PANEL / max(label.shape))
        height, width = (max(1, round(side * scale)) for side in label.shape)
        wrong = (label < num_classes) & (mask != label)
        return Image.fromarray(four_panels(frame, (label, mask), wrong, colors, (height, width)))


class Evidence:
    """Collects, frame by frame, what a page shows beside the figures: in bounded memory, for `evaluate(on_masks=)`.

    Args:
        num_classes: of the data.
        frames: that will come.

    Attributes:
        matrix: of all paths together.
    """

    def __init__(self, num_classes: int, frames: int) -> None:
        self.matrix = ConfusionMatrix(num_classes)
        self._frames, self._count = frames, 0
        self._worst: dict[int, WorstFrame] = {}

    def add(self, frame: RGB, label: Mask, masks: list[tuple[int, Mask]]) -> None:
        """The next frame, its label, and for each phase the path that ran and its mask."""
        index, self._count = self._count, self._count + 1
        for _, mask in masks:
            self.matrix.update(mask, label)
        labelled, mask = label < self.matrix.num_classes, masks[0][1]
        if not labelled.any():
            return
        accuracy = 100 * float((mask == label)[labelled].mean())
        stretch = index * SHOWN // self._frames
        if stretch not in self._worst or accuracy < self._worst[stretch].accuracy:
            self._worst[stretch] = WorstFrame(index, accuracy, Example(frame, label, mask))

    @property
    def worst(self) -> list[WorstFrame]:
        """Of each of `SHOWN` equal stretches of the data the frame that the first phase has most of wrong, in order."""
        return [self._worst[stretch] for stretch in sorted(self._worst)]
