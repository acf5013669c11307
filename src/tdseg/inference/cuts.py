"""Hard cuts: two successive frames of which the second shows another scene.

Two things must have happened at once, for each alone is common within a scene. The colours of the picture have changed,
as they do when the exposure jumps, too; and what one frame shows is found nowhere near in the other, as after a fast
turn, too. The measures are the field's: intersection of histograms (Swain & Ballard, 1991), in bands, for cameras turn
sideways; and matching of blocks by normalised cross-correlation. Before that the one frame gets the tones of the other,
which undoes exposure; the worst blocks do not count, for objects pass; and blocks are looked for in both directions,
for what is blown out in one frame is found in none. Fades and dissolves go in steps that are no cuts.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

SHAPE = (36, 48)
"""Height and width of a thumbnail, pixels."""
BLOCK = (9, 12)
"""Of a block, pixels of the thumbnail: a quarter of each side."""
REACH = (5, 8)
"""How far down and across a block is looked for, pixels of the thumbnail: a sixth of each side."""
AROUND, FAST = (19, 28), (20, 30)
"""Of the place in which it is looked for: a block and twice the reach; and the next size that transforms fast."""
OFFSETS = (11, 17)
"""Places of a block within that."""
BANDS, LEVELS = 3, 8
"""Of the histograms: bands from top to bottom, and steps of each colour."""
BEST = 13
"""Blocks that count, of 16: those that are found best."""
FAINT = 4.0
"""Contrast, grey levels, below which a picture has no scene; and variance below which a block tells little."""
COLORS = 0.22
"""Change of colours below which there is no cut, so that blocks are not looked for."""
ENOUGH, SHARE = 0.45, 0.4
"""Change of colours beyond which more says nothing more, and what it counts beside the change of blocks."""
LIKER = 0.7
"""What the direction counts in which blocks are found better; the other one has the rest."""
CUT = 0.44
"""Sum of both from which on it is a cut."""

Thumbnail = NDArray[np.uint8]
"""(36, 48, 3) RGB: all that is kept of a frame."""
Channels = NDArray[np.floating]


def thumbnail(frame: NDArray[np.uint8]) -> Thumbnail:
    """What `is_cut` compares: the means of four samples each of a frame, uint8 (H, W, 3) RGB of any size."""
    rows, columns = (
        (2 * np.arange(2 * side) + 1) * length // (4 * side)
        for side, length in zip(SHAPE, frame.shape[:2], strict=True)
    )
    samples = frame[rows][:, columns].astype(np.uint16)
    small: Thumbnail = (
        (samples[::2, ::2] + samples[1::2, ::2] + samples[::2, 1::2] + samples[1::2, 1::2]) >> 2
    ).astype(np.uint8)
    return small


def is_cut(before: Thumbnail, now: Thumbnail) -> bool:
    """Whether a frame shows another scene than the frame before it.

    It remembers nothing, and is the same for the same two frames. Where one of them is of a single colour, as between a
    fade-out and a fade-in, it is no cut: there is nothing in it that could be carried on wrongly.

    Args:
        before: thumbnail of the frame before.
        now: thumbnail of the frame.
    """
    colors = color_change(before, now)
    if colors < COLORS:
        return False
    pairs = (before, now), (now, before)
    less, more = sorted(block_change(with_tones_of(other, one), other) for one, other in pairs)
    return LIKER * less + (1 - LIKER) * more + SHARE * min(colors, ENOUGH) > CUT


def color_change(before: Thumbnail, now: Thumbnail) -> float:
    """Share of the picture that has other colours, 0 … 1, by histograms of three bands."""
    one, other = _histogram(before), _histogram(now)
    return 1 - float(np.minimum(one, other).sum()) / (SHAPE[0] * SHAPE[1])


def block_change(before: Thumbnail, now: Thumbnail) -> float:
    """How little the blocks of a frame are like any nearby place in the one before, from 0, the same, to 1.

    One less the best correlation of each block, its mean over the best blocks, weighted by the root of their contrast;
    0 where one of the pictures has none.
    """
    earlier, later = (np.moveaxis(picture, -1, 0).astype(np.float32) - 128 for picture in (before, now))
    if min(_contrast(earlier), _contrast(later)) < FAINT:
        return 0.0
    blocks = _cut_out(later, BLOCK)  # (16, 3, 9, 12)
    blocks -= blocks.mean((2, 3), keepdims=True)
    around = ((0, 0), (REACH[0], REACH[0]), (REACH[1], REACH[1]))
    padded = np.pad(earlier, around, mode="edge")
    spectrum = np.fft.rfft2(_cut_out(padded, AROUND), FAST) * np.fft.rfft2(blocks, FAST).conj()
    across = np.fft.irfft2(spectrum.sum(1), FAST)[:, : OFFSETS[0], : OFFSETS[1]]  # where no end meets the beginning
    pixels = BLOCK[0] * BLOCK[1]
    variance = _window_sums(padded**2) - _window_sums(padded) ** 2 / pixels  # (3, 38, 53)
    there = _cut_out(variance, OFFSETS).sum(1)  # (16, 11, 17)
    here = (blocks**2).sum((1, 2, 3))
    noise = 3 * pixels * FAINT
    likeness = (across / np.sqrt((there + noise) * (here + noise)[:, None, None])).max((1, 2))
    best = np.argsort(likeness)[-BEST:]
    weights = here[best] ** 0.25 + 1e-6
    return 1 - float((likeness[best] * weights).sum() / weights.sum())


def with_tones_of(other: Thumbnail, picture: Thumbnail) -> Thumbnail:
    """A picture with its values moved so that each channel has the histogram of another picture, as far as it can."""
    moved = np.empty_like(picture)
    for channel in range(3):
        have, wanted = (np.bincount(p[..., channel].ravel(), minlength=256) for p in (picture, other))
        middle = have.cumsum() - have / 2
        tones = np.minimum(np.searchsorted(wanted.cumsum(), middle), 255).astype(np.uint8)
        moved[..., channel] = tones[picture[..., channel]]
    return moved


def _histogram(picture: Thumbnail) -> NDArray[np.intp]:
    """(BANDS · LEVELS³,): pixels of each colour in each band."""
    red, green, blue = np.moveaxis(picture // (256 // LEVELS), -1, 0).astype(np.intp)
    band = (np.arange(SHAPE[0]) * BANDS // SHAPE[0])[:, None]
    code = ((band * LEVELS + red) * LEVELS + green) * LEVELS + blue
    return np.bincount(code.ravel(), minlength=BANDS * LEVELS**3)


def _cut_out(picture: Channels, size: tuple[int, int]) -> Channels:
    """Parts of a picture, (3, H, W), that begin where the blocks do: (16, 3, h, w)."""
    parts = sliding_window_view(picture, size, axis=(1, 2))[:, :: BLOCK[0], :: BLOCK[1]]
    return parts.transpose(1, 2, 0, 3, 4).reshape(-1, 3, *size)


def _window_sums(picture: Channels) -> Channels:
    """Sums over all windows of the size of a block: (3, H, W) to (3, H - 8, W - 11)."""
    sums = np.pad(picture, ((0, 0), (1, 0), (1, 0))).cumsum(1, dtype=np.float64).cumsum(2)
    height, width = BLOCK
    inside: Channels = (
        sums[:, height:, width:] - sums[:, height:, :-width] - sums[:, :-height, width:] + sums[:, :-height, :-width]
    )
    return inside


def _contrast(picture: Channels) -> float:
    """Deviation of the grey values of a picture, (3, H, W)."""
    return float(picture.mean(0).std())
