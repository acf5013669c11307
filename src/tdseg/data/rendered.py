"""Rendered street video as training clips."""

from __future__ import annotations

from typing import NamedTuple

from tdseg.data.tracks import Track, TrackClips
from tdseg.errors import DataError
from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.metrics.basic import Mask
from tdseg.street import StreetFrame, render_street
from tdseg.video.pictures import RGB


class RenderedSplit(NamedTuple):
    """The videos of a split."""

    seed: int
    """Of the first; the next have the next."""
    videos: int
    num_frames: int
    size: tuple[int, int]
    """(height, width)."""


SPLITS = {
    "train": RenderedSplit(1_000, 40, 24, (360, 480)),
    "val": RenderedSplit(1_000_000, 8, 24, (360, 480)),
    "tiny-train": RenderedSplit(2_000, 4, 8, (96, 128)),
    "tiny-val": RenderedSplit(2_000_000, 2, 8, (96, 128)),
}
"""The tiny ones are rendered in seconds, to see that training works."""


class StreetClips(TrackClips):
    """Rendered videos at 15 Hz, every frame labelled, without a root; each is rendered when first asked for, then kept.

    Splits are those of SPLITS.
    """

    title = "synthetic"
    classes = CAMVID_CLASSES
    palette = CAMVID_PALETTE
    fps = 15.0

    def find_tracks(self) -> list[Track]:
        """See TrackClips: a track for each video, named by its seed."""
        if self.split not in SPLITS:
            raise DataError(
                f"split {self.split!r} of synthetic data", expected=" or ".join(SPLITS), do="choose one of them"
            )
        seed, videos, num_frames, _ = SPLITS[self.split]
        self._videos: dict[str, list[StreetFrame]] = {}
        return [Track(str(seed + i), (), range(num_frames)) for i in range(videos)]

    def _read(self, track: Track, at: int) -> tuple[RGB, Mask]:
        if track.name not in self._videos:
            _, _, num_frames, size = SPLITS[self.split]
            frames = render_street(int(track.name), num_frames=num_frames, size=size, fps=self.fps)
            self._videos[track.name] = list(frames)
        return self._videos[track.name][at]
