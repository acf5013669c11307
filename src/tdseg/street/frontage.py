"""What stands along the street: houses, walls, gardens, trees, poles and signs, as upright panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from tdseg.street import facades, sprites
from tdseg.street.plan import LENGTH, Light, Lot, Plan
from tdseg.street.texture import Label, Texture

Span: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Panel:
    """An upright textured rectangle from (along[0], across[0]) to (along[1], across[1]), between two heights.

    Attributes:
        picture: gives the texture; panels that never come into sight are never drawn.
        order: the place along the street by which the panel is sorted.
        eaves: height up to which it hides all behind it.
    """

    picture: Callable[[], Texture]
    along: Span
    across: Span
    height: Span
    order: float
    eaves: float = 0.0


def build_panels(rng: np.random.Generator, plan: Plan, light: Light) -> list[Panel]:
    """All panels of a street."""
    frontage = _Frontage(rng, plan, light)
    for lot in plan.lots:
        frontage.build(lot)
    for side in (-1, 1):
        frontage.furnish(side)
    return frontage.panels


class _Frontage:
    def __init__(self, rng: np.random.Generator, plan: Plan, light: Light) -> None:
        self.panels: list[Panel] = []
        self._rng, self._plan, self._light = rng, plan, light
        bare = bool(rng.random() < 0.5)
        brightness = [light.on(side) for side in (-1, 1, -1, 1, 1)]
        self._trees = [self._late(partial(sprites.tree, bare=bare != (rng.random() < 0.2)), dim) for dim in brightness]
        self._tall = float(rng.uniform(6, 11))  # of trees, metres
        metal = Texture.plain(((52, 54, 56), (120, 124, 126), (60, 74, 66))[rng.integers(3)], Label.POLE)
        self._metal = lambda: metal
        self._lamp_pitch, self._lamp_height = float(rng.uniform(22, 40)), float(rng.uniform(5, 9.5))

    def build(self, lot: Lot) -> None:
        """Fill a lot."""
        rng, light, edge = self._rng, self._light.on(lot.side), self._plan.edge(lot.side)
        if lot.kind == "building":
            self._house(lot, edge + lot.setback)
            if lot.setback:
                self._boundary(lot, edge)
            elif rng.random() < 0.3 * self._plan.density:
                self._hanging_sign(lot, edge)
        elif lot.kind == "wall":
            self._trees_behind(lot, edge + 2)
            picture = self._late(facades.wall, lot.end - lot.start, lot.height, light)
            self._along(picture, lot, edge, lot.height, lot.height)
        elif lot.kind == "garden":
            self._trees_behind(lot, edge + 1.5)
            self._boundary(lot, edge)
        else:  # a junction: the side street ends at a house
            roof, width = facades.draw_roof(rng), lot.end - lot.start + 12
            low = float(rng.uniform(6, 12))
            picture = self._late(partial(facades.front, shop=False), width, low, roof, light * 0.9)
            place = lot.side * (edge + 40)
            self._add(picture, (lot.start - 6, lot.end + 6), (place, place), (0.0, low + roof.rise), lot.end)
            if rng.random() < 0.7:
                self._signals(lot)

    def furnish(self, side: int) -> None:
        """Put lamp posts, signs, bollards, street trees and railings along one side."""
        rng, plan = self._rng, self._plan
        lamp = side * (plan.half_road + (0.5 if rng.random() < 0.7 else plan.pavements[side > 0] - 0.2))
        if rng.random() < 0.8:
            for along in np.arange(rng.uniform(0, self._lamp_pitch), LENGTH, self._lamp_pitch):
                self._lamp(float(along), lamp, side)
        for start in np.arange(5, LENGTH, 10 / plan.density):
            kind = rng.choice(["sign", "tree", "bollards", "post", "none"], p=[0.38, 0.24, 0.1, 0.1, 0.18])
            along, across = float(start + rng.uniform(0, 8)), side * (plan.half_road + 0.45)
            if kind == "sign":
                self._sign(along, across)
            elif kind == "tree" and plan.pavements[side > 0] > 2:
                self._tree(along, across * 1.08, self._tall * float(rng.uniform(0.5, 0.9)), along)
            elif kind == "bollards":
                for step in range(4):
                    self._board(self._metal, along + 1.6 * step, across, 0.14, (0.0, 1.0))
            elif kind == "post":
                self._board(self._metal, along, across, 0.13, (0.0, float(rng.uniform(2.5, 7))))
        if rng.random() < 0.5:
            self._railing(side)

    def _late(self, draw: Callable[..., Texture], *options: object) -> Callable[[], Texture]:
        """A picture drawn when first needed, from a random stream of its own, so that order does not matter."""
        return cache(partial(draw, self._rng.spawn(1)[0], *options))

    def _add(
        self, picture: Callable[[], Texture], along: Span, across: Span, height: Span, order: float, eaves: float = 0.0
    ) -> None:
        self.panels.append(Panel(picture, along, across, height, order, eaves))

    def _along(self, picture: Callable[[], Texture], lot: Lot, distance: float, top: float, eaves: float = 0.0) -> None:
        """Add a panel along the whole lot."""
        place = lot.side * distance
        self._add(picture, (lot.start, lot.end), (place, place), (0.0, top), lot.end, eaves)

    def _board(self, picture: Callable[[], Texture], along: float, across: float, width: float, height: Span) -> None:
        """Add a panel that faces the camera."""
        self._add(picture, (along, along), (across - width / 2, across + width / 2), height, along)

    def _house(self, lot: Lot, distance: float) -> None:
        roof, light = facades.draw_roof(self._rng), self._light.on(lot.side)
        shop = bool(lot.setback == 0 and self._rng.random() < 0.5)
        picture = self._late(partial(facades.front, shop=shop), lot.end - lot.start, lot.height, roof, light)
        self._along(picture, lot, distance, lot.height + roof.rise, lot.height)
        flank = self._late(facades.flank, lot.height, self._light.day * 0.8)
        across = (lot.side * distance, lot.side * (distance + 9))
        self._add(flank, (lot.start, lot.start), across, (0.0, lot.height), lot.end, lot.height)

    def _boundary(self, lot: Lot, distance: float) -> None:
        kind = str(self._rng.choice(["fence", "hedge", "wall", "open"], p=[0.5, 0.2, 0.15, 0.15]))
        if kind == "open":
            return
        height = float(self._rng.uniform(0.8, 1.9) if kind != "wall" else self._rng.uniform(0.6, 1.2))
        draw = {"fence": facades.fence, "hedge": facades.hedge, "wall": facades.wall}[kind]
        picture = self._late(draw, lot.end - lot.start, height, self._light.on(lot.side))
        self._along(picture, lot, distance, height)

    def _trees_behind(self, lot: Lot, distance: float) -> None:
        rng = self._rng
        for _ in range(int(rng.integers(1, 4))):
            along, across = float(rng.uniform(lot.start, lot.end)), lot.side * (distance + float(rng.uniform(1, 9)))
            self._tree(along, across, self._tall * float(rng.uniform(0.6, 1.3)), lot.end)
        if rng.random() < 0.7:
            picture = self._late(facades.hedge, lot.end - lot.start, 3.0, self._light.on(lot.side) * 0.8)
            tall = float(rng.uniform(2.5, 6))
            self._along(picture, lot, distance + 11, tall, tall * 0.7)

    def _tree(self, along: float, across: float, size: float, order: float) -> None:
        picture = self._trees[self._rng.integers(len(self._trees))]
        place = (across - size / 2, across + size / 2)
        mirrored = self._rng.random() < 0.5
        self._add(picture, (along, along), place[::-1] if mirrored else place, (0.0, size), order)

    def _hanging_sign(self, lot: Lot, distance: float) -> None:
        texture, width, height = sprites.sign(self._rng, self._light.on(lot.side))
        along, low = float(self._rng.uniform(lot.start, lot.end)), float(self._rng.uniform(2.6, 3.4))
        across = lot.side * (distance - width / 2)
        self._board(lambda: texture, along, across, width, (low, low + height))

    def _lamp(self, along: float, across: float, side: int) -> None:
        top, reach = self._lamp_height, across - side * 1.4
        self._board(self._metal, along, across, 0.17, (0.0, top))
        self._board(self._metal, along, (across + reach) / 2, 1.4, (top - 0.12, top))
        self._board(self._metal, along, reach, 0.6, (top - 0.2, top + 0.02))

    def _sign(self, along: float, across: float) -> None:
        texture, width, height = sprites.sign(self._rng, self._light.on(1 if across > 0 else -1))
        low = float(self._rng.uniform(1.9, 2.6))
        self._board(self._metal, along, across, 0.1, (0.0, low + height))
        self._board(lambda: texture, along - 0.05, across, width, (low, low + height))

    def _signals(self, lot: Lot) -> None:
        across = lot.side * (self._plan.half_road + 0.4)
        head = sprites.traffic_light(self._light.day, int(self._rng.integers(3)))
        for along in (lot.start - 1.0, lot.end + 1.0):
            self._board(self._metal, along, across, 0.14, (0.0, 3.4))
            self._board(lambda: head, along - 0.05, across, 0.42, (2.3, 3.4))

    def _railing(self, side: int) -> None:
        place = side * (self._plan.half_road + 0.25)
        start = float(self._rng.uniform(0, LENGTH - 60))
        picture = self._late(facades.fence, 5.0, 1.1, self._light.on(side))
        for along in np.arange(start, start + float(self._rng.uniform(15, 50)), 5.0).tolist():
            self._add(picture, (along, along + 5.0), (place, place), (0.0, 1.1), along + 5.0)
