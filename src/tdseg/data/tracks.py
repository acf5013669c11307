"""Clips cut from videos of which some frames have labels: what all data sets made of frames share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from tdseg.data.clip import Clip, ClipDataset
from tdseg.data.pictures import LabelError, LabelReader, read_image
from tdseg.errors import DataError, TdsegError
from tdseg.metrics.iou import VOID

Step = tuple[int, int]
Image = NDArray[np.uint8]


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
    """The clips of tracks: one for each end that has enough frames before it.

    Args:
        name: see ClipDataset.
        tracks: what clips are cut from, in order.
        read_label: turns label files into classes.
        length: frames per clip.
        step: least and most frames from one frame of a clip to the next. Where the past is too short for the steps that
            are drawn, they are smaller; where it is too short for the least, there is no clip.
        flaws: what is missing.
        strict: refuse flaws, and data without any clip.

    Raises:
        DataError: the first flaw.
    """

    def __init__(
        self,
        name: str,
        tracks: Sequence[Track],
        read_label: LabelReader,
        *,
        length: int = 1,
        step: Step = (1, 1),
        flaws: Sequence[TdsegError] = (),
        strict: bool = True,
    ) -> None:
        self.name = name
        self.length = length
        self.step = step
        self.flaws = [flaw.got for flaw in flaws]
        self._read_label = read_label
        needed = (length - 1) * step[0]
        self._ends = [(track, at) for track in tracks for at in track.ends if at >= needed]
        self.dropped = [self._end_name(track, at) for track in tracks for at in track.ends if at < needed]
        if strict and flaws:
            more = f"; and {len(flaws) - 1} more like it" if len(flaws) > 1 else ""
            raise DataError(flaws[0].got + more, expected=flaws[0].expected, do=flaws[0].do)
        if strict and not self._ends:
            raise DataError(
                f"{name}: no clip of {length} frames; {len(self.dropped)} labelled frames have too few before them",
                expected=f"at least {needed} frames before a labelled frame, for length {length} and step {step[0]}",
                do="add the frames before labelled ones, or use length: 1",
            )

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

    def _read(self, track: Track, at: int) -> tuple[Image, Image]:
        """Frame (H, W, 3) and label (H, W) at a place of a track."""
        shot = track.shots[at]
        image = self._image(shot)
        if shot.label is None:
            return image, np.full(image.shape[:2], VOID, np.uint8)
        label = self._read_label(shot.label)
        if label.shape != image.shape[:2]:
            raise LabelError(
                f"{shot.label}: {label.shape[0]}x{label.shape[1]}, its image is {image.shape[0]}x{image.shape[1]}",
                expected="a label of the size of its image",
                do="resize the label without interpolation, or take the image it was drawn on",
            )
        return image, label

    def _image(self, shot: Shot) -> Image:
        return read_image(shot.image)

    def _end_name(self, track: Track, at: int) -> str:
        return str(track.shots[at].image) if track.shots else f"{track.name}, frame {at}"


def paired(images: Sequence[Path], labels: dict[str, Path], where: Path, flaws: list[TdsegError]) -> list[Shot]:
    """Images with their labels, by stem; images without one are noted as flaws, and left out.

    Args:
        images: files.
        labels: by the stem of their images.
        where: folder of the labels, for the message.
        flaws: what is added to.
    """
    shots = []
    for path in images:
        if label := labels.get(path.stem):
            shots.append(Shot(path, label))
        else:
            flaws.append(
                DataError(
                    f"{path} has no label", expected=f"a PNG of the same name in {where}", do="complete the data set"
                )
            )
    return shots
