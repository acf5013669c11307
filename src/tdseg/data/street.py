"""Synthetic street video as training clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.data.pictures import LabelReader
from tdseg.data.tracks import Step, Track, TrackClips
from tdseg.errors import DataError
from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.street import StreetFrame, render_street


class Split(NamedTuple):
    """The videos of a split."""

    seed: int
    """Of the first; the next have the next."""
    videos: int
    num_frames: int
    size: tuple[int, int]
    """(height, width)."""


SPLITS = {
    "train": Split(1_000, 40, 24, (360, 480)),
    "val": Split(1_000_000, 8, 24, (360, 480)),
    "tiny-train": Split(2_000, 4, 8, (96, 128)),
    "tiny-val": Split(2_000_000, 2, 8, (96, 128)),
}
"""The tiny ones are rendered in seconds, to see that training works."""


class StreetClips(TrackClips):
    """Clips cut from rendered videos, every frame labelled. Each video is rendered when first asked for, then kept.

    Args:
        split: one of SPLITS.
        length: frames per clip.
        step: see `TrackClips`.
        videos: number of videos, instead of the split's.
        num_frames: frames per video, at 15 Hz, likewise.
        size: (height, width), likewise.

    Raises:
        DataError: another split, or videos too short for the clips.
    """

    classes = CAMVID_CLASSES
    palette = CAMVID_PALETTE
    fps = 15.0

    def __init__(
        self,
        split: str = "train",
        *,
        length: int = 4,
        step: Step = (1, 1),
        videos: int | None = None,
        num_frames: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        if split not in SPLITS:
            raise DataError(f"split {split!r} of synthetic data", expected=" or ".join(SPLITS), do="choose one of them")
        seed, count, frames, frame_size = SPLITS[split]
        self.num_frames = num_frames or frames
        self.size = size or frame_size
        self._cache: dict[str, list[StreetFrame]] = {}
        tracks = [Track(str(seed + i), (), range(self.num_frames)) for i in range(videos or count)]
        super().__init__(f"synthetic {split}", tracks, LabelReader({}), length=length, step=step)

    def _read(self, track: Track, at: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if track.name not in self._cache:
            self._cache[track.name] = list(
                render_street(int(track.name), num_frames=self.num_frames, size=self.size, fps=self.fps)
            )
        image, label = self._cache[track.name][at]
        return image, label
