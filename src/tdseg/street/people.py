"""Pedestrians and cyclists, as upright cut-outs in the phases of their movement."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.camera import View
from tdseg.street.draws import Draws
from tdseg.street.raster import Canvas
from tdseg.street.texture import Colour, Label, Palette, Span, Texture, scale

TALL = 1.9  # metres, of the pictures
TEXELS = 72.0  # to the metre
PHASES = 12  # pictures of one walking or pedalling cycle
CLOTHES: Palette = (
    (34, 36, 44), (50, 54, 70), (70, 62, 56), (30, 30, 30), (120, 40, 40), (46, 76, 110), (150, 146, 140), (64, 80, 60),
)  # fmt: skip
HATS: Palette = ((40, 32, 28), (90, 66, 44), (150, 140, 130), (24, 22, 22), (130, 36, 34))
FRAMES: Palette = ((30, 30, 34), (150, 30, 30), (40, 60, 120), (170, 170, 170))
SKINS: Palette = ((206, 164, 140), (170, 124, 98), (110, 76, 58), (220, 184, 164))
TYRE: Colour = (30, 30, 32)
SHOE: Colour = (28, 26, 26)


class _Pen(ImageDraw.ImageDraw):
    """Draws in metres, x from the middle, y from the ground."""

    def __init__(self, image: Image.Image, tall: float) -> None:
        super().__init__(image)
        self._middle, self._foot, self._tall = image.width / 2, image.height - 1, tall

    def _at(self, x: float, y: float) -> Span:
        return self._middle + x * TEXELS, self._foot - y * self._tall * TEXELS

    def bounds(self, x: float, y: float, radius: float) -> tuple[float, float, float, float]:
        (u, v), r = self._at(x, y), radius * TEXELS
        return u - r, v - r, u + r, v + r

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self.ellipse(self.bounds(x, y, radius), colour)

    def box(self, left: float, low: float, right: float, high: float, colour: Colour) -> None:
        self.rounded_rectangle((*self._at(left, high), *self._at(right, low)), 5, colour)

    def trunk(self, top: float, foot: float, half: float, hip: float, colour: Colour) -> None:
        """A body that narrows from the shoulders to the hips."""
        corners = ((-half, top), (half, top), (hip, foot), (-hip, foot))
        self.polygon([self._at(*corner) for corner in corners], colour)

    def limb(self, points: list[Span], width: float, colour: Colour) -> None:
        """A bent limb with round joints."""
        self.line([self._at(*point) for point in points], colour, max(2, round(width * TEXELS)))
        for point in points:
            self.disc(*point, width / 2, colour)

    def leg(self, points: list[Span], toe: Span, width: float, colour: Colour, shoe: float = 0.09) -> None:
        """A leg from the hip to the heel, and its shoe."""
        self.limb(points, width, colour)
        self.limb([points[-1], toe], shoe, SHOE)


class Person:
    """A walker, or one who rides; moves to the right (`sideways`) or ahead, and is lit from the left.

    Attributes:
        reach: half the width of the pictures, metres.
        nearest: depth up to which the person is painted, metres.
    """

    half_length, height, nearest = 0.0, TALL, 1.5

    def __init__(self, rng: Draws, light: float, *, rides: bool, sideways: bool) -> None:
        self._coat, self._legs = (rng.tint(rng.pick(CLOTHES), 12, light) for _ in range(2))
        self._skin, self._hat, self._frame = (rng.tint(rng.pick(dyes), 8, light) for dyes in (SKINS, HATS, FRAMES))
        self._tall, self._stout, self._bag = rng.uniform(0.86, 1.04), rng.uniform(0.85, 1.2), rng.chance(0.35)
        if rides:
            self._label, self.reach, self._stride, self._tall = Label.BICYCLIST, 0.95, 5.0, 1.0
            self._pose = self._ride_sideways if sideways else self._ride_ahead
            if rng.chance(0.3):
                self._coat = scale((226, 220, 60), light)
        else:
            self._label, self.reach, self._stride = Label.PEDESTRIAN, 0.6, 1.4
            self._pose = self._walk_sideways if sideways else self._walk_ahead
        self._pictures: dict[int, Texture] = {}

    def paint(self, canvas: Canvas, view: View, depth: float, x: float, heading: int, moved: float) -> None:
        """Paint the person, having moved so many metres; heading -1: mirrored."""
        phase = int(moved / self._stride * PHASES) % PHASES
        if phase not in self._pictures:
            self._pictures[phase] = self._picture(2 * math.pi * phase / PHASES)
        half = self.reach * heading
        canvas.quad(self._pictures[phase], (x - half, x + half), (depth, depth), (0.0, TALL), view)

    def _picture(self, turn: float) -> Texture:
        image = Image.new("RGBA", (round(2 * self.reach * TEXELS), round(TALL * TEXELS)))
        self._pose(_Pen(image, self._tall), turn)
        return Texture.drawn(image, self._label, np.linspace(1.25, 0.75, image.width, dtype=np.float32)[None])

    def _walk_ahead(self, pen: _Pen, turn: float) -> None:
        swing, half = math.sin(turn), 0.2 * self._stout
        for side, dark in ((-1, 0.7), (1, 1.0)):
            lift = max(0.0, side * swing) * 0.14
            points = [(side * 0.08, 0.88), (side * 0.1, 0.47 + lift * 0.5), (side * 0.09, 0.07 + lift)]
            pen.leg(points, (side * 0.11, 0.04 + lift), 0.15 * self._stout, scale(self._legs, dark))
        for side, dark in ((-1, 0.75), (1, 0.9)):
            elbow = side * (half + 0.06)
            self._arm(pen, [(side * half, 1.4), (elbow, 1.12), (elbow, 0.86 + 0.06 * side * swing)], dark)
        self._body(pen, half)
        self._head(pen, 0.0)

    def _walk_sideways(self, pen: _Pen, turn: float) -> None:
        swing = math.sin(turn)
        for side, dark in ((-1, 0.7), (1, 1.0)):
            foot, lift = side * swing * 0.34, max(0.0, -side * swing) * 0.06
            points = [(0.0, 0.88), (foot * 0.45 + 0.05, 0.46), (foot, 0.07 + lift)]
            pen.leg(points, (foot + 0.13, 0.04 + lift), 0.15 * self._stout, scale(self._legs, dark))
        for side, dark in ((-1, 0.75), (1, 0.9)):  # one arm behind the body, one before it
            hand = -side * swing * 0.28 + 0.05
            self._arm(pen, [(0.0, 1.4), (hand * 0.4 - 0.04, 1.15), (hand, 0.9)], dark)
            if side < 0:
                self._body(pen, 0.13 * self._stout)
        self._head(pen, 0.03, face=True)

    def _arm(self, pen: _Pen, points: list[Span], dark: float) -> None:
        pen.limb(points, 0.1, scale(self._coat, dark))
        pen.disc(*points[-1], 0.05, self._skin)

    def _body(self, pen: _Pen, half: float) -> None:
        pen.trunk(1.46, 0.8, half, half * 0.95, self._coat)
        pen.disc(0, 1.42, half * 0.95, self._coat)
        pen.box(-0.05, 1.44, 0.05, 1.56, self._skin)

    def _head(self, pen: _Pen, x: float, *, face: bool = False) -> None:
        """A walker's head, and the bag."""
        pen.disc(x, 1.64, 0.115, self._skin)
        pen.disc(-0.01, 1.68, 0.115, self._hat)
        if face:
            pen.disc(0.06, 1.62, 0.075, self._skin)
        if self._bag:
            pen.box(0.2 * self._stout, 0.75, 0.38 * self._stout, 1.1, scale(self._coat, 0.5))

    def _ride_ahead(self, pen: _Pen, turn: float) -> None:
        pen.box(-0.035, 0.0, 0.035, 0.68, TYRE)
        pen.limb([(-0.28, 1.05), (0.28, 1.05)], 0.05, self._frame)
        for side in (-1, 1):
            foot = 0.34 + 0.16 * math.sin(turn + (math.pi if side > 0 else 0))
            points = [(side * 0.1, 0.95), (side * 0.15, 0.32 + foot * 0.75), (side * 0.11, foot)]
            pen.leg(points, (side * 0.12, foot - 0.06), 0.14, self._legs)
            pen.limb([(side * 0.2, 1.45), (side * 0.3, 1.25), (side * 0.26, 1.08)], 0.1, scale(self._coat, 0.85))
        pen.box(-0.08, 0.62, 0.08, 0.7, (170, 40, 40))
        pen.trunk(1.5, 0.92, 0.22, 0.17, self._coat)
        pen.disc(0, 1.46, 0.19, self._coat)
        pen.disc(0, 1.68, 0.11, self._skin)
        pen.disc(0, 1.72, 0.12, self._hat)

    def _ride_sideways(self, pen: _Pen, turn: float) -> None:
        for x in (-0.52, 0.52):
            pen.ellipse(pen.bounds(x, 0.34, 0.33), outline=TYRE, width=4)
        pen.limb([(-0.52, 0.34), (-0.18, 0.85), (0.4, 0.85), (0.52, 0.34)], 0.045, self._frame)
        pen.limb([(-0.18, 0.85), (-0.05, 0.32), (0.4, 0.85), (0.36, 1.02), (0.48, 1.04)], 0.045, self._frame)
        pen.limb([(-0.52, 0.34), (-0.05, 0.32)], 0.045, self._frame)
        for angle, dark in ((turn + math.pi, 0.7), (turn, 1.0)):
            foot = (-0.05 + 0.17 * math.cos(angle), 0.32 - 0.17 * math.sin(angle))
            knee = (0.2 + 0.05 * math.cos(angle), 0.74 - 0.1 * math.sin(angle))
            toe = (foot[0] + 0.12, foot[1] - 0.02)
            pen.leg([(-0.18, 0.95), knee, foot], toe, 0.13, scale(self._legs, dark), shoe=0.07)
        pen.limb([(-0.16, 0.98), (0.1, 1.42)], 0.3, self._coat)
        pen.limb([(0.12, 1.42), (0.28, 1.16), (0.46, 1.08)], 0.1, scale(self._coat, 0.85))
        pen.disc(0.2, 1.64, 0.115, self._skin)
        pen.disc(0.18, 1.69, 0.12, self._hat)
