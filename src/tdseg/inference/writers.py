"""The outputs of `segment`: a class for each, which keeps something of every result in the folder of a run."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import VideoError
from tdseg.inference.stream import Result
from tdseg.masks import draw, rle
from tdseg.masks.appearance import Appearance
from tdseg.masks.legend import Legend, class_table
from tdseg.masks.palette import Colors
from tdseg.masks.writing import correct_length, write_npz
from tdseg.video import VideoInfo, VideoWriter
from tdseg.video.grey import GreyWriter, fitted


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
    appearance: Appearance
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
    """The video with the classes in colour and, where it can be read again, its sound.

    The frames have the source's times, less that of the first: players show nothing until an mp4 begins.
    """

    pattern = "overlay.mp4"
    _video: VideoWriter | None = None
    _start_s = 0.0

    def write(self, result: Result) -> None:
        """Draw the frame."""
        if self._video is None:
            self._start_s = result.time_s or 0.0
            self._video = self._open(result)
            self._legend = Legend(self.classes, self.colors) if self.appearance.legend else None
        picture = draw.overlay(result.frame, result.mask, self.colors, self.appearance.opacity)
        if self._legend:
            self._legend.draw_on(picture, result.counts)
        time_s, stands_s = (result.time_s or 0.0) - self._start_s, None
        if self.info.duration_s is not None and result.index + 1 == self.info.num_frames:
            stands_s = max(0.0, self.info.duration_s - (result.time_s or 0.0)) or None
        self._video.write(picture, time_s, duration_s=stands_s)

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
            return video(audio_from=str(self.source) if again else None, audio_start_s=self._start_s)
        except VideoError as error:
            self.problem = f"the overlay has no sound: {error.got}"
            return video()


class ShareWriter(Writer):
    """A table: a row a frame, the share of each class in it, 0..1."""

    pattern = "shares.csv"

    def write(self, result: Result) -> None:
        """Add a row."""
        shares = result.counts[: len(self.classes)] / result.mask.size
        with self.place(self.folder).open("a", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                rows.writerow(("frame", "time_s", *self.classes))
            time_s = "" if result.time_s is None else round(result.time_s, 6)
            rows.writerow((result.index, time_s, *shares.round(6).tolist()))


class RunLengthWriter(Writer):
    """A JSON line a frame: the run lengths of each class in it, as COCO has them."""

    pattern = "masks.jsonl"

    def write(self, result: Result) -> None:
        """Add a line."""
        time_s = None if result.time_s is None else round(result.time_s, 6)
        line = rle.frame_line(result.mask, self.classes, frame=result.index, time_s=time_s)
        with self.place(self.folder).open("a", encoding="utf-8") as file:
            file.write(line)


class SizedWriter(Writer):
    """An output that has one size, that of the first frame; frames of another are scaled to it and told of."""

    _size: tuple[int, int] = (0, 0)

    def sized(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The values of a frame, (H, W), in this size."""
        height, width = self._size = self._size if self._size[0] else (values.shape[0], values.shape[1])
        if values.shape != self._size:
            self.problem = f"{self.pattern} has masks of one size, {height}x{width}; others were scaled to it"
        return fitted(values, self._size)


class ArrayWriter(SizedWriter):
    """All masks as one array, (T, H, W), written frame by frame."""

    pattern = "masks.npz"
    _count = 0
    _file: ExitStack | None = None

    def write(self, result: Result) -> None:
        """Add the mask."""
        mask = self.sized(result.mask)
        if self._file is None:
            self._file = ExitStack()
            shape = (self.info.num_frames or 0, *mask.shape)
            self._write = self._file.enter_context(write_npz(self.place(self.folder), shape, mask.dtype))
        self._write(mask.tobytes())
        self._count += 1

    def close(self) -> None:
        """Close the file, with the number of masks in it."""
        if self._file is not None:
            self._file.close()
            correct_length(self.place(self.folder), self._count)


class GreyVideoWriter(SizedWriter):
    """The masks as a lossless video, whose grey values are the classes; frames have the source's times."""

    pattern = "masks.mkv"
    _video: GreyWriter | None = None

    def values(self, result: Result) -> NDArray[np.uint8]:
        """The picture of a result, (H, W)."""
        return result.mask

    def write(self, result: Result) -> None:
        """Add a picture."""
        values = self.sized(self.values(result))
        if self._video is None:
            self._video = GreyWriter(self.place(self.folder), size=self._size, fps=self.info.fps)
        self._video.write(values, result.time_s or 0.0)

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.close()


class MatteWriter(GreyVideoWriter):
    """The probability of the classes that were asked for as a lossless video: 255 is 1."""

    pattern = "matte.mkv"

    def values(self, result: Result) -> NDArray[np.uint8]:
        """One less the probability of the last class, which is all the others."""
        return np.rint(255 * (1 - result.probability(len(self.classes) - 1))).astype(np.uint8)


class OnceWriter(Writer):
    """An output that no frame changes: it is made with the first."""

    @abstractmethod
    def make(self, path: Path) -> None:
        """Make the file."""

    def write(self, result: Result) -> None:
        """Make it, if it is not there."""
        path = self.place(self.folder)
        if not path.exists():
            self.make(path)


class ClassesWriter(OnceWriter):
    """The colour and name of each class, a line each, as palette files have them."""

    pattern = "classes.txt"

    def make(self, path: Path) -> None:
        """Write it."""
        rows = (f"{r} {g} {b} {name}\n" for (r, g, b), name in zip(self.colors.tolist(), self.classes, strict=False))
        text = "# red green blue name; the first class is 0, the next one 1, and so on\n" + "".join(rows)
        path.write_text(text, encoding="utf-8")


class LegendWriter(OnceWriter):
    """A picture of the colour, index and name of each class."""

    pattern = "legend.png"

    def make(self, path: Path) -> None:
        """Draw it."""
        class_table(self.classes, self.colors).save(path)


WRITERS: dict[str, type[Writer]] = {
    "masks": MaskWriter,
    "overlay": OverlayWriter,
    "video": GreyVideoWriter,
    "csv": ShareWriter,
    "rle": RunLengthWriter,
    "npz": ArrayWriter,
    "matte": MatteWriter,
}
"""The outputs by the name that `segment_to(write=)` takes."""
BESIDE: tuple[type[Writer], ...] = (ClassesWriter, LegendWriter)
"""What comes with any of them."""


def writers_of(names: Sequence[str]) -> list[type[Writer]]:
    """The writers of outputs, each once, and those that come with them."""
    chosen = [WRITERS[name] for name in dict.fromkeys(names)]
    return [*chosen, *BESIDE] if chosen else []
