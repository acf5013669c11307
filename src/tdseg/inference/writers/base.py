"""One output of `segment`: what it keeps of every result of a part, and how those of the parts are joined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.inference.parts import Part
from tdseg.inference.stream import Result
from tdseg.masks.appearance import Appearance
from tdseg.masks.palette import Colors
from tdseg.video import VideoInfo
from tdseg.video.grey import fitted


class About(NamedTuple):
    """A run, as its outputs are told of it."""

    source: str | Path | int
    info: VideoInfo
    """Of what is segmented of it: its height and width are those of the first mask."""
    classes: Sequence[str]
    """Their names, by index."""
    colors: Colors
    """RGB of every mask value."""
    appearance: Appearance = Appearance()
    keep_names: bool = False
    """Files of frames are named as the images that these are."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first mask, pixels."""
        return self.info.height, self.info.width


class Writer(ABC):
    """One output of one part of a run; used by one thread.

    Args:
        about: the run.
        folder: of the part, in which the files of the output have the names that they have in a result.

    Attributes:
        problem: why something is missing of it, if so.
    """

    pattern: ClassVar[str]
    """Name of the file it leaves in a result; with *, of one for each frame, whose number or name stands there."""

    def __init__(self, about: About, folder: Path) -> None:
        self.about, self.folder = about, folder
        self.problem: str | None = None

    @classmethod
    def place(cls, folder: Path, index: int = 0, name: str | None = None) -> Path:
        """Its file in a folder, or that of the frame of this number, or of this name."""
        return folder / cls.pattern.replace("*", f"{index:06d}" if name is None else name)

    def write(self, result: Result) -> None:  # noqa: B027 - some outputs are of no frame
        """Keep the next result.

        Raises:
            OSError, OutputError: it cannot be written.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Finish the files, after the last result of the part, whatever ended the run."""

    @classmethod
    @abstractmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> str | None:
        """Make the files of a result of those of its parts; after a kill in the middle of this it is done again.

        Args:
            about: the run.
            parts: all, in order; in each there is a frame.
            folder: of the result.

        Returns:
            Why something is missing of them, if so.

        Raises:
            OSError, OutputError: they cannot be written.
        """


class SizedWriter(Writer):
    """An output that has one size, that of the first frame; frames of another are scaled to it and told of."""

    def sized(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The values of a frame, (H, W), in this size."""
        height, width = self.about.size
        if values.shape != self.about.size:
            self.problem = f"{self.pattern} has masks of one size, {height}x{width}; others were scaled to it"
        return fitted(values, self.about.size)
