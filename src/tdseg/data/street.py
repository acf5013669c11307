"""Synthetic street video as training clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tdseg.data.clip import Clip
from tdseg.data.synthetic import render_street
from tdseg.labels import CAMVID_CLASSES, CAMVID_PALETTE


class StreetClips:
    """Clips cut from rendered videos, every frame labelled. Each video is rendered when first asked for, then kept.

    Args:
        length: frames per clip.
        videos: number of videos, of seeds 1000, 1001, …
        num_frames: frames per video.
        size: (height, width).
    """

    def __init__(
        self, *, length: int = 4, videos: int = 40, num_frames: int = 24, size: tuple[int, int] = (360, 480)
    ) -> None:
        self.length = length
        self.videos = videos
        self.num_frames = num_frames
        self.size = size
        self._cache: dict[int, Clip] = {}

    @property
    def classes(self) -> Sequence[str]:
        """CamVid's classes."""
        return CAMVID_CLASSES

    @property
    def palette(self) -> Sequence[tuple[int, int, int]]:
        """CamVid's colours."""
        return CAMVID_PALETTE

    def __len__(self) -> int:
        return self.videos * (self.num_frames - self.length + 1)

    def __getitem__(self, index: int) -> Clip:
        video, start = divmod(index, self.num_frames - self.length + 1)
        frames, labels = self._render(video)
        return Clip(frames[start : start + self.length], labels[start : start + self.length])

    def _render(self, video: int) -> Clip:
        if video not in self._cache:
            rendered = list(render_street(1000 + video, num_frames=self.num_frames, size=self.size))
            images = torch.from_numpy(np.stack([frame.image for frame in rendered]))
            labels = torch.from_numpy(np.stack([frame.label for frame in rendered]))
            self._cache[video] = Clip(images.permute(0, 3, 1, 2).contiguous(), labels)
        return self._cache[video]
