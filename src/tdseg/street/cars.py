"""Cars, vans and buses as small meshes: a side profile drawn out across the width, then lights and wheels."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np

from tdseg.street.camera import NEAR, View
from tdseg.street.draws import Draws
from tdseg.street.plan import Light
from tdseg.street.raster import Canvas
from tdseg.street.texture import Colour, Floats, Ink, Label, Palette, Span, scale

Point: TypeAlias = tuple[float, float, float]  # metres ahead of the car's middle, to the right of it, up

PAINTS: Palette = (
    (30, 32, 36), (60, 64, 70), (120, 124, 130), (176, 180, 184), (222, 224, 224), (128, 24, 28), (26, 44, 96),
    (30, 70, 56), (150, 140, 116), (72, 104, 140),
)  # fmt: skip
LIVERIES: Palette = ((170, 30, 34), (40, 90, 150), (220, 218, 200))
# Odds, least and most half width, the roof's share of it, radius of the wheels, height of the window sills, and the
# side profile from the lower rear over the roof to the lower front: ahead of the middle, and up; its ends are bumpers.
MODELS: dict[str, tuple[float, Span, float, float, float, tuple[Span, ...]]] = {
    "hatchback": (0.4, (0.82, 0.9), 0.78, 0.31, 0.92, (
        (-1.9, 0.25), (-1.95, 0.55), (-1.88, 0.92), (-1.5, 1.42), (0.2, 1.45), (0.95, 0.95), (1.75, 0.78),
        (1.92, 0.55), (1.88, 0.22))),
    "saloon": (0.25, (0.82, 0.9), 0.78, 0.31, 0.92, (
        (-2.2, 0.28), (-2.25, 0.55), (-2.2, 0.95), (-1.5, 0.98), (-0.95, 1.4), (0.3, 1.42), (1.05, 0.95), (2.0, 0.8),
        (2.15, 0.55), (2.1, 0.22))),
    "estate": (0.2, (0.82, 0.9), 0.78, 0.31, 0.98, (
        (-2.2, 0.3), (-2.25, 0.6), (-2.18, 0.98), (-1.95, 1.5), (0.2, 1.56), (1.0, 1.0), (1.95, 0.88), (2.15, 0.6),
        (2.1, 0.25))),
    "van": (0.12, (0.95, 0.95), 0.96, 0.36, 1.15, (
        (-2.5, 0.32), (-2.52, 0.6), (-2.5, 1.15), (-2.45, 2.1), (0.9, 2.15), (1.7, 1.2), (2.3, 1.05), (2.45, 0.6),
        (2.4, 0.28))),
    "bus": (0.03, (1.25, 1.25), 0.96, 0.48, 1.35, (
        (-5.0, 0.35), (-5.0, 0.8), (-5.0, 1.35), (-4.9, 2.95), (4.8, 2.95), (5.0, 1.35), (5.0, 1.3), (5.0, 0.8),
        (5.0, 0.35))),
}  # fmt: skip
RIM = [(float(np.cos(turn)), float(np.sin(turn))) for turn in np.linspace(0, 2 * np.pi, 13)[:-1]]  # of a wheel


class Car:
    """The mesh of a car of random model and colour, in metres.

    Attributes:
        length: from bumper to bumper; `half_length` is half of it.
        half_width: to either side.
        reach: from the middle to either side, however the car stands.
        height: of the roof.
        nearest: depth up to which its nearer end is painted.
    """

    nearest = NEAR

    def __init__(self, rng: Draws, light: Light) -> None:
        model = rng.name(MODELS)
        _, widths, self._narrow, self._radius, self._belt, self._profile = MODELS[model]
        self.half_width = rng.uniform(*widths)
        self._paint = rng.tint(rng.pick(PAINTS), 10, light.day)
        if model == "bus" and rng.chance(0.6):
            self._paint = scale(rng.pick(LIVERIES), light.day)
        self._glass = rng.tint((38, 44, 50), 8, light.day)
        self._rear, self._front = self._profile[1][0], self._profile[-2][0]
        self.length, self.height = self._front - self._rear, max(y for _, y in self._profile)
        self.half_length = self.length / 2
        self.reach = self.half_width + self.half_length
        self._faces: list[tuple[list[Point], Span, Colour]] = []  # corners, normal (ahead, right; zero: none), colour
        self._add_shell()
        for side in (-1, 1):
            self._add_flank(side)
        self._add_ends(light.day, lit=rng.chance(0.4), yellow=rng.chance(0.5))
        faces, normals, colours = zip(*self._faces, strict=True)
        self._corners = np.array([point for face in faces for point in face], np.float32)
        self._normals = np.array(normals, np.float32)
        ends = np.cumsum([len(face) for face in faces]).tolist()
        self._starts = np.array([0, *ends[:-1]])
        fills = [(*colour, int(Label.CAR)) for colour in colours]
        self._polygons = list(zip(self._starts.tolist(), ends, fills, strict=True))
        extents = [np.ptp(np.array(face), axis=0) for face in faces]
        self._spans = np.array([min(tall, max(long, wide)) for long, wide, tall in extents], np.float32)
        self._shadow = self._cast(light)

    def paint(self, canvas: Canvas, view: View, depth: float, across: float, heading: int) -> None:
        """Paint the car, its middle at (depth, across); heading 1: it looks ahead, -1: towards the camera."""
        corners = np.concatenate([self._corners * np.array([heading, heading, 1], np.float32), self._shadow])
        ends = np.array([depth - self.half_length, depth + self.half_length], np.float32)
        rear, front = view.centre_line(ends).tolist()
        z = np.add(corners[:, 0], depth, dtype=np.float32)
        x = (across + (rear + front) / 2) + corners[:, 1] + corners[:, 0] * ((front - rear) / self.length)
        points = np.stack(view.project(x, corners[:, 2], z), 1)
        ahead, right = self._normals.T * heading
        faces_camera = ahead * z[self._starts] + right * x[self._starts] <= 0
        shown = np.flatnonzero(faces_camera & (self._spans * view.focal > 1.5 * depth))
        shadow = (len(self._corners), len(points), (0, 0, 0, int(Ink.SHADE) << 4))
        canvas.polygons(points, [shadow, *(self._polygons[i] for i in shown)])

    def _cast(self, light: Light) -> Floats:
        """Corners (4, 3) of the shadow on the road, which does not turn with the car."""
        reach = min(1.4 * light.sun_slope, 1.6) if light.sunny else 0.1
        left, right = (0.0 if light.sunny and light.sun_side == side else reach for side in (-1, 1))
        rear, front = -0.52 * self.length, 0.5 * self.length
        left, right = -self.half_width - left, self.half_width + right
        return np.array([(rear, left, 0), (rear, right, 0), (front, right, 0), (front, left, 0)], np.float32)

    def _half(self, y: float) -> float:
        """Half the width at a height; it shrinks above the window sills."""
        share = max(0.0, (y - self._belt) / (self.height - self._belt))
        return self.half_width * (1 - (1 - self._narrow) * share)

    def _add_band(self, low: Point, high: Point, normal: Span, colour: Colour) -> None:
        """Add a face across the car between two lines, given by their right ends."""
        (a0, w0, y0), (a1, w1, y1) = low, high
        self._faces.append(([(a0, -w0, y0), (a0, w0, y0), (a1, w1, y1), (a1, -w1, y1)], normal, colour))

    def _add_shell(self) -> None:
        """What lies across the car: bumpers, bonnet, windscreens, roof."""
        for (a0, y0), (a1, y1) in pairwise(self._profile):
            facing = 1.0 if y1 < y0 else -1.0  # the profile rises at the rear and falls at the front
            lie = abs(a1 - a0) / (abs(a1 - a0) + abs(y1 - y0))  # 1: a level face, which mirrors the sky
            normal = (0.0, 0.0) if abs(y1 - y0) < 0.1 else (facing, 0.0)
            w0, w1 = self._half(y0), self._half(y1)
            self._add_band((a0, w0, y0), (a1, w1, y1), normal, scale(self._paint, 0.72 + 0.5 * lie))
            if min(y0, y1) >= self._belt - 0.01 and abs(y1 - y0) > 0.2:
                f, g = 0.12, 0.9
                low = (a0 + (a1 - a0) * f, w0 * 0.93, y0 + (y1 - y0) * f)
                high = (a0 + (a1 - a0) * g, w1 * 0.93, y0 + (y1 - y0) * g)
                low, high = (high, low) if y0 > y1 else (low, high)
                middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2)
                self._add_band(low, middle, normal, self._glass)
                self._add_band(middle, high, normal, scale(self._glass, 1.7))

    def _add_flank(self, side: int) -> None:
        """Doors, side windows and wheels of one side."""
        profile, belt, paint, place = self._profile, self._belt, self._paint, side * self.half_width

        def add(points: list[Span], colour: Colour) -> None:
            self._faces.append(([(a, side * self._half(y), y) for a, y in points], normal, colour))

        normal = (0.0, float(side))
        self._faces.append(([(a, place, y) for a, y in profile if y <= belt + 0.08], normal, scale(paint, 0.85)))
        add([(self._rear, 0.3), (self._front, 0.3), (self._front, 0.5), (self._rear, 0.5)], scale(paint, 0.68))
        upper = [(a, y) for a, y in profile if y >= belt - 0.06]
        add(upper, scale(paint, 0.8))
        ahead = [a for a, _ in upper]
        middle, post = sum(ahead) / len(ahead), (max(ahead) + min(ahead)) / 2
        panes = [(middle + (a - middle) * 0.86, belt + 0.06 + (y - belt) * 0.8) for a, y in upper if y > belt - 0.06]
        add(panes, self._glass)
        rear, front, roof = post - 0.05, post + 0.05, self.height - 0.05
        add([(rear, belt), (front, belt), (front, roof), (rear, roof)], scale(paint, 0.7))
        for axle in (profile[0][0] * 0.62, profile[-1][0] * 0.68):
            for size, colour in ((1.15, scale(paint, 0.3)), (1.0, (26, 26, 28)), (0.6, (120, 122, 126))):
                r = size * self._radius
                rim = [(axle + r * c, place, max(self._radius + r * s, 0.0)) for c, s in RIM]
                self._faces.append((rim, normal, colour))

    def _add_ends(self, day: float, *, lit: bool, yellow: bool) -> None:
        """What is seen from behind and from ahead: shade, tyres, grille, lamps, plate."""
        half, belt = self.half_width, self._belt
        white: Colour = (222, 222, 220)
        tail = (236, 40, 34) if lit else scale((150, 24, 26), day)
        head = (255, 250, 226) if lit else scale((206, 210, 214), day)
        rear = (self._rear, -1.0, tail, (216, 186, 60) if yellow else white)
        for end, facing, lamp, plate in (rear, (self._front, 1.0, head, white)):
            boxes = [
                (-half * 0.95, half * 0.95, 0.07, 0.34, scale((24, 24, 26), day)),
                (-half + 0.04, -half + 0.24, 0.0, 0.3, (20, 20, 22)),
                (half - 0.24, half - 0.04, 0.0, 0.3, (20, 20, 22)),
                (-half * 0.5, half * 0.5, 0.42, 0.6, scale((34, 36, 38), day)),
                (-half * 0.97, -half * 0.62, belt * 0.66, belt * 0.92, lamp),
                (half * 0.62, half * 0.97, belt * 0.66, belt * 0.92, lamp),
                (-0.26, 0.26, 0.44, 0.56, scale(plate, day)),
            ]
            if facing < 0:
                del boxes[3]  # no grille
            a = end + facing * 0.02
            for left, right, low, high, colour in boxes:
                points = [(a, left, low), (a, right, low), (a, right, high), (a, left, high)]
                self._faces.append((points, (facing, 0.0), colour))
