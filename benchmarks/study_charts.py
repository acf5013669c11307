"""The pictures of docs/results.md, as SVG: points whose names do not overlap, and how a figure grows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tdseg.masks.draw import BACKGROUND
from tdseg.report.markup import Html, Series, rgb, tag
from tdseg.report.plots import nice_ticks, number

TEXT, QUIET, GRID = "#dee0e4", "#8a8f9a", "#30343d"
SIZE = 13
_WIDE = 0.55
"""Width of a letter, mean, as a share of its height."""
_RADII = range(10, 200, 6)
_ANGLES = [math.radians(degrees) for degrees in (0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90)]


class Point(NamedTuple):
    """A row of the study."""

    name: str
    x: float
    y: float
    ink: Series
    spread: tuple[float, float] = (0.0, 0.0)
    """Standard deviation of x and y over seeds."""


class Box(NamedTuple):
    """Where a text stands, pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


class PlotArea(NamedTuple):
    """A plot's place in a picture, and the values at its edges."""

    box: Box
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Values -> pixels."""
        across, down = (x - self.x[0]) / (self.x[1] - self.x[0]), (self.y[1] - y) / (self.y[1] - self.y[0])
        left, top, right, bottom = self.box
        return left + across * (right - left), top + down * (bottom - top)


def scatter(
    points: Sequence[Point], units: tuple[str, str], aim: tuple[float, float], least: float, size: tuple[int, int]
) -> str:
    """Points with their names, as a whole picture.

    Args:
        points: what is shown.
        units: what x and y are.
        aim: the least x and y that were aimed at, shown as a corner.
        least: points with less x stand at the left edge, and say their x.
        size: (width, height), pixels.
    """
    width, height = size
    box = Box(58, 46, width - 18, height - 50)
    shown = [point if point.x >= least else _beyond(point, least) for point in points]
    ranges = [_range(values) for values in zip(aim, *((point.x, point.y) for point in shown), strict=True)]
    area = PlotArea(box, *ranges)
    left, bottom = area.at(*aim)
    corner = tag("rect", x=_n(left), y=_n(box.top), width=_n(box.right - left), height=_n(bottom - box.top), rx=4)
    shapes = [*_axes(area, units), tag("g", corner, fill="#5cbe8c", fill_opacity=0.12)]
    shapes.append(_text("the aim", left + 8, bottom - 10, fill="#5cbe8c"))
    at = [area.at(point.x, point.y) for point in shown]
    for point, (px, py), name in zip(shown, at, places([p.name for p in shown], at, box), strict=True):
        shapes += _spread(area, point)
        near = min(max(px, name.left), name.right), min(max(py, name.top), name.bottom)
        if math.dist(near, (px, py)) > 10:
            shapes.append(_line((px, py), near, point.ink.color, opacity=0.5))
        shapes.append(tag("circle", cx=_n(px), cy=_n(py), r=4.5, fill=point.ink.color))
        anchor, x = _anchored(name, px)
        shapes.append(_text(point.name, x, (name.top + name.bottom) / 2, fill=TEXT, text_anchor=anchor))
    return _picture(size, *_key(list(dict.fromkeys(point.ink for point in points)), box.left), *shapes)


def growth(along: Sequence[float], unit: str, figures: Sequence[tuple[Series, Sequence[float]]]) -> str:
    """A plot for each figure, beside each other, of how it changes along a number, as a whole picture."""
    wide, height, gap = 440, 250, 20
    shapes: list[Html] = []
    for i, (ink, values) in enumerate(figures):
        left = i * (wide + gap)
        area = PlotArea(Box(left + 58, 46, left + wide, height - 50), (along[0] - 0.3, along[-1] + 0.5), _range(values))
        shapes += _axes(area, (unit, ""), ticks=along)
        at = [area.at(x, y) for x, y in zip(along, values, strict=True)]
        shapes += [_line(one, other, ink.color) for one, other in pairwise(at)]
        shapes += [tag("circle", cx=_n(px), cy=_n(py), r=5, fill=ink.color) for px, py in at]
        rising = values[-1] > values[0]
        for value, (px, py) in zip(values, at, strict=True):
            shapes.append(_text(f"{value:.2f}", px + 8, py + (14 if rising else -14), fill=TEXT))
        shapes += _key([ink], area.box.left)
    return _picture((len(figures) * (wide + gap), height), *shapes)


def places(names: Sequence[str], points: Sequence[tuple[float, float]], frame: Box) -> list[Box]:
    """Where names stand: near their points, on no point and on no other name, as far as there is room.

    Those in the thick of it choose first.
    """
    dots = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in points]
    chosen: dict[int, Box] = {}
    for i in sorted(range(len(names)), key=lambda i: sum(math.dist(points[i], point) for point in points)):
        taken = [*dots, *chosen.values()]

        def cost(item: tuple[int, Box], taken: list[Box] = taken) -> float:
            radius, box = item
            return radius + 1000 * sum(box.meets(other) for other in taken)

        inside = (item for item in _candidates(names[i], points[i]) if _within(item[1], frame))
        chosen[i] = min(inside, key=cost)[1]
    return [chosen[i] for i in range(len(names))]


def _beyond(point: Point, least: float) -> Point:
    return point._replace(name=f"◂ {point.name}, {point.x:.1f}", x=least, spread=(0.0, point.spread[1]))


def _candidates(name: str, point: tuple[float, float]) -> Iterator[tuple[int, Box]]:
    """Boxes around a point, the nearest first, each with its distance."""
    width, height = _WIDE * SIZE * len(name), SIZE + 4
    for radius in _RADII:
        for angle in _ANGLES:
            x, y = point[0] + radius * math.cos(angle), point[1] - radius * math.sin(angle)
            left = x if math.cos(angle) > 0.1 else x - width if math.cos(angle) < -0.1 else x - width / 2
            yield radius, Box(left, y - height / 2, left + width, y + height / 2)


def _anchored(box: Box, x: float) -> tuple[str, float]:
    """The end of a text that is towards its point, whatever its true width, and where that end is."""
    if box.left >= x:
        return "start", box.left
    return ("end", box.right) if box.right <= x else ("middle", (box.left + box.right) / 2)


def _within(box: Box, frame: Box) -> bool:
    return frame.left <= box.left and box.right <= frame.right and frame.top <= box.top and box.bottom <= frame.bottom


def _range(values: Sequence[float]) -> tuple[float, float]:
    """With some room on either side."""
    room = 0.08 * (max(values) - min(values))
    return min(values) - room, max(values) + room


def _axes(area: PlotArea, units: tuple[str, str], ticks: Sequence[float] | None = None) -> Iterator[Html]:
    left, top, right, bottom = area.box
    for value in nice_ticks(*area.y):
        if area.y[0] <= value <= area.y[1]:
            _, y = area.at(area.x[0], value)
            yield _line((left, y), (right, y), GRID)
            yield _text(number(value), left - 8, y, fill=QUIET, text_anchor="end")
    for value in ticks or nice_ticks(*area.x):
        if area.x[0] <= value <= area.x[1]:
            x, _ = area.at(value, area.y[0])
            yield _line((x, top), (x, bottom), GRID)
            yield _text(number(value), x, bottom + 16, fill=QUIET, text_anchor="middle")
    yield _text(units[0], (left + right) / 2, bottom + 36, fill=QUIET, text_anchor="middle")
    yield tag("g", _text(units[1], 0, 0, fill=QUIET, text_anchor="middle"),
              transform=f"translate({_n(left - 44)} {_n((top + bottom) / 2)}) rotate(-90)")  # fmt: skip


def _spread(area: PlotArea, point: Point) -> Iterator[Html]:
    for dx, dy in ((point.spread[0], 0.0), (0.0, point.spread[1])):
        if dx or dy:
            ends = area.at(point.x - dx, point.y - dy), area.at(point.x + dx, point.y + dy)
            yield _line(*ends, point.ink.color)


def _key(inks: Sequence[Series], x: float) -> Iterator[Html]:
    for ink in inks:
        yield tag("circle", cx=_n(x + 6), cy=22, r=5, fill=ink.color)
        yield _text(ink.name, x + 18, 22, fill=TEXT)
        x += 30 + _WIDE * SIZE * len(ink.name)


def _line(one: tuple[float, float], other: tuple[float, float], color: str, *, opacity: float = 1) -> Html:
    ends = dict(zip(("x1", "y1", "x2", "y2"), map(_n, (*one, *other)), strict=True))
    return tag("line", **ends, stroke=color, stroke_opacity=None if opacity == 1 else opacity)


def _text(text: str, x: float, y: float, *, fill: str, text_anchor: str | None = None) -> Html:
    return tag("text", text, x=_n(x), y=_n(y), fill=fill, text_anchor=text_anchor)


def _picture(size: tuple[int, int], *shapes: Html) -> str:
    width, height = size
    ground = tag("rect", width=width, height=height, rx=6, fill=rgb(BACKGROUND))
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="{SIZE}" ',
            'font-family="Helvetica, Arial, sans-serif" dominant-baseline="central">\n',
            "\n".join((ground, *shapes)),
            "\n</svg>\n",
        )
    )


def _n(value: float) -> str:
    return f"{value:.1f}"
