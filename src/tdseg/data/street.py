"""Synthetic street video as training clips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tdseg.data.pictures import LabelReader
from tdseg.data.synthetic import StreetFrame, render_street
from tdseg.data.tracks import Step, Track, TrackClips
from tdseg.errors import DataError
from tdseg.labels import CAMVID_CLASSES, CAMVID_PALETTE

VIDEOS = {"train": (1_000, 40), "val": (1_000_000, 8)}
"""First seed and number of videos of each split."""


class StreetClips(TrackClips):
    """Clips cut from rendered videos, every frame labelled. Each video is rendered when first asked for, then kept.

    Args:
        split: "train" (40 videos) or "val" (8 others).
        length: frames per clip.
        step: see `TrackClips`.
        videos: number of videos, instead.
        num_frames: frames per video, at 15 Hz.
        size: (height, width).

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
        num_frames: int = 24,
        size: tuple[int, int] = (360, 480),
    ) -> None:
        if split not in VIDEOS:
            raise DataError(f"split {split!r} of synthetic data", expected=" or ".join(VIDEOS), do="choose one of them")
        seed, count = VIDEOS[split]
        self.num_frames = num_frames
        self.size = size
        self._cache: dict[str, list[StreetFrame]] = {}
        tracks = [Track(str(seed + i), (), range(num_frames)) for i in range(videos or count)]
        super().__init__(f"synthetic {split}", tracks, LabelReader({}), length=length, step=step)

    def _read(self, track: Track, at: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if track.name not in self._cache:
            self._cache[track.name] = list(
                render_street(int(track.name), num_frames=self.num_frames, size=self.size, fps=self.fps)
            )
        image, label = self._cache[track.name][at]
        return image, label
