"""Clips cut from videos of which some frames have labels: what all data sets made of frames share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator

from tdseg.data.clip import Clip, ClipDataset
from tdseg.errors import DataError, TdsegError
from tdseg.masks.labels import ClassTable, LabelError, read_pixels
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID
from tdseg.video.pictures import RGB, images_in, orientation, read_image

QUARTER = 5
"""From this orientation on, width and height change places."""
TURNED = {2: "mirrored", 3: "upside down", 4: "upside down, mirrored", 5: "a quarter turn and mirrored"}
TURNED |= {6: "a quarter turn clockwise", 7: "a quarter turn and mirrored", 8: "a quarter turn counterclockwise"}
UPRIGHT = (
    "turn the label in the same way, unless it was drawn on the upright picture; then save the image as it is seen, "
    "without that tag"
)


class Shot(NamedTuple):
    """One frame of a video."""

    image: Path
    label: Path | None = None
    number: int | None = None
    """Which frame, from 0, where `image` is a video file; None where it is an image."""


class Track(NamedTuple):
    """Frames of one video at equal steps of time, in order."""

    name: str
    shots: Sequence[Shot]
    ends: Sequence[int]
    """Where clips may end: the places of labelled frames, or, without labels, any."""


class TrackClips(ClipDataset):
    """The clips of a split of a data set: one for each end of its tracks that has enough frames before it.

    A data set is a subclass, registered in `source.KINDS`. It has what is named below, `classes` and `palette`; what
    depends on the folder, `find_tracks` sets.

    Args:
        root: folder of the data, in the layout of the data set; None where it needs none.
        split: part of the data set, by its own name for it.
        length: frames per clip.
        step: least and most frames from one frame of a clip to the next. Where the past is too short for the steps that
            are drawn, they are smaller; where it is too short for the least, there is no clip.
        num_classes: which label set, where there are several; None: the usual one.
        strict: refuse flaws, and data without any clip.

    Raises:
        DataError: no data, another layout or label set; with `strict`, the first flaw.
    """

    title: str
    """Its name, without the split."""
    layout: str
    """Files there should be, for the error if there are none."""
    labels: ClassTable
    """The classes of its label files."""

    def __init__(
        self,
        root: str | Path | None,
        split: str,
        *,
        length: int = 1,
        step: tuple[int, int] = (1, 1),
        num_classes: int | None = None,
        strict: bool = True,
    ) -> None:
        self.root, self.split = Path(root or ""), split
        self.length, self.step, self._num_classes = length, step, num_classes
        self.reach = (length - 1) * step[1]  # how far before its end a clip may begin
        self._flaws: list[TdsegError] = []
        self._doubts: list[TdsegError] = []
        tracks = self.find_tracks()
        self.name = f"{self.title} {split}"
        self.flaws = [flaw.got for flaw in self._flaws]
        self.doubts = [f"{doubt.got}; {doubt.do}" for doubt in self._doubts]
        self.has_labels = any(track.shots[at].label for track in tracks for at in track.ends if track.shots)
        needed = (length - 1) * step[0]
        self._ends = [(track, at) for track in tracks for at in track.ends if at >= needed]
        self.dropped = [self._end_name(track, at) for track in tracks for at in track.ends if at < needed]
        if strict and self._flaws:
            first, more = self._flaws[0], len(self._flaws) - 1
            got = first.got + (f"; and {more} more like it" if more else "")
            raise DataError(got, expected=first.expected, do=first.do)
        if strict and self._doubts:
            raise self._doubts[0]
        if strict and not self._ends:
            few = f"{len(self.dropped)} labelled frames have too few before them"
            raise DataError(
                f"{self.name}: no clip of {length} frames; {few}",
                expected=f"at least {needed} frames before a labelled frame, for length {length} and step {step[0]}",
                do="add the frames before labelled ones, or use length: 1",
            )
        if num_classes not in (None, len(self.classes)):
            raise DataError(
                f"num_classes {num_classes} for {self.name}",
                expected=f"{len(self.classes)}, the classes it has",
                do="leave num_classes out; camvid alone has several label sets",
            )

    @abstractmethod
    def find_tracks(self) -> list[Track]:
        """The tracks of `split` in `root`, in order, with `reach` frames before each end; `flaw` notes what is missing.

        Raises:
            DataError: no data, or another layout.
        """

    def flaw(self, got: str, *, expected: str, do: str) -> None:
        """Note something that is missing, in the words of an error."""
        self._flaws.append(DataError(got, expected=expected, do=do))

    def no_images(self, folder: Path) -> DataError:
        """The error for a folder without images."""
        return DataError(
            f"{folder} holds no images",
            expected=self.layout,
            do="point root at the folder that contains them; docs/data.md shows the layout",
        )

    def stills(self) -> list[Shot]:
        """The images in images/SPLIT, each with the PNG of its name in labels/SPLIT; those that have none are flaws.

        Raises:
            DataError: there are no images.
        """
        folder, labels = self.root / "images" / self.split, self.root / "labels" / self.split
        images, by_stem = images_in(folder), {path.stem: path for path in labels.glob("*.png")}
        if not images:
            raise self.no_images(folder)
        return self.labelled([Shot(image, by_stem.get(image.stem)) for image in images], labels)

    def labelled(self, shots: Sequence[Shot], where: Path) -> list[Shot]:
        """The shots that have a label, which the folder `where` holds; those that have none are flaws."""
        for shot in shots:
            if shot.label is None:
                expected = f"a PNG of the same name in {where}"
                self.flaw(f"{shot.image} has no label", expected=expected, do="complete the data set")
        return [shot for shot in shots if shot.label]

    def __len__(self) -> int:
        return len(self._ends)

    def sequence(self, index: int) -> str:
        """The video that a clip was taken from."""
        return self._ends[index][0].name

    def clip(self, index: int, generator: Generator | None = None) -> Clip:
        """See ClipDataset."""
        track, last = self._ends[index]
        frames, labels = zip(*(self._read(track, at) for at in self._places(last, generator)), strict=True)
        if len(sizes := {frame.shape[:2] for frame in frames}) > 1:
            raise DataError(
                f"{self._end_name(track, last)}: a clip with frames of sizes {sorted(sizes)}",
                expected="frames of one size in a video",
                do="resize the frames before the labelled one to its size",
            )
        return Clip(
            torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(np.stack(labels))
        )

    def _places(self, last: int, generator: Generator | None) -> list[int]:
        """Where in the track the frames of a clip are."""
        low, high = self.step
        places = [last]
        for left in reversed(range(self.length - 1)):
            most = min(high, places[0] - left * low)
            drawn = low if generator is None else int(torch.randint(low, most + 1, (), generator=generator))
            places.insert(0, places[0] - drawn)
        return places

    def _read(self, track: Track, at: int) -> tuple[RGB, Mask]:
        """Frame (H, W, 3) and label (H, W) at a place of a track."""
        shot = track.shots[at]
        image = self._image(shot)
        if shot.label is None:
            return image, np.full(image.shape[:2], VOID, np.uint8)
        label = self.labels.classes(read_pixels(shot.label), str(shot.label))
        if label.shape != image.shape[:2]:
            turned = shot.number is None and _turned(shot.image, shot.label)
            error = LabelError(
                f"{shot.label}: {label.shape[0]}x{label.shape[1]}, its image is {image.shape[0]}x{image.shape[1]}"
                + (f", {turned}" if turned else ""),
                expected="a label of the size of its image",
                do=UPRIGHT if turned else "resize the label without interpolation, or take the image it was drawn on",
            )
            error.mask = label
            raise error
        return image, label

    def doubt(self, index: int) -> str:
        """See ClipDataset: an image that EXIF turns, of a size that does not tell whether its label is, too."""
        track, last = self._ends[index]
        shot = track.shots[last] if track.shots else None
        if shot is None or shot.label is None or shot.number is not None or not _turned(shot.image, shot.label):
            return ""
        height, width = read_image(shot.image).shape[:2]
        if height != width and orientation(shot.image) >= QUARTER:
            return ""
        return f"{shot.image}: {_turned(shot.image, shot.label)}; {UPRIGHT}"

    def _image(self, shot: Shot) -> RGB:
        return read_image(shot.image)

    def _end_name(self, track: Track, at: int) -> str:
        return str(track.shots[at].image) if track.shots else f"{track.name}, frame {at}"


def _turned(image: Path, label: Path) -> str:
    """How EXIF turns an image but not its label, in words; "" where it turns both alike, or none."""
    turn = orientation(image)
    return (
        "" if turn == orientation(label) else f"turned by EXIF (orientation {turn}: {TURNED.get(turn, 'not at all')})"
    )
