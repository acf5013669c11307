"""The flicker out of the masks of any tool: each is put to the vote with those around it, along the video's motion."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from tdseg.errors import ConfigError, DataError, OutputError
from tdseg.masks.classmap import class_map
from tdseg.masks.labels import read_pixels
from tdseg.masks.pairing import frames_with_masks
from tdseg.masks.palette import Palette
from tdseg.masks.reading import SeenPalettes, mask_files, open_masks
from tdseg.masks.writing import written_like
from tdseg.metrics.basic import Mask, flip_share
from tdseg.metrics.iou import VOID
from tdseg.models.propagation.motion import FINENESS, MotionSource
from tdseg.models.subnets import SubNetwork
from tdseg.runtime.window import MOST_FRAMES, Ballot, ScoreWindow, Seen, added, votes
from tdseg.video import open_video
from tdseg.video.pictures import RGB

SCALE = 4
"""Cells of the votes to a side of 8 pixels: 1/2 of the masks."""
LARGEST = 2048
"""Longest side of a mask up to which that holds, pixels; larger ones vote in as many cells."""
MOST_VOTES = 1 << 24
"""Of a mask, 64 MiB; above, they are in fewer cells."""
BLOCK = 8
"""Masks that are made at a time where frames to come have a vote."""


@dataclass(frozen=True)
class Steadied:
    """The masks of a video, before and after, in figures."""

    masks: int
    changed: float
    """Share of their pixels that have another class now, 0..1."""
    flip_rate: tuple[float | None, float | None]
    """Share of pixels whose class differs from the mask before, before and after; None for a single mask."""


def steady(
    masks: str | Path,
    output: str | Path,
    *,
    video: str | Path,
    memory: int = 4,
    delay: int = 0,
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Steadied:
    """Take the flicker out of the masks of a video, whatever tool made them. Memory does not depend on its length.

    Each mask is put to the vote with those before it, carried along the motion of the video, all with the same weight:
    the window that our own models have as their memory. Names, palettes and kind of the files are kept.

    Args:
        masks: folder of indexed, grey or coloured PNGs, an .npz file with one array (T, H, W), or a .mkv or .jsonl
            file of `tdseg segment --write video,rle`.
        output: folder of the result; of a file, the file.
        video: what they are masks of, of their size and length.
        memory: masks that have a vote, the newest among them, 1 … 16.
        delay: of so many frames to come the masks have a vote, too, 0 … 15: steadier, for work that need not be live.
        overwrite: replace a former result.
        on_progress: called with (masks done, masks in all).

    Raises:
        DataError, VideoError: an input that cannot be read, or is of another length or size than the masks.
        ConfigError: a number out of range.
        OutputError: the output is in use, is an input, or cannot be written.
    """
    if not 1 <= memory <= MOST_FRAMES or not 0 <= delay < MOST_FRAMES or memory + delay < 2:
        raise ConfigError(
            f"memory {memory} and delay {delay}",
            expected=f"a memory of 1 … {MOST_FRAMES} and a delay of 0 … {MOST_FRAMES - 1}, together 2 or more",
            do="choose numbers in these ranges",
        )
    target = Path(output)
    _check_output(target, masks, video)
    palette = _colors(Path(masks))
    given = open_masks(masks, palette)
    values = sorted(set(chain.from_iterable(np.unique(mask).tolist() for mask in given)))
    changed, flips = list[float](), (list[float](), list[float]())
    before: tuple[Mask, Mask] | None = None
    with open_video(video) as reader, written_like(given, target, palette, overwrite=overwrite) as write:
        pairs = ((frame, found[0]) for frame, found in frames_with_masks(reader, [given]))
        for old, new in _voted(pairs, values, memory, delay):
            write(new)
            changed.append(flip_share(old, new))
            if before:
                for rates, one, other in zip(flips, before, (old, new), strict=True):
                    rates.append(flip_share(one, other))
            before = old, new
            if on_progress:
                on_progress(len(changed), len(given))
    was, now = (fmean(rates) if rates else None for rates in flips)
    return Steadied(len(changed), fmean(changed), (was, now))


@torch.inference_mode()
def _voted(
    pairs: Iterable[tuple[RGB, Mask]], values: list[int], memory: int, delay: int
) -> Iterator[tuple[Mask, Mask]]:
    """Each mask, and what the vote made of it."""
    table = np.array(values, np.uint8)
    window, ahead = (_window(frames) for frames in (memory, delay + 1))
    either = window or ahead
    assert either is not None, "two have a vote, or more"
    source = either.motion
    past: tuple[Tensor, ...] = ()
    waiting: list[tuple[Mask, Tensor, tuple[Tensor, Tensor]]] = []

    def counted(ready: int) -> Iterator[tuple[Mask, Mask]]:
        """The first of those that wait, after a look from the last of them back."""
        future: tuple[Tensor, ...] = ()
        results: list[tuple[Mask, Mask]] = []
        for at, (mask, grey, (total, weight)) in reversed(list(enumerate(waiting))):
            if ahead:
                ballot = Ballot(_votes(mask, values), grey)  # made anew: as many as wait would take much memory
                seen, future = ahead.meet(ballot, future)
                total, more = added(total, seen)
                weight = weight + more - 1
            if at < ready:
                shares = (total / weight)[0].numpy()
                winners = class_map(shares, (mask.shape[0], mask.shape[1]), align_corners=False)
                results.append((mask, table[winners]))
        del waiting[:ready]
        return reversed(results)

    for frame, mask in pairs:
        ballot = Ballot(_votes(mask, values), _grey(frame, mask, values, source))
        seen = Seen([], torch.zeros_like(ballot.scores[:, :0]), [])
        if window:
            seen, past = window.meet(ballot, past)
        waiting.append((mask, ballot.grey, added(ballot.scores, seen)))
        if len(waiting) > delay and (not delay or len(waiting) == BLOCK + delay):
            yield from counted(len(waiting) - delay)
    yield from counted(len(waiting))


def _window(frames: int) -> ScoreWindow | None:
    """A window of so many masks; None for one alone."""
    return ScoreWindow(frames, SCALE, "matching", "cpu", most_classes=256) if frames > 1 else None


def _cells(mask: Mask, values: list[int]) -> tuple[int, int]:
    """(height, width) of the positions that motion is found for: fewer for large masks, and for many values."""
    votes = len(values) * mask.size / (SubNetwork.stride / SCALE) ** 2
    shrink = min(1.0, LARGEST / max(mask.shape), math.sqrt(MOST_VOTES / votes))
    height, width = (max(1, -(-round(side * shrink) // SubNetwork.stride)) for side in mask.shape)
    return height, width


def _votes(mask: Mask, values: list[int]) -> Tensor:
    """A mask as votes of 0 and 1, the mean of those that a cell covers: (1, C, SCALE·h, SCALE·w)."""
    height, width = _cells(mask, values)
    pixels = torch.from_numpy(np.require(mask, requirements=["C", "W"]))[None]
    return votes(pixels, values, (SCALE * height, SCALE * width))


def _grey(frame: RGB, mask: Mask, values: list[int], source: MotionSource) -> Tensor:
    """The picture that motion is found in."""
    height, width = _cells(mask, values)
    picture = torch.from_numpy(np.require(frame, requirements=["C", "W"])).permute(2, 0, 1)[None]
    return source.pictures(picture, (FINENESS * height, FINENESS * width))


def _colors(masks: Path) -> Palette | None:
    """The colours of coloured masks, and of indexed ones that number them differently; None where values are classes.

    Raises:
        DataError: too many colours; grey masks among coloured ones.
    """
    if not masks.is_dir():
        return None
    found: dict[tuple[int, ...], None] = {}
    palettes, by_color, grey = SeenPalettes(), False, ""
    for file in mask_files(masks):
        pixels = read_pixels(file)
        by_color |= pixels.values.ndim == 3 or palettes.differs(pixels) is not None
        if pixels.values.ndim == 3:
            colors = np.unique(pixels.values.reshape(-1, 3), axis=0)
        elif pixels.mode == "P" and pixels.palette is not None:
            colors = pixels.palette[[value for value in pixels.used() if value < len(pixels.palette)]]
        else:
            colors, grey = np.empty((0, 3), np.uint8), str(file)
        found |= dict.fromkeys(map(tuple, colors.tolist()))
        if by_color and len(found) >= VOID:
            raise DataError(
                f"{file}: {len(found)} colours up to it",
                expected=f"fewer than {VOID} classes, each with a colour",
                do="save the masks without scaling and lossy compression, which blend colours",
            )
    if by_color and grey:
        raise DataError(f"{grey}: a grey mask among coloured ones", expected="masks of one kind", do="save them alike")
    names = tuple(" ".join(map(str, color)) for color in found)
    return Palette(str(masks), names, np.array(list(found), np.uint8)) if by_color else None


def _check_output(output: Path, *inputs: str | Path) -> None:
    """Refuse to write among the inputs, or over them."""
    place = Path(os.path.realpath(output))
    for given in inputs:
        source = Path(os.path.realpath(given))
        if place == source or source.is_relative_to(place) or (source.is_dir() and place.is_relative_to(source)):
            raise OutputError(
                f"the output {output} would lie among the files of {given}, or over them",
                expected="a place outside the masks and the video",
                do="choose another with --output",
            )
