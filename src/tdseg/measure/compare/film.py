"""The video of a comparison: the frame, both masks and where they differ, small enough to travel inside a page."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from tdseg.masks.palette import Colors
from tdseg.measure.panels import four_panels
from tdseg.metrics.basic import Mask
from tdseg.video import VideoWriter, open_video
from tdseg.video.pictures import RGB

PANEL = 480
"""Longer side of a panel at most, pixels."""
MOST_SHOWN = 600
"""Pictures in the film; of a longer video every n-th frame is shown."""
MOST_BYTES = 3_000_000
"""Of the film, about; in the page it takes a third more."""


class Film:
    """Four panels: the frame and where the masks differ above, A and B below. A context manager.

    Args:
        size: (H, W) of the frames, pixels.
        frames: that will come, at most.
        fps: of the source.
        colors: of the classes.

    Attributes:
        size: (height, width) of the film, pixels.
        step: every n-th frame is shown.
        fps: of the source; the film takes as long.
        mp4: the film itself, when it is finished.
        moments: pictures of the frames asked for, likewise.

    Raises:
        OutputError: it cannot be written (here, and in every method).
    """

    def __init__(self, size: tuple[int, int], *, frames: int, fps: float, colors: Colors) -> None:
        scale = min(1.0, PANEL / max(size))
        self._panel = max(2, round(size[0] * scale / 2) * 2), max(2, round(size[1] * scale / 2) * 2)
        self.size = 2 * self._panel[0], 2 * self._panel[1]
        self.step = math.ceil(frames / MOST_SHOWN)
        self.fps, self._colors, self._frames = fps, colors, 0
        self.mp4 = b""
        self.moments: dict[int, Image.Image] = {}
        bit_rate = round(8 * MOST_BYTES * fps / frames)
        with ExitStack() as files:
            self._path = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="tdseg-compare-"))) / "film.mp4"
            self._writer = VideoWriter(self._path, size=self.size, fps=fps / self.step, bit_rate=bit_rate)
            files.enter_context(self._writer)
            self._files = files.pop_all()

    def add(self, frame: RGB, a: Mask, b: Mask) -> None:
        """The next frame, (H, W, 3), and its masks, (H, W)."""
        index, self._frames = self._frames, self._frames + 1
        if index % self.step:
            return
        picture = four_panels(frame, (a, b), a != b, self._colors, self._panel)
        self._writer.write(picture, index / self.fps)

    def finish(self, moments: Collection[int]) -> None:
        """The last frame was added: keep the film, and pictures of the frames of these numbers, in this order."""
        self._writer.close()
        self.mp4 = self._path.read_bytes()
        with open_video(self._path) as film:
            shown = {frame.index * self.step: frame.image for frame in film if frame.index * self.step in moments}
        self.moments = {index: Image.fromarray(shown[index]) for index in moments if index in shown}

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def moments(agreement: list[float], step: int, *, apart: float, most: int = 6) -> list[int]:
    """The frames that agree least, the worst first.

    Args:
        agreement: of each frame, percent.
        step: only every n-th frame may be chosen.
        apart: frames between two of them, at least.
        most: how many.
    """
    shown = range(0, len(agreement), step)
    chosen: list[int] = []
    for index in sorted(shown, key=agreement.__getitem__):
        if agreement[index] == 100 or len(chosen) == most:
            break
        if all(abs(index - other) >= apart for other in chosen):
            chosen.append(index)
    return chosen
