"""Textures whose texels carry colour and label in one word, so that the two cannot come apart.

A word is a uint32: red, green, blue in the three low bytes and, in the high byte, the class in the low
nibble and an `Ink` in the high nibble. Byte views of words assume a little-endian machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Words: TypeAlias = npt.NDArray[np.uint32]
Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Flags: TypeAlias = npt.NDArray[np.bool_]
Colour: TypeAlias = tuple[int, int, int]
Palette: TypeAlias = tuple[Colour, ...]
Span: TypeAlias = tuple[float, float]

RGB = np.uint32(0x00FFFFFF)
CLASS = np.uint32(0x0F000000)
SHEER, _EMPTY = np.uint32(1 << 28), np.uint32(4 << 28)  # words from here on are not solid; paint nothing
NOTHING = 255  # the label byte of texels that paint nothing


class Label(IntEnum):
    """CamVid's 11 classes."""

    SKY = 0
    BUILDING = 1
    POLE = 2
    ROAD = 3
    PAVEMENT = 4
    TREE = 5
    SIGN = 6
    FENCE = 7
    CAR = 8
    PEDESTRIAN = 9
    BICYCLIST = 10


class Ink(IntEnum):
    """The effect of a texel on the pixel below it."""

    SOLID = 0  # replaces colour and label
    VEIL = 1  # replaces the label, mixes the colour half and half: twigs, wire mesh
    CLEAR = 2  # replaces the label alone: gaps between railings, which CamVid labels as fence
    SHADE = 3  # mixes the colour half and half, keeps the label: shadows


class Pyramid:
    """The levels of a picture, from fine to coarse: their words in one flat array, where each starts, and its size."""

    def __init__(self, levels: list[Words]) -> None:
        self.texels: Words = np.concatenate([level.ravel() for level in levels])
        self.starts = np.cumsum([0] + [level.size for level in levels[:-1]]).astype(np.int32)
        self.heights, self.widths = np.array([level.shape for level in levels], np.float32).T.copy()


class Texture(Pyramid):
    """A picture with labels and its mip pyramid.

    Args:
        rgb: (h, w, 3), clipped to 0..255.
        label: (h, w), a class or `NOTHING`; or the class of all texels.
        opacity: (h, w), 0..1, of the colour where there is a label; 1 where not given.
    """

    def __init__(
        self, rgb: npt.NDArray[Any], label: npt.NDArray[np.integer] | Label, opacity: Floats | None = None
    ) -> None:
        colour = np.clip(rgb, 0, 255).astype(np.float32)
        classes: Bytes = np.broadcast_to(np.asarray(label, np.uint8), colour.shape[:2])
        weight = np.where(classes == NOTHING, np.float32(0), np.float32(1) if opacity is None else opacity)
        levels = [_encode(colour, classes, weight)]
        while min(classes.shape) >= 4:
            colour, classes, weight = _halve(colour, classes, weight)
            levels.append(_encode(colour, classes, weight))
        super().__init__(levels)
        self.solid = bool((self.texels < SHEER).all())
        self.sheer = bool(((self.texels >= SHEER) & (self.texels < _EMPTY)).any())

    @classmethod
    def drawn(cls, image: Image.Image, label: Label, grain: Floats | None = None) -> Texture:
        """From an RGBA image, of one class where its alpha is not 0; `grain` (h, w) multiplies the colour."""
        pixels = np.asarray(image)
        rgb = pixels[..., :3] if grain is None else pixels[..., :3] * grain[..., None]
        return cls(rgb, np.where(pixels[..., 3] > 0, label, NOTHING))

    @classmethod
    def plain(cls, colour: Colour, label: Label) -> Texture:
        """One colour, slightly lit from the left."""
        return cls(np.array(colour, np.float32) * np.array([1.15, 1.0, 0.8], np.float32)[None, :, None], label)


def pack(rgb: npt.NDArray[np.generic], label: npt.NDArray[np.generic] | int) -> Words:
    """Words (...) of colours (..., 3) in 0..255 and label bytes (...)."""
    words = np.empty((*rgb.shape[:-1], 4), np.uint8)
    words[..., :3] = rgb
    words[..., 3] = label
    return words.view(np.uint32)[..., 0]


def blend(below: Words, above: Words, where: Flags | None = None, *, solid: bool = False, sheer: bool = True) -> None:
    """Paint words on a view of the canvas, in place, each by its ink; `solid` if all are, not `sheer` if none is."""
    if solid:
        np.copyto(below, above, where=True if where is None else where)
        return
    opaque = above < SHEER
    if sheer:
        _blend_sheer(below, above, where)
    if where is not None:
        opaque &= where
    np.copyto(below, above, where=opaque)


def _blend_sheer(below: Words, above: Words, where: Flags | None) -> None:
    sheer = (above >= SHEER) & (above < _EMPTY)
    if where is not None:
        sheer &= where
    place = np.nonzero(sheer)
    old, new = below[place], above[place]
    ink = new >> np.uint32(28)
    colour = np.where(ink == int(Ink.CLEAR), old, mix(old, new)) & RGB
    below[place] = colour | np.where(ink == int(Ink.SHADE), old & ~RGB, new & CLASS)


def mix(a: Words, b: Words | np.uint32) -> Words:
    """The mean of each byte, rounded down, four bytes at a time."""
    return (a & b) + (((a ^ b) >> np.uint32(1)) & np.uint32(0x7F7F7F7F))


def scale(colour: Iterable[float], factor: float = 1.0) -> Colour:
    """The colour, brighter or darker, in whole numbers from 0 to 255."""
    r, g, b = (min(255, max(0, int(c * factor))) for c in colour)
    return r, g, b


def _encode(rgb: Floats, label: Bytes, opacity: Floats) -> Words:
    ink = np.where(opacity >= 0.7, Ink.SOLID, np.where(opacity >= 0.25, Ink.VEIL, Ink.CLEAR)).astype(np.uint8)
    return pack(rgb, np.where(label == NOTHING, NOTHING, label | (ink << 4)))


def _halve(rgb: Floats, label: Bytes, opacity: Floats) -> tuple[Floats, Bytes, Floats]:
    h, w = label.shape[0] // 2 * 2, label.shape[1] // 2 * 2
    rgb, label, opacity = rgb[:h, :w], label[:h, :w], opacity[:h, :w]
    total = _four(opacity)
    colour = np.divide(_four(rgb * opacity[..., None]), np.maximum(total, 1e-6)[..., None], dtype=np.float32)
    a, b, c, d = label[::2, ::2], label[::2, 1::2], label[1::2, ::2], label[1::2, 1::2]
    low, other = np.minimum(a, b), np.minimum(c, d)
    # the second smallest of the four: a class where at least two of the texels have one
    covered = np.minimum(np.maximum(low, other), np.minimum(np.maximum(a, b), np.maximum(c, d)))
    present = np.maximum(_four((label != NOTHING).astype(np.float32)), 1)
    return colour, covered, np.asarray(total / present, np.float32)


def _four(values: Floats) -> Floats:
    """Sums over blocks of 2 × 2."""
    pairs = values[::2] + values[1::2]
    return pairs[:, ::2] + pairs[:, 1::2]
