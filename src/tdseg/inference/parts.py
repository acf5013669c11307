"""Parts: so many frames of a result each, whole or not there, from which an interrupted run goes on and many join."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pydantic import Field, ValidationError

from tdseg.config import FrozenConfig
from tdseg.errors import OutputError
from tdseg.files import unwritable
from tdseg.files.publishing import STAGING

PART_FRAMES = 32
"""Frames of a part, but for the last: what a kill loses at most. Each begins with a key frame of the overlay, which
makes that 3 % larger than one key frame in 250 would."""
RECORD = "part.json"
VALUES = 256


class NetworkFacts(FrozenConfig):
    """A network as it ran: parts of a result that differ in it do not belong together."""

    device: str
    runtime: str
    """torch, onnxruntime or openvino."""
    precision: str
    """Of its weights: fp32, fp16, bf16 or int8."""
    memory: int | None
    """Frames that a mask draws on, the newest included; None: only on its own."""
    size: tuple[int, int]
    """(height, width) of its input, pixels, for the first frame of the video."""
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    """RGB of each class."""


class FrameFigures(FrozenConfig):
    """Figures that the results of frames in a row tell by themselves."""

    times_s: list[float | None] = Field(default_factory=list)
    """Of the first and of the last."""
    latencies_ms: list[float] = Field(default_factory=list)
    flips: list[float] = Field(default_factory=list)
    """Share of pixels whose class differs from the previous frame's, of those that follow one of their size."""
    size_changes: int = 0
    """How many follow one of another size."""
    cuts: list[float | None] = Field(default_factory=list)
    """Times of those that follow a hard cut."""
    gaps: list[float | None] = Field(default_factory=list)
    """Times of those that follow a gap in time."""
    ages_ms: list[float] = Field(default_factory=list)
    """From the arrival of each to its mask, where that is known."""
    pixels: list[int] = Field(default_factory=lambda: [0] * VALUES, min_length=VALUES, max_length=VALUES)
    """Of each mask value."""
    names: list[str | None] = Field(default_factory=list)
    """Of the images that the frames are."""


class PartRecord(FrozenConfig):
    """The record of a part, which lies beside its files."""

    network: NetworkFacts
    first: int
    """Number of its first frame."""
    figures: FrameFigures = FrameFigures()
    ended: bool = False
    """The video ended with it."""
    problem: str | None = None
    """Why the video ended with fewer frames than it declares, if so."""
    lacking: str | None = None
    """Why something is missing of an output, if so."""

    @property
    def frames(self) -> int:
        """How many there are in it; none, where the video ended with the part before."""
        return len(self.figures.latencies_ms)

    @property
    def begins_s(self) -> float:
        """Time of its first frame, seconds."""
        return (self.figures.times_s[0] if self.figures.times_s else None) or 0.0

    @property
    def is_full(self) -> bool:
        """Whether no more frames belong to it."""
        return self.ended or self.frames == PART_FRAMES


class Part(NamedTuple):
    """A part that is there."""

    folder: Path
    record: PartRecord


class ResultParts:
    """The parts of a result, each in a folder by its number, which takes its name when it is whole.

    Any number of processes may make parts at once, even the same one: the first to be whole stays.

    Args:
        output: folder of the result.
    """

    def __init__(self, output: Path) -> None:
        self.output, self.folder = output, output / STAGING / "parts"

    def unwritable(self, error: OSError | OutputError) -> OutputError:
        """The error for a failure to write the result; it names what was made so far."""
        made = f"; what was made so far is in {self.folder.parent}" if self.holds_files() else ""
        return unwritable(self.output, error, do=f"free some space, or choose another folder with --output{made}")

    def begin(self, number: int) -> Path:
        """A folder in which a part is made."""
        made = self.folder / f".{number:06d}-{uuid4().hex}"
        made.mkdir(parents=True)
        return made

    def keep(self, made: Path, record: PartRecord) -> None:
        """A part is whole."""
        (made / RECORD).write_text(record.model_dump_json(), encoding="utf-8")
        try:
            os.rename(made, self._place(record.first // PART_FRAMES))
        except OSError:
            if not self._place(record.first // PART_FRAMES).is_dir():
                raise
            shutil.rmtree(made)

    def clear(self, keep: Collection[Part] = ()) -> None:
        """Remove all that is there, but for some parts."""
        kept = {part.folder for part in keep}
        for folder in self.folder.glob("*"):
            if folder not in kept:
                shutil.rmtree(folder)

    def holds_files(self) -> bool:
        """Whether anything was made, whole or not."""
        return any(path.is_file() for path in self.folder.rglob("*"))

    def count(self) -> int:
        """About how many frames are in whole parts."""
        return PART_FRAMES * sum(1 for _ in self.folder.glob("[0-9]*"))

    def read(self) -> dict[int, Part]:
        """Those that are whole, by number; damaged ones are not."""
        found: dict[int, Part] = {}
        for folder in sorted(self.folder.glob("[0-9]*")):
            try:
                record = PartRecord.model_validate_json((folder / RECORD).read_bytes())
            except (OSError, ValidationError):
                continue
            if folder.name == f"{record.first // PART_FRAMES:06d}":
                found[record.first // PART_FRAMES] = Part(folder, record)
        return found

    def in_order(self, parts: dict[int, Part] | None = None) -> list[Part]:
        """Those of `read` from the first on, up to one that is missing, is not full, or ends the video."""
        parts, found = self.read() if parts is None else parts, list[Part]()
        while (number := len(found)) in parts and (not found or not found[-1].record.ended):
            found.append(parts[number])
            if not parts[number].record.is_full:
                break
        return found

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06d}"
