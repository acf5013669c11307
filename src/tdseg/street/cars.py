"""Cars, vans and buses as small meshes: a side profile drawn out across the width, then lights and wheels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tdseg.street.plan import Light
from tdseg.street.raster import Canvas
from tdseg.street.texture import Colour, Floats, Ink, Label, scale, vary
from tdseg.street.view import View

PAINTS: tuple[Colour, ...] = (
    (30, 32, 36), (60, 64, 70), (120, 124, 130), (176, 180, 184), (222, 224, 224), (128, 24, 28), (26, 44, 96),
    (30, 70, 56), (150, 140, 116), (72, 104, 140),
)  # fmt: skip
# Side profiles from the lower rear over the roof to the lower front: metres ahead of the middle, and up.
# The first and last two points are bumpers; `belt` is the height of the window sills.
PROFILES: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {
    "hatchback": (0.92, ((-1.9, 0.25), (-1.95, 0.55), (-1.88, 0.92), (-1.5, 1.42), (0.2, 1.45), (0.95, 0.95),
                         (1.75, 0.78), (1.92, 0.55), (1.88, 0.22))),
    "saloon": (0.92, ((-2.2, 0.28), (-2.25, 0.55), (-2.2, 0.95), (-1.5, 0.98), (-0.95, 1.4), (0.3, 1.42), (1.05, 0.95),
                      (2.0, 0.8), (2.15, 0.55), (2.1, 0.22))),
    "estate": (0.98, ((-2.2, 0.3), (-2.25, 0.6), (-2.18, 0.98), (-1.95, 1.5), (0.2, 1.56), (1.0, 1.0), (1.95, 0.88),
                      (2.15, 0.6), (2.1, 0.25))),
    "van": (1.15, ((-2.5, 0.32), (-2.52, 0.6), (-2.5, 1.15), (-2.45, 2.1), (0.9, 2.15), (1.7, 1.2), (2.3, 1.05),
                   (2.45, 0.6), (2.4, 0.28))),
    "bus": (1.35, ((-5.0, 0.35), (-5.0, 0.8), (-5.0, 1.35), (-4.9, 2.95), (4.8, 2.95), (5.0, 1.35), (5.0, 1.3),
                   (5.0, 0.8), (5.0, 0.35))),
}  # fmt: skip


@dataclass(frozen=True)
class Car:
    """Faces of a mesh, (n, corners, 3) points as ahead, to the right, up; with normals and fills.

    Attributes:
        corners: all points of all faces, (points, 3).
        ends: index into `corners` after each face.
        normals: (faces, 2), ahead and right, of the faces; faces that look away are not drawn. Zero: always drawn.
        fills: red, green, blue and label byte of each face.
    """

    corners: Floats
    ends: tuple[int, ...]
    normals: Floats
    fills: tuple[tuple[int, int, int, int], ...]
    spans: Floats  # (faces,): the lesser of each face's height and breadth
    length: float
    width: float  # half
    height: float


class _Mesh:
    """Collects faces."""

    def __init__(self) -> None:
        self.points: list[list[tuple[float, float, float]]] = []
        self.normals: list[tuple[float, float]] = []
        self.fills: list[tuple[int, int, int, int]] = []

    def face(self, points: list[tuple[float, float, float]], normal: tuple[float, float], colour: Colour) -> None:
        self.points.append(points)
        self.normals.append(normal)
        self.fills.append((*colour, int(Label.CAR)))

    def done(self, length: float, width: float) -> Car:
        ends = tuple(np.cumsum([len(p) for p in self.points]).tolist())
        corners = np.array([point for face in self.points for point in face], np.float32)
        extents = [np.ptp(np.array(face), axis=0) for face in self.points]
        spans = np.array([min(e[2], max(e[0], e[1])) for e in extents], np.float32)
        normals, height = np.array(self.normals, np.float32), float(corners[:, 2].max())
        return Car(corners, ends, normals, tuple(self.fills), spans, length, width, height)


def build(rng: np.random.Generator, light: float, *, kind: str | None = None) -> Car:
    """A car of random kind and colour, in light of the given brightness."""
    kind = kind or str(rng.choice(list(PROFILES), p=[0.4, 0.25, 0.2, 0.12, 0.03]))
    belt, profile = PROFILES[kind]
    half = {"van": 0.95, "bus": 1.25}.get(kind, float(rng.uniform(0.82, 0.9)))
    paint = vary(rng, PAINTS[rng.integers(len(PAINTS))], 10, light)
    if kind == "bus" and rng.random() < 0.6:
        paint = scale(((170, 30, 34), (40, 90, 150), (220, 218, 200))[rng.integers(3)], light)
    glass = vary(rng, (38, 44, 50), 8, light)
    mesh = _Mesh()
    narrow = 0.96 if kind in ("van", "bus") else 0.78
    top = max(y for _, y in profile)

    def across(y: float) -> float:
        return half * (1 - (1 - narrow) * max(0.0, (y - belt) / (top - belt)))

    for (a0, y0), (a1, y1) in pairwise(profile):
        window = min(y0, y1) >= belt - 0.01 and abs(y1 - y0) > 0.2
        facing = 1.0 if y1 < y0 else -1.0  # the profile rises at the rear and falls at the front
        lie = abs(a1 - a0) / (abs(a1 - a0) + abs(y1 - y0))  # 1: a level face, which mirrors the sky
        colour = scale(paint, 0.72 + 0.5 * lie)
        w0, w1 = across(y0), across(y1)
        normal = (0.0, 0.0) if abs(y1 - y0) < 0.1 else (facing, 0.0)
        mesh.face([(a0, -w0, y0), (a0, w0, y0), (a1, w1, y1), (a1, -w1, y1)], normal, colour)
        if window:
            f, g = 0.12, 0.9
            low = (a0 + (a1 - a0) * f, y0 + (y1 - y0) * f, across(y0) * 0.93)
            high = (a0 + (a1 - a0) * g, y0 + (y1 - y0) * g, across(y1) * 0.93)
            _pane(mesh, low, high, normal, glass)
    for side in (-1, 1):
        _flank(mesh, profile, belt, side, half, across(top), paint, glass)
    rear, front = profile[1][0], profile[-2][0]
    _ends(mesh, rng, rear, front, half, light, belt)
    return mesh.done(front - rear, half)


def paint(canvas: Canvas, car: Car, place: tuple[float, float], heading: int, view: View, light: Light) -> None:
    """Paint a car whose middle is at (depth, across); heading 1: it looks ahead, -1: towards the camera."""
    depth, across = place
    corners = np.concatenate([car.corners * np.array([heading, heading, 1], np.float32), _shadow(car, light)])
    half = car.length / 2
    rear, front = view.centre_line(np.array([depth - half, depth + half], np.float32)).tolist()
    z = np.add(corners[:, 0], depth, dtype=np.float32)
    x = (across + (rear + front) / 2) + corners[:, 1] + corners[:, 0] * ((front - rear) / car.length)
    points = np.stack(view.project(x, corners[:, 2], z), 1)
    ahead, right = car.normals.T * heading
    first = np.array((0, *car.ends[:-1]))
    shown = (ahead * z[first] + right * x[first] <= 0) & (car.spans * view.focal > 1.5 * depth)
    faces = [(len(points) - 4, len(points), (0, 0, 0, int(Ink.SHADE) << 4))]
    faces += [(int(first[i]), car.ends[i], car.fills[i]) for i in np.flatnonzero(shown)]
    canvas.polygons(points, faces)


def _shadow(car: Car, light: Light) -> Floats:
    reach = min(1.4 * light.sun_slope, 1.6) if light.sunny else 0.1
    left, right = (0.0 if light.sunny and light.sun_side == side else reach for side in (-1, 1))
    rear, front, left, right = -0.52 * car.length, 0.5 * car.length, -car.width - left, car.width + right
    return np.array([(rear, left, 0), (rear, right, 0), (front, right, 0), (front, left, 0)], np.float32)


def _pane(
    mesh: _Mesh,
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    normal: tuple[float, float],
    glass: Colour,
) -> None:
    (a0, y0, w0), (a1, y1, w1) = low, high
    if y0 > y1:
        (a0, y0, w0), (a1, y1, w1) = high, low
    am, ym, wm = (a0 + a1) / 2, (y0 + y1) / 2, (w0 + w1) / 2
    mesh.face([(a0, -w0, y0), (a0, w0, y0), (am, wm, ym), (am, -wm, ym)], normal, glass)
    mesh.face([(am, -wm, ym), (am, wm, ym), (a1, w1, y1), (a1, -w1, y1)], normal, scale(glass, 1.7))


def _flank(
    mesh: _Mesh,
    profile: tuple[tuple[float, float], ...],
    belt: float,
    side: int,
    half: float,
    roof: float,
    paint: Colour,
    glass: Colour,
) -> None:
    normal = (0.0, float(side))
    lower = [(a, side * half, y) for a, y in profile if y <= belt + 0.08]
    upper = [(a, y) for a, y in profile if y >= belt - 0.06]
    mesh.face(lower, normal, scale(paint, 0.85))
    rear, front = profile[1][0], profile[-2][0]
    band = [(a, side * half, y) for a, y in ((rear, 0.3), (front, 0.3), (front, 0.5), (rear, 0.5))]
    mesh.face(band, normal, scale(paint, 0.68))
    top = max(y for _, y in profile)

    def place(a: float, y: float) -> tuple[float, float, float]:
        return a, side * (half + (roof - half) * max(0.0, (y - belt) / (top - belt))), y

    mesh.face([place(a, y) for a, y in upper], normal, scale(paint, 0.8))
    rear, front = min(a for a, _ in upper), max(a for a, _ in upper)
    middle = sum(a for a, _ in upper) / len(upper)
    panes = [place(middle + (a - middle) * 0.86, belt + 0.06 + (y - belt) * 0.8) for a, y in upper if y > belt - 0.06]
    mesh.face(panes, normal, glass)
    post = (front + rear) / 2
    bounds = [(post - 0.05, belt), (post + 0.05, belt), (post + 0.05, top - 0.05), (post - 0.05, top - 0.05)]
    mesh.face([place(a, y) for a, y in bounds], normal, scale(paint, 0.7))
    radius = 0.31 if top < 1.8 else 0.36 if top < 2.5 else 0.48
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    for axle in (profile[0][0] * 0.62, profile[-1][0] * 0.68):
        for size, colour in ((1.15, scale(paint, 0.3)), (1.0, (26, 26, 28)), (0.6, (120, 122, 126))):
            wheel = [
                (axle + size * radius * float(np.cos(t)), side * half, radius + size * radius * float(np.sin(t)))
                for t in turn
            ]
            mesh.face([(a, b, max(y, 0.0)) for a, b, y in wheel], normal, colour)


def _ends(
    mesh: _Mesh, rng: np.random.Generator, rear: float, front: float, half: float, light: float, belt: float
) -> None:
    lit = bool(rng.random() < 0.4)
    yellow = bool(rng.random() < 0.5)
    for end, facing in ((rear, -1.0), (front, 1.0)):
        normal = (facing, 0.0)
        a = end + facing * 0.02

        def box(
            left: float,
            right: float,
            low: float,
            high: float,
            colour: Colour,
            a: float = a,
            normal: tuple[float, float] = normal,
        ) -> None:
            mesh.face([(a, left, low), (a, right, low), (a, right, high), (a, left, high)], normal, colour)

        box(-half * 0.95, half * 0.95, 0.07, 0.34, scale((24, 24, 26), light))
        box(-half + 0.04, -half + 0.24, 0.0, 0.3, (20, 20, 22))
        box(half - 0.24, half - 0.04, 0.0, 0.3, (20, 20, 22))
        if facing < 0:
            lamp: Colour = (236, 40, 34) if lit else scale((150, 24, 26), light)
            plate = scale((216, 186, 60) if yellow else (222, 222, 220), light)
        else:
            lamp = (255, 250, 226) if lit else scale((206, 210, 214), light)
            plate = scale((222, 222, 220), light)
            box(-half * 0.5, half * 0.5, 0.42, 0.6, scale((34, 36, 38), light))
        for side in (-1, 1):
            inner, outer = side * half * 0.62, side * half * 0.97
            box(min(inner, outer), max(inner, outer), belt * 0.66, belt * 0.92, lamp)
        box(-0.26, 0.26, 0.44, 0.56, plate)
