"""Rendered street video as training clips."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tdseg import street
from tdseg.data.tracks import Track, TrackClips
from tdseg.errors import DataError
from tdseg.files import whole_file
from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.metrics.basic import Mask
from tdseg.street import render_street
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
    "test": RenderedSplit(3_000_000, 24, 24, (360, 480)),
    "tiny-train": RenderedSplit(2_000, 4, 8, (96, 128)),
    "tiny-val": RenderedSplit(2_000_000, 2, 8, (96, 128)),
}
"""The tiny ones are rendered in seconds, to see that training works."""


@cache
def _renderer() -> str:
    """Which renderer this is: what another one has rendered are other videos."""
    sources = sorted(Path(street.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


class StreetVideo(NamedTuple):
    """A rendered video."""

    images: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    labels: NDArray[np.uint8]
    """(T, H, W)."""


class StreetClips(TrackClips):
    """Rendered videos at 15 Hz, every frame labelled; each is rendered when first asked for, then kept in memory.

    Splits are those of SPLITS. With a root, videos are kept there for other runs, too, as one file each.
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
        self._keeps = self.root != Path()
        self._videos: dict[str, StreetVideo] = {}
        return [Track(str(seed + i), (), range(num_frames)) for i in range(videos)]

    def _read(self, track: Track, at: int) -> tuple[RGB, Mask]:
        if track.name not in self._videos:
            self._videos[track.name] = self._video(int(track.name))
        video = self._videos[track.name]
        return video.images[at], video.labels[at]

    def _video(self, seed: int) -> StreetVideo:
        _, _, num_frames, size = SPLITS[self.split]
        kept = self.root / f"{_renderer()}-{seed}-{num_frames}x{size[0]}x{size[1]}.npz"
        if self._keeps and os.path.isfile(kept):
            try:
                with np.load(kept, allow_pickle=False) as arrays:
                    return StreetVideo(arrays["images"], arrays["labels"])
            except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
                raise DataError(
                    f"{kept}: {error}", expected="a video as it was rendered", do="remove it: it is rendered anew"
                ) from None
        frames = render_street(seed, num_frames=num_frames, size=size, fps=self.fps)
        video = StreetVideo(*(np.stack(parts) for parts in zip(*frames, strict=True)))
        if self._keeps:
            mine = kept.with_name(f"{uuid4()}-{kept.name}")  # others may render it, too
            with whole_file(mine, parents=True) as staged, staged.open("wb") as file:
                np.savez(file, **video._asdict())
            mine.replace(kept)
        return video
