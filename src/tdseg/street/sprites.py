"""Upright cut-outs: trees, signs, traffic lights, pedestrians and cyclists."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.texture import NOTHING, Colour, Label, Texture, noise, scale, vary

TALL = 1.9  # metres, of the pictures of people
PHASES = 12  # pictures of one walking or pedalling cycle
CLOTHES: tuple[Colour, ...] = (
    (34, 36, 44), (50, 54, 70), (70, 62, 56), (30, 30, 30), (120, 40, 40), (46, 76, 110), (150, 146, 140), (64, 80, 60),
)  # fmt: skip
HATS: tuple[Colour, ...] = ((40, 32, 28), (90, 66, 44), (150, 140, 130), (24, 22, 22), (130, 36, 34))
FRAMES: tuple[Colour, ...] = ((30, 30, 34), (150, 30, 30), (40, 60, 120), (170, 170, 170))
TYRE: Colour = (30, 30, 32)
LEAVES: tuple[Colour, ...] = ((74, 86, 50), (92, 98, 64), (60, 72, 48), (118, 96, 60), (104, 106, 78))
SKINS: tuple[Colour, ...] = ((206, 164, 140), (170, 124, 98), (110, 76, 58), (220, 184, 164))

Figure: TypeAlias = Callable[[int], Texture]  # the picture of each phase of a person's movement


def tree(rng: np.random.Generator, light: float, *, bare: bool) -> Texture:
    """A square picture of a tree, its foot at the middle of the lower edge."""
    size = 256
    trunk = vary(rng, (70, 60, 52), 10, light)
    wood = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(wood)
    tips: list[tuple[float, float]] = []
    _branch(draw, rng, (size / 2, size - 1.0), -math.pi / 2, size * 0.22, rng.uniform(6, 11), tips)
    branches = np.asarray(wood).astype(np.float32) / 255
    crown = _crown(rng, size, tips, 20 if bare else 30)
    twigs = noise(rng, (size, size), 8, octaves=3)
    if bare:
        opacity = np.maximum(branches, np.where(twigs > 0.55, 0.5, 0.05) * crown)
        rgb = np.array(trunk, np.float32) * (1.0 + 0.2 * twigs)[..., None]
        label = np.where((crown > 0.2) | (branches > 0), Label.TREE, NOTHING)
    else:
        leaf = vary(rng, LEAVES[rng.integers(len(LEAVES))], 9, light)
        clumps = noise(rng, (size, size), 40, octaves=2)
        lit = 1 + 0.22 * clumps + 0.24 * twigs - 0.002 * (np.arange(size)[:, None] - 110)
        dense = np.clip(crown * 1.25 - 0.22 * np.abs(twigs) * (crown < 0.9) - 0.5 * (twigs < -1.5), 0, 1)
        shown = np.maximum(branches * 0.5, dense)
        rgb = np.where((dense > 0.2)[..., None], np.array(leaf) * np.clip(lit, 0.25, 1.9)[..., None], np.array(trunk))
        opacity = np.maximum(branches, shown)
        label = np.where((opacity > 0.2), Label.TREE, NOTHING)
    return Texture(np.clip(rgb, 0, 255), label.astype(np.uint8), opacity.astype(np.float32))


def sign(rng: np.random.Generator, light: float) -> tuple[Texture, float, float]:
    """A sign plate with its width and height in metres."""
    kind = rng.integers(5)
    size = (64, 64)
    image = Image.new("RGBA", size, (0, 0, 0, NOTHING))
    draw = ImageDraw.Draw(image)
    red, white, blue = (scale(c, light) for c in ((186, 30, 36), (232, 232, 230), (30, 70, 160)))
    if kind == 0:
        draw.ellipse((0, 0, 63, 63), fill=_of(Label.SIGN, red))
        draw.ellipse((9, 9, 54, 54), fill=_of(Label.SIGN, white))
        draw.rectangle((22, 22, 30, 42), fill=_of(Label.SIGN, (30, 30, 30)))
        draw.rectangle((35, 22, 43, 42), fill=_of(Label.SIGN, (30, 30, 30)))
        return Texture.from_image(image), 0.75, 0.75
    if kind == 1:
        draw.polygon([(32, 0), (63, 60), (0, 60)], fill=_of(Label.SIGN, red))
        draw.polygon([(32, 16), (51, 53), (13, 53)], fill=_of(Label.SIGN, white))
        return Texture.from_image(image), 0.85, 0.8
    if kind == 2:
        draw.ellipse((0, 0, 63, 63), fill=_of(Label.SIGN, blue))
        draw.polygon([(20, 40), (32, 14), (44, 40)], fill=_of(Label.SIGN, white))
        return Texture.from_image(image), 0.7, 0.7
    ground = ((24, 90, 60), (30, 70, 160), (230, 230, 226), (220, 180, 40))[rng.integers(4)]
    draw.rectangle((0, 0, 63, 63), fill=_of(Label.SIGN, scale(ground, light)))
    ink = scale((30, 30, 30) if sum(ground) > 400 else (240, 240, 236), light)
    for row in range(8, 56, 16):
        draw.rectangle((6, row, int(rng.integers(24, 58)), row + 6), fill=_of(Label.SIGN, ink))
    return Texture.from_image(image), float(rng.uniform(0.6, 1.8)), float(rng.uniform(0.5, 1.2))


def traffic_light(light: float, state: int) -> Texture:
    """A signal head of 0.4 m by 1.1 m; state 0 red, 1 amber, 2 green."""
    image = Image.new("RGBA", (32, 88), _of(Label.SIGN, scale((30, 32, 34), light)))
    draw = ImageDraw.Draw(image)
    for lamp, colour in enumerate(((255, 50, 40), (255, 180, 40), (60, 255, 150))):
        shown = colour if lamp == state else scale(colour, 0.16)
        draw.ellipse((7, 6 + lamp * 27, 25, 24 + lamp * 27), fill=_of(Label.SIGN, shown))
    return Texture.from_image(image)


@dataclass(frozen=True)
class Outfit:
    """How a person looks; bodies are lit from the left."""

    coat: Colour
    legs: Colour
    skin: Colour
    hat: Colour
    frame: Colour  # of the bicycle
    tall: float
    stout: float
    bag: bool


def pedestrian(rng: np.random.Generator, light: float, *, sideways: bool) -> Figure:
    """A walker, 1.2 m wide and `TALL`; sideways: walking to the right, else ahead."""
    outfit = _outfit(rng, light)

    def draw(phase: int) -> Texture:
        pen = _Pen(1.2, Label.PEDESTRIAN, outfit.tall)
        swing = math.sin(2 * math.pi * phase / PHASES)
        _legs(pen, swing, outfit.legs, outfit.stout, sideways=sideways)
        _torso(pen, swing, outfit, sideways=sideways)
        pen.disc(0.03 if sideways else 0, 1.64, 0.115, outfit.skin)
        pen.disc(-0.01, 1.68, 0.115, outfit.hat)
        if sideways:
            pen.disc(0.06, 1.62, 0.075, outfit.skin)
        if outfit.bag:
            pen.box(0.2 * outfit.stout, 0.75, 0.38 * outfit.stout, 1.1, scale(outfit.coat, 0.5))
        return pen.texture()

    return cache(draw)


def cyclist(rng: np.random.Generator, light: float, *, sideways: bool) -> Figure:
    """A rider, 1.9 m wide and `TALL`; sideways: riding to the right, else ahead."""
    outfit = _outfit(rng, light)
    if rng.random() < 0.3:
        outfit = replace(outfit, coat=scale((226, 220, 60), light))

    def draw(phase: int) -> Texture:
        pen = _Pen(1.9, Label.BICYCLIST, 1.0)
        (_ride_sideways if sideways else _ride_ahead)(pen, 2 * math.pi * phase / PHASES, outfit)
        return pen.texture()

    return cache(draw)


def _outfit(rng: np.random.Generator, light: float) -> Outfit:
    coat, legs = (vary(rng, CLOTHES[rng.integers(len(CLOTHES))], 12, light) for _ in range(2))
    return Outfit(
        coat=coat,
        legs=legs,
        skin=vary(rng, SKINS[rng.integers(len(SKINS))], 8, light),
        hat=vary(rng, HATS[rng.integers(len(HATS))], 8, light),
        frame=vary(rng, FRAMES[rng.integers(len(FRAMES))], 8, light),
        tall=float(rng.uniform(0.86, 1.04)),
        stout=float(rng.uniform(0.85, 1.2)),
        bag=bool(rng.random() < 0.35),
    )


class _Pen:
    """Draws in metres, x from the middle, y from the ground, at 72 texels per metre."""

    def __init__(self, width: float, label: Label, tall: float) -> None:
        self._scale, self._label, self._tall = 72.0, label, tall
        self._size = (round(width * self._scale), round(TALL * self._scale))
        self._image = Image.new("RGBA", self._size, (0, 0, 0, NOTHING))
        self._draw = ImageDraw.Draw(self._image)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return self._size[0] / 2 + x * self._scale, self._size[1] - 1 - y * self._tall * self._scale

    def limb(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        """A bent limb with round joints."""
        places = [self._at(*p) for p in points]
        self._draw.line(places, fill=_of(self._label, colour), width=max(2, round(width * self._scale)))
        for point in points:
            self.disc(*point, width / 2, colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        (u, v), r = self._at(x, y), radius * self._scale
        self._draw.ellipse((u - r, v - r, u + r, v + r), fill=_of(self._label, colour))

    def ring(self, x: float, y: float, radius: float, colour: Colour) -> None:
        (u, v), r = self._at(x, y), radius * self._scale
        self._draw.ellipse((u - r, v - r, u + r, v + r), outline=_of(self._label, colour), width=4)

    def box(self, left: float, low: float, right: float, high: float, colour: Colour) -> None:
        (u0, v0), (u1, v1) = self._at(left, high), self._at(right, low)
        self._draw.rounded_rectangle((u0, v0, u1, v1), 5, fill=_of(self._label, colour))

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon([self._at(*p) for p in points], fill=_of(self._label, colour))

    def texture(self) -> Texture:
        width, height = self._size
        lit = np.linspace(1.25, 0.75, width, dtype=np.float32) * np.ones((height, 1), np.float32)
        return Texture.from_image(self._image, lit)


def _of(label: Label, colour: Colour) -> tuple[int, int, int, int]:
    return (*colour, int(label))


def _legs(pen: _Pen, swing: float, colour: Colour, stout: float, *, sideways: bool) -> None:
    for leg, dark in ((-1, 0.7), (1, 1.0)):
        if sideways:
            foot = leg * swing * 0.34
            lift = max(0.0, -leg * swing) * 0.06
            knee = (foot * 0.45 + 0.05, 0.46)
            points = [(0.0, 0.88), knee, (foot, 0.07 + lift)]
            toe = (foot + 0.13, 0.04 + lift)
        else:
            lift = max(0.0, leg * swing) * 0.14
            points = [(leg * 0.08, 0.88), (leg * 0.1, 0.47 + lift * 0.5), (leg * 0.09, 0.07 + lift)]
            toe = (leg * 0.11, 0.04 + lift)
        pen.limb(points, 0.15 * stout, scale(colour, dark))
        pen.limb([points[-1], toe], 0.09, (28, 26, 26))


def _torso(pen: _Pen, swing: float, outfit: Outfit, *, sideways: bool) -> None:
    half = (0.13 if sideways else 0.2) * outfit.stout
    sleeve = [scale(outfit.coat, dark) for dark in (0.75, 0.9)]
    _arm(pen, -1, swing, sleeve[0], outfit.skin, half, sideways=sideways)
    if not sideways:
        _arm(pen, 1, swing, sleeve[1], outfit.skin, half, sideways=False)
    pen.shape([(-half, 1.46), (half, 1.46), (half * 0.95, 0.8), (-half * 0.95, 0.8)], outfit.coat)
    pen.disc(0, 1.42, half * 0.95, outfit.coat)
    pen.box(-0.05, 1.44, 0.05, 1.56, outfit.skin)
    if sideways:
        _arm(pen, 1, swing, sleeve[1], outfit.skin, half, sideways=True)


def _arm(pen: _Pen, arm: int, swing: float, colour: Colour, skin: Colour, half: float, *, sideways: bool) -> None:
    if sideways:
        hand = (-arm * swing * 0.28 + 0.05, 0.9)
        points = [(0.0, 1.4), (hand[0] * 0.4 - 0.04, 1.15), hand]
    else:
        hand = (arm * (half + 0.06), 0.86 + 0.06 * arm * swing)
        points = [(arm * half, 1.4), (arm * (half + 0.06), 1.12), hand]
    pen.limb(points, 0.1, colour)
    pen.disc(*hand, 0.05, skin)


def _ride_ahead(pen: _Pen, turn: float, outfit: Outfit) -> None:
    pen.box(-0.035, 0.0, 0.035, 0.68, TYRE)
    pen.limb([(-0.28, 1.05), (0.28, 1.05)], 0.05, outfit.frame)
    for leg in (-1, 1):
        down = 0.34 + 0.16 * math.sin(turn + (math.pi if leg > 0 else 0))
        pen.limb([(leg * 0.1, 0.95), (leg * 0.15, 0.32 + down * 0.75), (leg * 0.11, down)], 0.14, outfit.legs)
        pen.limb([(leg * 0.11, down), (leg * 0.12, down - 0.06)], 0.09, (28, 26, 26))
        pen.limb([(leg * 0.2, 1.45), (leg * 0.3, 1.25), (leg * 0.26, 1.08)], 0.1, scale(outfit.coat, 0.85))
    pen.box(-0.08, 0.62, 0.08, 0.7, (170, 40, 40))
    pen.shape([(-0.22, 1.5), (0.22, 1.5), (0.17, 0.92), (-0.17, 0.92)], outfit.coat)
    pen.disc(0, 1.46, 0.19, outfit.coat)
    pen.disc(0, 1.68, 0.11, outfit.skin)
    pen.disc(0, 1.72, 0.12, outfit.hat)


def _ride_sideways(pen: _Pen, turn: float, outfit: Outfit) -> None:
    for x in (-0.52, 0.52):
        pen.ring(x, 0.34, 0.33, TYRE)
    pen.limb([(-0.52, 0.34), (-0.18, 0.85), (0.4, 0.85), (0.52, 0.34)], 0.045, outfit.frame)
    pen.limb([(-0.18, 0.85), (-0.05, 0.32), (0.4, 0.85), (0.36, 1.02), (0.48, 1.04)], 0.045, outfit.frame)
    pen.limb([(-0.52, 0.34), (-0.05, 0.32)], 0.045, outfit.frame)
    for leg, dark in ((1, 0.7), (0, 1.0)):
        angle = turn + leg * math.pi
        foot = (-0.05 + 0.17 * math.cos(angle), 0.32 - 0.17 * math.sin(angle))
        knee = (0.2 + 0.05 * math.cos(angle), 0.74 - 0.1 * math.sin(angle))
        pen.limb([(-0.18, 0.95), knee, foot], 0.13, scale(outfit.legs, dark))
        pen.limb([foot, (foot[0] + 0.12, foot[1] - 0.02)], 0.07, (28, 26, 26))
    pen.limb([(-0.16, 0.98), (0.1, 1.42)], 0.3, outfit.coat)
    pen.limb([(0.12, 1.42), (0.28, 1.16), (0.46, 1.08)], 0.1, scale(outfit.coat, 0.85))
    pen.disc(0.2, 1.64, 0.115, outfit.skin)
    pen.disc(0.18, 1.69, 0.12, outfit.hat)


def _branch(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    foot: tuple[float, float],
    angle: float,
    length: float,
    width: float,
    tips: list[tuple[float, float]],
) -> None:
    tip = (foot[0] + length * math.cos(angle), foot[1] + length * math.sin(angle))
    draw.line([foot, tip], fill=255, width=max(1, round(width)))
    tips.append(tip)
    if length < 9:
        return
    for _ in range(3 if length > 24 else 2):
        turn = float(rng.normal(0, 0.5))
        _branch(draw, rng, tip, angle + turn, length * float(rng.uniform(0.62, 0.82)), width * 0.62, tips)


def _crown(
    rng: np.random.Generator, size: int, tips: list[tuple[float, float]], radius: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """How much of the crown lies around each texel, 0..1: discs around the branches' tips, ragged by noise."""
    image = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(image)
    for x, y in tips:
        if y < size * 0.78:
            r = radius * float(rng.uniform(0.5, 1.0))
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    small = image.resize((size // 8, size // 8), Image.Resampling.BOX).resize((size, size), Image.Resampling.BICUBIC)
    soft = np.asarray(small).astype(np.float32) / 255 + 0.12 * noise(rng, (size, size), 16, octaves=3)
    margin = np.minimum(np.arange(size), np.arange(size)[::-1]) / 40  # crowns end before the picture does
    soft *= np.minimum(1, margin)[None] * np.minimum(1, np.arange(size) / 20)[:, None]
    return np.asarray(np.clip((soft - 0.4) * 4, 0, 1), np.float32)
