"""Textures whose texels carry colour and label in one word, so that the two cannot come apart.

A word is a uint32: red, green, blue in the three low bytes and, in the high byte, the class in the low
nibble and an `Ink` in the high nibble. Byte views of words assume a little-endian machine.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Words: TypeAlias = npt.NDArray[np.uint32]
Floats: TypeAlias = npt.NDArray[np.float32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]

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
    """What a texel does to the pixel below it."""

    SOLID = 0  # replaces colour and label
    VEIL = 1  # replaces the label, mixes the colour half and half: twigs, wire mesh
    CLEAR = 2  # replaces the label alone: gaps between railings, which CamVid labels as fence
    SHADE = 3  # mixes the colour half and half, keeps the label: shadows


class Texture:
    """A picture with labels and its mip pyramid, stored as one flat array of words.

    Args:
        rgb: (h, w, 3), 0..255.
        label: uint8 (h, w), a class or `NOTHING`.
        opacity: (h, w), 0..1, of the colour where there is a label; 1 where not given.
    """

    def __init__(self, rgb: npt.NDArray[np.generic], label: Bytes, opacity: Floats | None = None) -> None:
        colour = rgb.astype(np.float32)
        weight = np.ones(label.shape, np.float32) if opacity is None else opacity.astype(np.float32)
        weight = np.where(label == NOTHING, np.float32(0), weight)
        levels = [_encode(colour, label, weight)]
        while min(label.shape) >= 4:
            colour, label, weight = _halve(colour, label, weight)
            levels.append(_encode(colour, label, weight))
        self.texels: Words = np.concatenate([level.ravel() for level in levels])
        self.heights = np.array([level.shape[0] for level in levels], np.float32)
        self.widths = np.array([level.shape[1] for level in levels], np.float32)
        self.starts = np.cumsum([0] + [level.size for level in levels[:-1]]).astype(np.int32)
        self.solid = bool((self.texels < SHEER).all())
        self.sheer = bool(((self.texels >= SHEER) & (self.texels < _EMPTY)).any())

    @classmethod
    def from_image(cls, image: Image.Image, grain: Floats | None = None) -> Texture:
        """From an RGBA image whose alpha channel holds labels; `grain` (h, w) multiplies the colour."""
        pixels = np.asarray(image)
        rgb = pixels[..., :3].astype(np.float32)
        if grain is not None:
            rgb = np.clip(rgb * grain[..., None], 0, 255)
        return cls(rgb, pixels[..., 3])

    @classmethod
    def plain(cls, colour: Colour, label: Label) -> Texture:
        """One colour, slightly lit from the left."""
        rgb = np.clip(np.array(colour, np.float32) * np.array([1.15, 1.0, 0.8], np.float32)[None, :, None], 0, 255)
        return cls(rgb, np.full((1, 3), label, np.uint8))


def pack(rgb: npt.NDArray[np.generic], label: npt.NDArray[np.generic] | int) -> Words:
    """Words (...) of colours (..., 3) in 0..255 and label bytes (...)."""
    words = np.empty((*rgb.shape[:-1], 4), np.uint8)
    words[..., :3] = rgb
    words[..., 3] = label
    return words.view(np.uint32)[..., 0]


def blend(below: Words, above: Words, texture: Texture, where: npt.NDArray[np.bool_] | None = None) -> None:
    """Paint words of a texture on a view of the canvas, in place, each by its ink."""
    if texture.solid:
        np.copyto(below, above, where=True if where is None else where)
        return
    opaque = above < SHEER
    if texture.sheer:
        blend_sheer(below, above, where)
    if where is not None:
        opaque &= where
    np.copyto(below, above, where=opaque)


def blend_sheer(below: Words, above: Words, where: npt.NDArray[np.bool_] | None = None) -> None:
    """Paint the words that are neither solid nor nothing, in place."""
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


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, *, octaves: int = 1) -> Floats:
    """Smooth noise (h, w) of about unit variance; `cell` is the size of the coarsest blobs in pixels."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    weight = 1.0
    for _ in range(octaves):
        grid = (max(2, round(height / cell) + 1), max(2, round(width / cell) + 1))
        coarse = Image.fromarray(rng.standard_normal(grid, np.float32))
        total += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        weight, cell = weight * 0.55, max(1.0, cell / 2)
    return total


def vary(rng: np.random.Generator, colour: Colour, spread: float = 18.0, light: float = 1.0) -> Colour:
    """The colour with a random tint and brightness, times `light`."""
    tint = np.array(colour) * light + rng.normal(0, spread) + rng.normal(0, spread * 0.3, 3)
    r, g, b = (int(c) for c in np.clip(tint, 4, 250))
    return r, g, b


def scale(colour: Colour, factor: float) -> Colour:
    """The colour, brighter or darker."""
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
