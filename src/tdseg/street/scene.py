"""The street above the ground: which things are in sight, and in which order they are painted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from tdseg.street.camera import FAR, NEAR, View
from tdseg.street.draws import Draws
from tdseg.street.frontage import Frontage, Panel
from tdseg.street.plan import Light, Plan
from tdseg.street.raster import Canvas
from tdseg.street.texture import Span
from tdseg.street.traffic import draw_movers

MOVERS_FAR = 115.0  # metres; people and cars beyond are a few pixels that hardly show
SHEETS = (120.0, 80.0, 52.0)  # depths of the sheets of mist, metres


class _Thing(NamedTuple):
    """Something in sight."""

    order: Span  # depth, then distance from the centre line
    left: float  # columns
    right: float
    top: float  # row
    paint: Callable[[], None]
    eaves: Span | None = None  # rows, left and right, down from which it hides all behind it


class Scene:
    """Everything that stands and moves along a plan's street."""

    def __init__(self, rng: Draws, plan: Plan, light: Light) -> None:
        self._sheets = SHEETS[: light.sheets]
        self._panels = Frontage(rng, plan, light).panels
        self._movers = draw_movers(rng, plan, light)
        rows = [(*panel.along, *panel.across, panel.order, panel.height[1], panel.eaves) for panel in self._panels]
        columns = np.array(rows, np.float32).T.copy()
        self._along, self._across, (self._order, self._top, self._eaves) = columns[:2], columns[2:4], columns[4:]

    def paint(self, canvas: Canvas, view: View, haze: np.uint32) -> None:
        """Paint all that is in sight, from far to near, with sheets of mist between."""
        sheets = list(self._sheets)
        for thing in reversed(self._in_sight(canvas, view)):
            while sheets and thing.order[0] < sheets[0]:
                canvas.haze(haze, view, sheets.pop(0))
            thing.paint()

    def _in_sight(self, canvas: Canvas, view: View) -> list[_Thing]:
        """Things from near to far, without those that houses hide."""
        things = [*self._standing(canvas, view), *self._moving(canvas, view)]
        cover = np.full(canvas.words.shape[1], np.inf, np.float32)  # the row down from which each column is built up
        seen = []
        for thing in sorted(things, key=lambda thing: thing.order):
            first, last = max(int(thing.left), 0), int(thing.right) + 2
            if thing.top >= cover[first:last].max(initial=-np.inf):
                continue
            seen.append(thing)
            if thing.eaves is not None:
                first, last = math.ceil(max(thing.left, 0)), int(min(thing.right, len(cover)))
                slope = (thing.eaves[1] - thing.eaves[0]) / max(thing.right - thing.left, 1e-3)
                rows = thing.eaves[0] + (np.arange(first, last) - thing.left) * slope
                cover[first:last] = np.minimum(cover[first:last], rows + 1)
        return seen

    def _standing(self, canvas: Canvas, view: View) -> Iterator[_Thing]:
        start = self._along.min(0)
        depth = view.ahead(start)
        z = depth + self._along - start
        x = self._across + view.centre_line(z)
        u, top = view.project(x, self._top, z)
        eaves = view.project(x, self._eaves, z)[1]
        left, right, highest = u.min(0), u.max(0), top.min(0)
        height, width = canvas.words.shape
        seen = (z.max(0) > NEAR) & (z.min(0) < FAR) & (right > 0) & (left < width) & (highest < height)
        tall = self._top * view.focal / np.maximum(z.min(0), NEAR)
        index = np.flatnonzero(seen & (tall > 4) & (right - left > 0.7) & ((right - left) * tall > 12))
        line = np.where(u[0] > u[1], eaves[::-1], eaves)  # from left to right
        columns = [depth + self._order - start, np.abs(self._across).min(0), left, right, highest, *x, *z, *line]
        for i, values in zip(index.tolist(), np.stack(columns)[:, index].T.tolist(), strict=True):
            order, aside, first, last, above, x0, x1, z0, z1, eaves0, eaves1 = values
            panel = self._panels[i]
            paint = partial(_paint_panel, canvas, panel, (x0, x1), (z0, z1), view)
            yield _Thing((order, aside), first, last, above, paint, (eaves0, eaves1) if panel.eaves else None)

    def _moving(self, canvas: Canvas, view: View) -> Iterator[_Thing]:
        along, across, moved = np.array([mover.place(view.time, view.along) for mover in self._movers], np.float32).T
        depth = view.ahead(along)
        middle = across + view.centre_line(depth)
        for i in np.flatnonzero((depth > -6) & (depth < MOVERS_FAR)).tolist():
            mover, x, z = self._movers[i], float(middle[i]), float(depth[i])
            look, near = mover.look, z - mover.look.half_length
            if z + look.half_length > look.nearest:
                sides = np.array([x - look.reach, x + look.reach], np.float32)
                u, v = view.project(sides, np.float32(look.height), np.full(2, near, np.float32))
                paint = partial(mover.paint, canvas, view, z, x, float(moved[i]))
                yield _Thing((z, abs(x)), float(u[0]), float(u[1]), float(v[0]), paint)


def _paint_panel(canvas: Canvas, panel: Panel, x: Span, z: Span, view: View) -> None:
    canvas.quad(panel.picture(), x, z, panel.height, view)
