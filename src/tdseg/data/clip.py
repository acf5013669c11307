"""The contract between data sets and training: a data set is a sequence of Clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Generator, Tensor

from tdseg.masks.palette import Color


class Clip(NamedTuple):
    """Frames in order of time with what is known of their labels. A still image is a clip of one frame."""

    frames: Tensor
    """(T, 3, H, W) uint8 RGB."""
    labels: Tensor
    """(T, H, W) uint8 class indices; VOID where unknown."""


class ClipDataset(ABC):
    """A sequence of Clips that all have the same number of frames; sizes may differ from clip to clip.

    Attributes:
        name: printable, such as "CamVid val".
        classes: class names by index.
        palette: RGB colour of each class.
        length: frames per clip. Each ends at a labelled frame, unless the data has no labels at all.
        fps: frames per second where clips of one frame, in order, are videos; None where neighbours are too far apart.
        has_past: whether labelled frames have frames without labels before them, for clips of more than one.
        dropped: labelled frames, by name, that end no clip, because too few frames are before them.
        flaws: what is missing, such as files; a data set opened strictly has none.
        doubts: what shows that the labels as a whole mean something else than they are read as, and what to do; a data
            set opened strictly has none.
        has_labels: whether any frame has a label.
    """

    name: str
    classes: Sequence[str]
    palette: Sequence[Color]
    length: int
    fps: float | None = None
    has_past: bool = False
    dropped: Sequence[str] = ()
    flaws: Sequence[str] = ()
    doubts: Sequence[str] = ()
    has_labels: bool = True

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def sequence(self, index: int) -> str:
        """The video that a clip was taken from; the clips of one follow each other."""

    @abstractmethod
    def clip(self, index: int, generator: Generator | None = None) -> Clip:
        """One clip.

        Args:
            index: 0 … len - 1.
            generator: draws the steps from frame to frame; None: the smallest.

        Raises:
            DataError: a file cannot be read, or a label holds what is no class; named.
        """

    def doubt(self, index: int) -> str:
        """What may be wrong with the label at the end of a clip, though it can be read, and what to do; "" if nothing.

        Raises:
            DataError: a file cannot be read.
        """
        return ""

    def __getitem__(self, index: int) -> Clip:
        return self.clip(index)

    def __iter__(self) -> Iterator[Clip]:
        return (self.clip(index) for index in range(len(self)))
