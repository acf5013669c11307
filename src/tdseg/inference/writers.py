"""The outputs of `segment`: a class for each, which keeps something of every result in the folder of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from tdseg.errors import VideoError
from tdseg.inference.stream import Result
from tdseg.masks import draw
from tdseg.masks.palette import Colors
from tdseg.video import VideoInfo, VideoWriter


@dataclass
class Writer(ABC):
    """One output of one run; made before the first result, it opens its files with it. Used by one thread."""

    pattern: ClassVar[str]
    """Name of the file it leaves in a result; with *, of one for each frame, whose number or name stands there."""

    folder: Path
    """Where its files are made; they are moved into the result when all are whole."""
    source: str | Path | int
    info: VideoInfo
    classes: Sequence[str]
    """Their names, by index."""
    colors: Colors
    """RGB of every mask value."""
    problem: str | None = None
    """Why something is missing of it, if so."""
    names: Sequence[str] | None = None
    """Of the frames so far, which their files are to have; None: numbers."""

    @classmethod
    def place(cls, folder: Path, index: int = 0, name: str | None = None) -> Path:
        """Its file in a folder, or that of the frame of this number, or of this name."""
        return folder / cls.pattern.replace("*", f"{index:06d}" if name is None else name)

    @abstractmethod
    def write(self, result: Result) -> None:
        """Keep the next result.

        Raises:
            OSError, OutputError: it cannot be written.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Finish the files, after the last result, whatever ended the run."""


class MaskWriter(Writer):
    """A mask of each frame, 8-bit indexed PNG."""

    pattern = "masks/*.png"

    def write(self, result: Result) -> None:
        """Write the mask."""
        path = self.place(self.folder, result.index, self.names[result.index] if self.names else None)
        path.parent.mkdir(exist_ok=True)
        draw.save_mask(path, result.mask, self.colors)


class OverlayWriter(Writer):
    """The video with the classes in colour, the source's timestamps and, where it can be read again, its sound."""

    pattern = "overlay.mp4"
    _video: VideoWriter | None = None

    def write(self, result: Result) -> None:
        """Draw the frame."""
        if self._video is None:
            self._video = self._open(result)
        time_s, stands_s = result.time_s or 0.0, None
        if self.info.duration_s is not None and result.index + 1 == self.info.num_frames:
            stands_s = self.info.duration_s - time_s
        self._video.write(draw.overlay(result.frame, result.mask, self.colors), time_s, duration_s=stands_s)

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.close()

    def _open(self, first: Result) -> VideoWriter:
        height, width = first.mask.shape
        # Audio is read from the source a second time, which pipes and live streams do not allow.
        again = self.info.has_audio and self.info.num_frames is not None and str(self.source) != "-"
        video = partial(
            VideoWriter,
            self.place(self.folder),
            size=(height, width),
            fps=self.info.fps,
            pixel_aspect=self.info.pixel_aspect,
        )
        try:
            return video(audio_from=str(self.source) if again else None)
        except VideoError as error:
            self.problem = f"the overlay has no sound: {error.got}"
            return video()


WRITERS: dict[str, type[Writer]] = {"masks": MaskWriter, "overlay": OverlayWriter}
"""The outputs by the name that `segment_to(write=)` takes."""
