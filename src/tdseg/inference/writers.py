"""The outputs of `segment`: a class for each, which keeps something of every result, part by part, and joins that."""

from __future__ import annotations

import csv
import io
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import VideoError
from tdseg.inference.parts import Part
from tdseg.inference.stream import Result
from tdseg.masks import draw, rle
from tdseg.masks.appearance import Appearance
from tdseg.masks.legend import Legend, class_table
from tdseg.masks.palette import Colors
from tdseg.masks.writing import write_npz
from tdseg.video import VideoInfo, VideoWriter
from tdseg.video.grey import GreyWriter, fitted
from tdseg.video.joining import join_videos


class About(NamedTuple):
    """What the outputs of a run are told of it."""

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


class MaskWriter(Writer):
    """A mask of each frame, 8-bit indexed PNG."""

    pattern = "masks/*.png"

    def write(self, result: Result) -> None:
        """Write the mask."""
        path = self.place(self.folder, result.index, result.name if self.about.keep_names else None)
        path.parent.mkdir(exist_ok=True)
        draw.save_mask(path, result.mask, self.about.colors)

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """Move the masks."""
        cls.place(folder).parent.mkdir(exist_ok=True)
        for part in parts:
            for mask in part.folder.glob(cls.pattern):  # those that were moved before a kill are there
                mask.replace(folder / mask.relative_to(part.folder))


class OverlayWriter(Writer):
    """The video with the classes in colour and, where it can be read again, its sound.

    The frames have the source's times, less that of the first: players show nothing until an mp4 begins.
    """

    pattern = "overlay.mp4"
    _video: VideoWriter | None = None
    _begins_s = 0.0

    def write(self, result: Result) -> None:
        """Draw the frame."""
        info, time_s = self.about.info, result.time_s or 0.0
        if self._video is None:
            self._begins_s, aspect = time_s, info.pixel_aspect
            self._legend = Legend(self.about.classes, self.about.colors) if self.about.appearance.legend else None
            path = self.place(self.folder)
            self._video = VideoWriter(path, size=self.about.size, fps=info.fps, pixel_aspect=aspect)
        picture = draw.overlay(result.frame, result.mask, self.about.colors, self.about.appearance.opacity)
        if self._legend:
            self._legend.draw_on(picture, result.counts)
        stands_s = None
        if info.duration_s is not None and result.index + 1 == info.num_frames:
            stands_s = max(0.0, info.duration_s - time_s) or None
        self._video.write(picture, time_s - self._begins_s, duration_s=stands_s)

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.close()

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> str | None:
        """One video after the other, as they are encoded, and the sound."""
        begins_s = [part.record.begins_s for part in parts]
        pieces = [(cls.place(part.folder), time_s - begins_s[0]) for part, time_s in zip(parts, begins_s, strict=True)]
        # Audio is read from the source a second time, which pipes and live streams do not allow.
        again = about.info.has_audio and about.info.num_frames is not None and str(about.source) != "-"
        try:
            join_videos(
                pieces,
                cls.place(folder),
                audio_from=str(about.source) if again else None,
                audio_start_s=begins_s[0],
            )
        except VideoError as error:
            join_videos(pieces, cls.place(folder))
            return f"the overlay has no sound: {error.got}"
        return None


class TextWriter(Writer):
    """An output of lines."""

    @classmethod
    def head(cls, about: About) -> str:
        """What comes before the lines of the frames."""
        return ""

    @abstractmethod
    def line(self, result: Result) -> str:
        """Of a frame."""

    def write(self, result: Result) -> None:
        """Add its line."""
        with self.place(self.folder).open("a", encoding="utf-8", newline="") as file:
            file.write(self.line(result))

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """One after the other."""
        with cls.place(folder).open("w", encoding="utf-8", newline="") as file:
            file.write(cls.head(about))
            for part in parts:
                file.write(cls.place(part.folder).read_text(encoding="utf-8"))


class ShareWriter(TextWriter):
    """A table: a row a frame, the share of each class in it, 0..1."""

    pattern = "shares.csv"

    @classmethod
    def head(cls, about: About) -> str:
        """The names of the columns."""
        return _row(("frame", "time_s", *about.classes))

    def line(self, result: Result) -> str:
        """A row."""
        shares = result.counts[: len(self.about.classes)] / result.mask.size
        time_s = "" if result.time_s is None else round(result.time_s, 6)
        return _row((result.index, time_s, *shares.round(6).tolist()))


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class RunLengthWriter(TextWriter):
    """A JSON line a frame: the run lengths of each class in it, as COCO has them."""

    pattern = "masks.jsonl"

    def line(self, result: Result) -> str:
        """Its run lengths."""
        time_s = None if result.time_s is None else round(result.time_s, 6)
        return rle.frame_line(result.mask, self.about.classes, frame=result.index, time_s=time_s)


class SizedWriter(Writer):
    """An output that has one size, that of the first frame; frames of another are scaled to it and told of."""

    def sized(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The values of a frame, (H, W), in this size."""
        height, width = self.about.size
        if values.shape != self.about.size:
            self.problem = f"{self.pattern} has masks of one size, {height}x{width}; others were scaled to it"
        return fitted(values, self.about.size)


class ArrayWriter(SizedWriter):
    """All masks as one array, (T, H, W)."""

    pattern = "masks.npz"
    _raw = "masks.raw"

    def write(self, result: Result) -> None:
        """Add the mask."""
        with (self.folder / self._raw).open("ab") as file:
            file.write(zlib.compress(self.sized(result.mask).tobytes(), 1))

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """One array, written mask by mask."""
        count = sum(part.record.frames for part in parts)
        with write_npz(cls.place(folder), (count, *about.size), np.dtype(np.uint8)) as write:
            for part in parts:
                rest = (part.folder / cls._raw).read_bytes()
                while rest:
                    mask = zlib.decompressobj()
                    write(mask.decompress(rest))
                    rest = mask.unused_data


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
            self._video = GreyWriter(self.place(self.folder), size=self.about.size, fps=self.about.info.fps)
        self._video.write(values, result.time_s or 0.0)

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.close()

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """One video after the other."""
        join_videos([(cls.place(part.folder), 0.0) for part in parts], cls.place(folder))


class MatteWriter(GreyVideoWriter):
    """The probability of the classes that were asked for as a lossless video: 255 is 1."""

    pattern = "matte.mkv"

    def values(self, result: Result) -> NDArray[np.uint8]:
        """One less the probability of the last class, which is all the others."""
        return np.rint(255 * (1 - result.probability(len(self.about.classes) - 1))).astype(np.uint8)


class ClassesWriter(Writer):
    """The colour and name of each class, a line each, as palette files have them."""

    pattern = "classes.txt"

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """Write it."""
        colors = zip(about.colors.tolist(), about.classes, strict=False)
        rows = (f"{r} {g} {b} {name}\n" for (r, g, b), name in colors)
        text = "# red green blue name; the first class is 0, the next one 1, and so on\n" + "".join(rows)
        cls.place(folder).write_text(text, encoding="utf-8")


class LegendWriter(Writer):
    """A picture of the colour, index and name of each class."""

    pattern = "legend.png"

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """Draw it."""
        class_table(about.classes, about.colors).save(cls.place(folder))


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
