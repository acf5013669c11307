"""Masks as files that are no video: pictures, an array, run lengths, shares."""

from __future__ import annotations

import csv
import io
import zlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdseg.inference.parts import Part
from tdseg.inference.stream import Result
from tdseg.inference.writers.base import About, SizedWriter, Writer
from tdseg.masks import draw, rle
from tdseg.masks.writing import write_npz


class MaskWriter(Writer):
    """A mask of each frame, 8-bit indexed PNG."""

    pattern = "masks/*.png"

    def write(self, result: Result) -> None:
        """Write the mask."""
        path = self.place(self.folder, result.index, result.name if self.about.keep_names else None)
        path.parent.mkdir(exist_ok=True)
        draw.write_mask(path, result.mask, self.about.colors)

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """Move the masks."""
        cls.place(folder).parent.mkdir(exist_ok=True)
        for part in parts:
            for mask in part.folder.glob(cls.pattern):  # those that were moved before a kill are there
                mask.replace(folder / mask.relative_to(part.folder))


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
