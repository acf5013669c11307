"""What moves along the street, and what is parked: cars, pedestrians and cyclists."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tdseg.street.camera import FAR, View
from tdseg.street.cars import Car
from tdseg.street.draws import Draws
from tdseg.street.people import Person
from tdseg.street.plan import LENGTH, Light, Plan
from tdseg.street.raster import Canvas


class Mover(NamedTuple):
    """A car, pedestrian or cyclist that goes along the street, stands, leads the camera car, or crosses.

    Attributes:
        along: where it is at time 0; if it leads, its distance to the camera car, which breathes.
        speed: m/s along the street.
        heading: of a car, 1 ahead and -1 towards the camera; of a person, 1 to the right and -1 to the left.
        crossing: metres to the right that are crossed when the camera comes near, and done before it passes.
    """

    look: Car | Person
    along: float
    across: float
    speed: float = 0.0
    heading: int = 1
    leads: bool = False
    crossing: float = 0.0

    def place(self, time: float, ego: float) -> tuple[float, float, float]:
        """Along, across, and metres moved so far, the camera being at ego."""
        if self.leads:
            return ego + self.along * (1 + 0.3 * math.sin(0.25 * time + self.along)), self.across, 0.0
        if self.crossing:
            distance = (self.along - ego) % LENGTH
            done = min(max((48.0 - distance) / 32.0, 0.0), 1.0) if distance < FAR else 1.0
            return self.along, self.across + done * self.crossing, done * abs(self.crossing)
        return self.along + self.speed * time, self.across, self.speed * time

    def paint(self, canvas: Canvas, view: View, depth: float, x: float, moved: float) -> None:
        """Paint it at a depth, having moved so many metres; x as the camera sees its middle."""
        if isinstance(self.look, Car):
            self.look.paint(canvas, view, depth, self.across, self.heading)
        else:
            self.look.paint(canvas, view, depth, x, self.heading, moved)


def draw_movers(rng: Draws, plan: Plan, light: Light) -> list[Mover]:
    """All that moves or parks on a street."""
    pool = [Car(rng, light) for _ in range(14)]
    parked = [mover for side in (-1, 1) if plan.parking[side] for mover in _draw_parked(rng, plan, pool, side)]
    return [*parked, *_draw_drivers(rng, plan, pool), *_draw_walkers(rng, plan, light.day * 0.8)]


def _draw_drivers(rng: Draws, plan: Plan, pool: list[Car]) -> list[Mover]:
    """Cars ahead in the own lane, and oncoming ones."""
    drivers = []
    lane = plan.traffic * plan.lane
    gap = rng.uniform(11, 32)
    for car in pool[: rng.integers(0, 5)]:
        drivers.append(Mover(car, gap, lane, leads=True))
        gap += rng.uniform(14, 35)
    speed, along = rng.uniform(5, 12), rng.uniform(15, 60)
    while along < LENGTH - 12:
        drivers.append(Mover(rng.pick(pool), along, -lane, -speed, heading=-1))
        along += rng.uniform(9, 80) / plan.density
    return drivers


def _draw_parked(rng: Draws, plan: Plan, pool: list[Car], side: int) -> list[Mover]:
    small = [car for car in pool if car.length < 6] or pool
    mouths = [(lot.start - 4, lot.end + 4) for lot in plan.lots if lot.kind == "junction" and lot.side == side]
    parked: list[Mover] = []
    along, fill = rng.uniform(0, 10), rng.uniform(0.25, 0.9)
    while along < LENGTH - 6:
        if rng.chance(fill) and not any(start < along < end for start, end in mouths):
            car = rng.pick(small)
            heading = (1 if side == plan.traffic else -1) * (-1 if rng.chance(0.15) else 1)
            across = side * (plan.half_road - 0.35 - car.half_width)
            parked.append(Mover(car, along, across, heading=heading))
        along += rng.uniform(5.4, 6.6)
    return parked


def _draw_walkers(rng: Draws, plan: Plan, light: float) -> list[Mover]:
    """Pedestrians on both pavements, cyclists at the kerb, and both crossing."""
    density = plan.density
    people, riders = ([Person(rng, light, rides=rides, sideways=False) for _ in range(5)] for rides in (False, True))
    walkers: list[Mover] = []
    for side in (-1, 1):
        for start in np.arange(0, LENGTH, 9 / density).tolist():
            across = side * (plan.half_road + rng.uniform(0.6, max(0.7, plan.pavements[side] - 0.5)))
            speed = rng.pick((-1, 1)) * rng.uniform(0.9, 1.6) if rng.chance(0.8) else 0.0
            along = start + rng.uniform(0, 8)
            walkers.append(Mover(rng.pick(people), along, across, speed))
    for along in np.arange(rng.uniform(5, 40), LENGTH, 45 / density).tolist():
        way = 1 if rng.chance(0.6) else -1
        side = plan.traffic * way
        kerb = plan.half_road - (plan.bay if plan.parking[side] else 0.0)
        across = side * max(kerb - 0.5, plan.lane + 1.25)
        walkers.append(Mover(rng.pick(riders), along, across, way * rng.uniform(3, 5.5)))
    for along in np.arange(rng.uniform(30, 90), LENGTH, 70 / density).tolist():
        way = rng.pick((-1, 1))
        crossing = way * (2 * plan.half_road + 1.6)
        person = Person(rng, light, rides=rng.chance(0.35), sideways=True)
        walkers.append(Mover(person, along, -crossing / 2, heading=way, crossing=crossing))
    return walkers
