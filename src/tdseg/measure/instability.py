"""The instability map: where masks flicker, as a picture and as a video."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tdseg.errors import ConfigError
from tdseg.files import check_target, whole_file
from tdseg.masks.draw import BACKGROUND
from tdseg.metrics.flips import InstabilityMap
from tdseg.metrics.flow import Flow
from tdseg.video import VideoWriter

RGB = NDArray[np.uint8]

HEAT = np.array(
    [(10, 8, 20), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], np.float32
)
"""Black, purple, red, orange, yellow: brightness grows all the way, so it reads in grey too (after inferno)."""
FADE_S = 0.5
"""Seconds in which a flip fades to a third in the video."""


def heat(values: NDArray[np.floating], base: RGB) -> RGB:
    """Heat over a dimmed grey picture, which shows where there is none.

    Args:
        values: (H, W), 0 … 1; what is more is as hot as 1.
        base: uint8 (H, W, 3) RGB.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    values = np.clip(values, 0, 1, dtype=np.float32)
    stops = np.linspace(0, 1, len(HEAT))
    color = np.stack([np.interp(values, stops, channel) for channel in HEAT.T], -1)
    grey = 0.4 * base.astype(np.float32).mean(-1, keepdims=True)
    weight = np.minimum(1, 4 * values)[..., None]
    mixed: RGB = np.rint(weight * color + (1 - weight) * grey).astype(np.uint8)
    return mixed


def outlines(mask: NDArray[np.uint8]) -> RGB:
    """A picture to put heat on where there is no video: the borders of the classes, uint8 (H, W, 3) RGB."""
    edge = np.zeros(mask.shape, bool)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    return np.where(edge[..., None], np.uint8(170), np.array(BACKGROUND, np.uint8))


def picture(share: NDArray[np.floating], base: RGB) -> Image.Image:
    """The map with a scale below it.

    Args:
        share: (H, W), share of pairs of masks between which a pixel changes class, 0 … 1. The scale ends where only one
            pixel in 200 is hotter.
        base: what the masks are of, uint8 (H, W, 3) RGB.
    """
    top = max(float(np.quantile(share, 0.995)), 0.01)
    height, width = share.shape
    margin, bar, font = 16, 12, ImageFont.load_default(14)
    still = Image.new("RGB", (width + 2 * margin, height + 3 * margin + bar + 24), BACKGROUND)
    still.paste(Image.fromarray(heat(share / top, base)), (margin, margin))
    ramp = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (bar, width))
    still.paste(Image.fromarray(heat(ramp, np.zeros((bar, width, 3), np.uint8))), (margin, height + 2 * margin))
    pen, y = ImageDraw.Draw(still), height + 2 * margin + bar + 6
    for x, text, anchor in (
        (margin, "0", "la"),
        (margin + width // 2, "share of frames with a flip", "ma"),
        (margin + width, f"{top:.1%}", "ra"),
    ):
        pen.text((x, y), text, fill=(222, 224, 228), font=font, anchor=anchor)
    return still


def map_files(target: Path) -> list[Path]:
    """The files of a map, see `MapWriter`.

    Raises:
        ConfigError: a file of another kind.
    """
    if os.path.isdir(target) or not target.suffix:
        return [target / "instability.png", target / "instability.mp4"]
    if target.suffix.lower() not in {".png", ".mp4"}:
        raise ConfigError(
            f"a map called {target.name}",
            expected="FILE.png, FILE.mp4 or a folder; a new folder has no dot in its name",
            do="choose another name with --map",
        )
    return [target]


class MapWriter:
    """Writes the map of one video's masks: a .png, an .mp4 in which each flip glows and fades, or both in a folder.

    A context manager. The files take their names when all are whole; nothing is left of a run that failed.

    Args:
        target: FILE.png, FILE.mp4 (in any case), or a folder for instability.png and instability.mp4, made if missing:
            one that is there, or a name without suffix.
        size: (H, W) of the masks, pixels.
        fps: of the video.

    Raises:
        ConfigError: a file of another kind.
        OutputError: it cannot be written (here, and in every method).
    """

    def __init__(self, target: Path, size: tuple[int, int], fps: float) -> None:
        self._map = InstabilityMap(size)
        self._glow = np.zeros(size, np.float32)
        self._fps, self._fade = fps, math.exp(-1 / (FADE_S * fps))
        self._base = np.zeros((*size, 3), np.uint8)
        self._frames = 0
        self._still: Path | None = None
        self._video: VideoWriter | None = None
        with ExitStack() as files:
            for path in map_files(target):
                staged = files.enter_context(whole_file(path, parents=True))
                check_target(path)
                if path.suffix.lower() == ".mp4":
                    self._video = files.enter_context(VideoWriter(staged, size=size, fps=fps))
                else:
                    self._still = staged
            files.push(self._draw)
            self._files = files.pop_all()

    def update(self, mask: NDArray[np.uint8], frame: RGB | None, flow: Flow | None) -> None:
        """Add the next mask, (H, W), with its frame (H, W, 3) and the flow to it, where there are any."""
        self._map.update(mask, flow)
        self._base = outlines(mask) if frame is None else frame
        if self._video:
            changed = self._map.changed
            self._glow = np.maximum(self._fade * self._glow, 0 if changed is None else changed)
            self._video.write(heat(self._glow, self._base), self._frames / self._fps)
        self._frames += 1

    def _draw(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._still and kind is None:
            picture(self._map.compute().numpy(), self._base).save(self._still, "PNG", optimize=True)

    def __enter__(self) -> MapWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)
