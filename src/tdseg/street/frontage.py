"""What stands along the street: houses, walls, gardens, trees, poles and signs, as upright panels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple, TypeAlias

import numpy as np

from tdseg.street import cutouts, houses
from tdseg.street.draws import Draws
from tdseg.street.plan import LENGTH, Light, Lot, Plan
from tdseg.street.texture import Label, Palette, Span, Texture

Picture: TypeAlias = Callable[[], Texture]

METALS: Palette = ((52, 54, 56), (120, 124, 126), (60, 74, 66))


class Panel(NamedTuple):
    """An upright textured rectangle from (along[0], across[0]) to (along[1], across[1]), between two heights.

    Attributes:
        picture: gives the texture; panels that never come into sight are never drawn.
        order: the place along the street by which the panel is sorted.
        eaves: height up to which it hides all behind it.
    """

    picture: Picture
    along: Span
    across: Span
    height: Span
    order: float
    eaves: float = 0.0


class Frontage:
    """All panels of a street."""

    def __init__(self, rng: Draws, plan: Plan, light: Light) -> None:
        self.panels: list[Panel] = []
        self._rng, self._plan, self._light = rng, plan, light
        bare = rng.chance(0.5)
        brightness = [light.on(side) for side in (-1, 1, -1, 1, 1)]
        self._trees = [self._late(partial(cutouts.tree, bare=bare != rng.chance(0.2)), dim) for dim in brightness]
        self._tall = rng.uniform(6, 11)  # of trees, metres
        self._metal = Texture.plain(rng.pick(METALS), Label.POLE)
        self._lamp_pitch, self._lamp_height = rng.uniform(22, 40), rng.uniform(5, 9.5)
        for lot in plan.lots:
            self._build(lot)
        for side in (-1, 1):
            self._furnish(side)

    def _build(self, lot: Lot) -> None:
        """Fill a lot."""
        edge = self._plan.edge(lot.side)
        if lot.kind == "building":
            self._house(lot, edge + lot.setback)
            if lot.setback:
                self._boundary(lot, edge)
            elif self._rng.chance(0.3 * self._plan.density):
                self._hanging_sign(lot, edge)
        elif lot.kind == "wall":
            self._trees_behind(lot, edge + 2)
            picture = self._late(cutouts.wall, lot.length, lot.height, self._light.on(lot.side))
            self._along(picture, lot, edge, lot.height, lot.height)
        elif lot.kind == "garden":
            self._trees_behind(lot, edge + 1.5)
            self._boundary(lot, edge)
        else:
            self._side_street(lot, edge + 40)
            if self._rng.chance(0.7):
                self._signals(lot)

    def _furnish(self, side: int) -> None:
        """Put lamp posts, signs, bollards, street trees and railings along one side."""
        rng, plan = self._rng, self._plan
        lamp = side * (plan.half_road + (0.5 if rng.chance(0.7) else plan.pavements[side] - 0.2))
        if rng.chance(0.8):
            for along in np.arange(rng.uniform(0, self._lamp_pitch), LENGTH, self._lamp_pitch).tolist():
                self._lamp(along, lamp, side)
        for start in np.arange(5, LENGTH, 10 / plan.density).tolist():
            kind = rng.pick(("sign", "tree", "bollards", "post", "none"), (0.38, 0.24, 0.1, 0.1, 0.18))
            along, across = start + rng.uniform(0, 8), side * (plan.half_road + 0.45)
            if kind == "sign":
                self._sign(along, across, side)
            elif kind == "tree" and plan.pavements[side] > 2:
                self._tree(along, across * 1.08, self._tall * rng.uniform(0.5, 0.9), along)
            elif kind == "bollards":
                for step in range(4):
                    self._board(self._metal, along + 1.6 * step, across, 0.14, (0.0, 1.0))
            elif kind == "post":
                self._board(self._metal, along, across, 0.13, (0.0, rng.uniform(2.5, 7)))
        if rng.chance(0.5):
            self._railing(side)

    def _late(self, draw: Callable[..., Texture], *options: object) -> Picture:
        """A picture drawn when first needed, from a random stream of its own, so that order does not matter."""
        return cache(partial(draw, self._rng.streams(1)[0], *options))

    def _add(self, picture: Picture, along: Span, across: Span, height: Span, order: float, eaves: float = 0.0) -> None:
        self.panels.append(Panel(picture, along, across, height, order, eaves))

    def _along(self, picture: Picture, lot: Lot, distance: float, top: float, eaves: float = 0.0) -> None:
        """Add a panel along the whole lot."""
        place = lot.side * distance
        self._add(picture, (lot.start, lot.end), (place, place), (0.0, top), lot.end, eaves)

    def _board(self, texture: Texture, along: float, across: float, width: float, height: Span) -> None:
        """Add a panel that faces the camera."""
        self._add(lambda: texture, (along, along), (across - width / 2, across + width / 2), height, along)

    def _house(self, lot: Lot, distance: float) -> None:
        roof, light = houses.Roof(self._rng), self._light.on(lot.side)
        shop = lot.setback == 0 and self._rng.chance(0.5)
        picture = self._late(partial(houses.front, shop=shop), lot.length, lot.height, roof, light)
        self._along(picture, lot, distance, lot.height + roof.rise, lot.height)
        flank = self._late(houses.flank, lot.height, self._light.day * 0.8)
        across = (lot.side * distance, lot.side * (distance + 9))
        self._add(flank, (lot.start, lot.start), across, (0.0, lot.height), lot.end, lot.height)

    def _boundary(self, lot: Lot, distance: float) -> None:
        kind = self._rng.pick(("fence", "hedge", "wall", "open"), (0.5, 0.2, 0.15, 0.15))
        if kind == "open":
            return
        height = self._rng.uniform(0.6, 1.2) if kind == "wall" else self._rng.uniform(0.8, 1.9)
        draw = {"fence": cutouts.fence, "hedge": cutouts.hedge, "wall": cutouts.wall}[kind]
        picture = self._late(draw, lot.length, height, self._light.on(lot.side))
        self._along(picture, lot, distance, height)

    def _side_street(self, lot: Lot, distance: float) -> None:
        """A junction: the side street ends at a house."""
        roof, low = houses.Roof(self._rng), self._rng.uniform(6, 12)
        light = self._light.on(lot.side) * 0.9
        picture = self._late(partial(houses.front, shop=False), lot.length + 12, low, roof, light)
        place = lot.side * distance
        self._add(picture, (lot.start - 6, lot.end + 6), (place, place), (0.0, low + roof.rise), lot.end)

    def _signals(self, lot: Lot) -> None:
        across = lot.side * (self._plan.half_road + 0.4)
        head = cutouts.traffic_light(self._light.day, int(self._rng.integers(3)))
        for along in (lot.start - 1.0, lot.end + 1.0):
            self._board(self._metal, along, across, 0.14, (0.0, 3.4))
            self._board(head, along - 0.05, across, 0.42, (2.3, 3.4))

    def _trees_behind(self, lot: Lot, distance: float) -> None:
        rng = self._rng
        for _ in range(rng.integers(1, 4)):
            along, across = rng.uniform(lot.start, lot.end), lot.side * (distance + rng.uniform(1, 9))
            self._tree(along, across, self._tall * rng.uniform(0.6, 1.3), lot.end)
        if rng.chance(0.7):
            picture = self._late(cutouts.hedge, lot.length, 3.0, self._light.on(lot.side) * 0.8)
            tall = rng.uniform(2.5, 6)
            self._along(picture, lot, distance + 11, tall, tall * 0.7)

    def _tree(self, along: float, across: float, size: float, order: float) -> None:
        picture = self._rng.pick(self._trees)
        half = size / 2 * (-1 if self._rng.chance(0.5) else 1)  # mirrored, or not
        self._add(picture, (along, along), (across - half, across + half), (0.0, size), order)

    def _hanging_sign(self, lot: Lot, distance: float) -> None:
        texture, width, height = cutouts.sign(self._rng, self._light.on(lot.side))
        along, low = self._rng.uniform(lot.start, lot.end), self._rng.uniform(2.6, 3.4)
        self._board(texture, along, lot.side * (distance - width / 2), width, (low, low + height))

    def _lamp(self, along: float, across: float, side: int) -> None:
        top, reach = self._lamp_height, across - side * 1.4
        self._board(self._metal, along, across, 0.17, (0.0, top))
        self._board(self._metal, along, (across + reach) / 2, 1.4, (top - 0.12, top))
        self._board(self._metal, along, reach, 0.6, (top - 0.2, top + 0.02))

    def _sign(self, along: float, across: float, side: int) -> None:
        texture, width, height = cutouts.sign(self._rng, self._light.on(side))
        low = self._rng.uniform(1.9, 2.6)
        self._board(self._metal, along, across, 0.1, (0.0, low + height))
        self._board(texture, along - 0.05, across, width, (low, low + height))

    def _railing(self, side: int) -> None:
        place = side * (self._plan.half_road + 0.25)
        start = self._rng.uniform(0, LENGTH - 60)
        picture = self._late(cutouts.fence, 5.0, 1.1, self._light.on(side))
        for along in np.arange(start, start + self._rng.uniform(15, 50), 5.0).tolist():
            self._add(picture, (along, along + 5.0), (place, place), (0.0, 1.1), along + 5.0)
