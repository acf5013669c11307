"""Outputs to look at: videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import VideoError
from tdseg.inference.parts import Part
from tdseg.inference.stream import Result
from tdseg.inference.writers.base import About, SizedWriter, Writer
from tdseg.masks import draw
from tdseg.masks.legend import Legend
from tdseg.video import VideoWriter
from tdseg.video.grey import GreyWriter
from tdseg.video.joining import join_videos


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
            return join_videos(
                pieces,
                cls.place(folder),
                audio_from=str(about.source) if again else None,
                audio_start_s=begins_s[0],
            )
        except VideoError as error:
            join_videos(pieces, cls.place(folder))
            return f"the overlay has no sound: {error.got}"


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
