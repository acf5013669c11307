"""The instability map: where masks flicker, as a picture and as a video."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tdseg.errors import ConfigError
from tdseg.files import check_target, whole_file
from tdseg.masks.legend import BACKGROUND, INK
from tdseg.metrics.basic import Mask
from tdseg.metrics.flips import InstabilityMap
from tdseg.metrics.flow import Flow
from tdseg.video import VideoWriter
from tdseg.video.pictures import RGB

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


def outlines(mask: Mask) -> RGB:
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
        pen.text((x, y), text, fill=INK, font=font, anchor=anchor)
    return still


def map_files(target: Path) -> list[Path]:
    """The files of a map, see `write_map`.

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


@contextmanager
def write_map(
    target: Path, size: tuple[int, int], fps: float
) -> Iterator[Callable[[Mask, RGB | None, Flow | None], None]]:
    """Write the map of one video's masks: a .png, an .mp4 in which each flip glows and fades, or both in a folder.

    The files take their names when all are whole; nothing is left of a run that failed.

    Args:
        target: FILE.png, FILE.mp4 (in any case), or a folder for instability.png and instability.mp4, made if missing:
            one that is there, or a name without suffix.
        size: (H, W) of the masks, pixels.
        fps: of the video.

    Yields:
        What adds the next mask, (H, W), with its frame (H, W, 3) and the flow to it, where there are any.

    Raises:
        ConfigError: a file of another kind.
        OutputError: it cannot be written (here, and for every mask).
    """
    unstable, glow, fade = InstabilityMap(size), np.zeros(size, np.float32), math.exp(-1 / (FADE_S * fps))
    base, masks = np.zeros((*size, 3), np.uint8), itertools.count()
    still: Path | None = None
    film: VideoWriter | None = None

    def add(mask: Mask, frame: RGB | None, flow: Flow | None) -> None:
        unstable.update(mask, flow)
        base[:] = outlines(mask) if frame is None else frame
        if film:
            np.maximum(fade * glow, 0 if unstable.changed is None else unstable.changed, out=glow)
            film.write(heat(glow, base), next(masks) / fps)

    with ExitStack() as files:
        for path in map_files(target):
            staged = files.enter_context(whole_file(path, parents=True))
            check_target(path)
            if path.suffix.lower() == ".mp4":
                film = files.enter_context(VideoWriter(staged, size=size, fps=fps))
            else:
                still = staged
        yield add
        if still:
            picture(unstable.compute().numpy(), base).save(still, "PNG", optimize=True)
