"""What moves along the street, and what is parked: cars, pedestrians and cyclists."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdseg.street import cars, sprites
from tdseg.street.plan import LENGTH, Light, Plan
from tdseg.street.view import FAR

WALK, RIDE = 1.4, 5.0  # metres per cycle of the legs


@dataclass(frozen=True)
class Driver:
    """A car that drives on at its speed (m/s), is parked, or leads the camera car by a gap that breathes.

    Attributes:
        along: where the car is at time 0, or, of a leading car, its distance to the camera car.
        heading: 1 drives or looks ahead, -1 towards the camera.
    """

    car: cars.Car
    along: float
    across: float
    heading: int
    speed: float = 0.0
    leads: bool = False

    def place(self, time: float, ego: float) -> tuple[float, float, float]:
        """Along, across, and metres moved so far, the camera being at ego."""
        if self.leads:
            return ego + self.along * (1 + 0.3 * math.sin(0.25 * time + self.along)), self.across, 0.0
        return self.along + self.speed * time, self.across, self.speed * time


@dataclass(frozen=True)
class Walker:
    """A pedestrian or cyclist who goes along the street at a speed (m/s), or crosses it.

    Attributes:
        crossing: metres to the right that are crossed when the camera comes near, and done before it passes.
        stride: metres per cycle of the figure.
    """

    figure: sprites.Figure
    width: float
    along: float
    across: float
    stride: float
    speed: float = 0.0
    crossing: float = 0.0

    def place(self, time: float, ego: float) -> tuple[float, float, float]:
        """Along, across, and metres moved so far, the camera being at ego."""
        if not self.crossing:
            return self.along + self.speed * time, self.across, self.speed * time
        distance = (self.along - ego) % LENGTH
        done = min(max((48.0 - distance) / 32.0, 0.0), 1.0) if distance < FAR else 1.0
        return self.along, self.across + done * self.crossing, done * abs(self.crossing)


def draw_drivers(rng: np.random.Generator, plan: Plan, light: Light) -> list[Driver]:
    """Parked cars, cars ahead in the own lane, and oncoming ones."""
    pool = [cars.build(rng, light.day) for _ in range(14)]
    drivers = [driver for side in (-1, 1) if plan.parking[side > 0] for driver in _parked(rng, plan, pool, side)]
    lane = plan.traffic * plan.lane
    gap = float(rng.uniform(11, 32))
    for car in pool[: int(rng.integers(0, 5))]:
        drivers.append(Driver(car, gap, lane, 1, leads=True))
        gap += float(rng.uniform(14, 35))
    speed, along = float(rng.uniform(5, 12)), float(rng.uniform(15, 60))
    while along < LENGTH - 12:
        drivers.append(Driver(pool[rng.integers(len(pool))], along, -lane, -1, -speed))
        along += float(rng.uniform(9, 80)) / plan.density
    return drivers


def _parked(rng: np.random.Generator, plan: Plan, pool: list[cars.Car], side: int) -> list[Driver]:
    small = [car for car in pool if car.length < 6] or [cars.build(rng, 1.0, kind="hatchback")]
    mouths = [(lot.start - 4, lot.end + 4) for lot in plan.lots if lot.kind == "junction" and lot.side == side]
    parked: list[Driver] = []
    along, fill = float(rng.uniform(0, 10)), float(rng.uniform(0.25, 0.9))
    while along < LENGTH - 6:
        if rng.random() < fill and not any(start < along < end for start, end in mouths):
            car = small[rng.integers(len(small))]
            heading = (1 if side == plan.traffic else -1) * (-1 if rng.random() < 0.15 else 1)
            parked.append(Driver(car, along, side * (plan.half_road - 0.35 - car.width), heading))
        along += float(rng.uniform(5.4, 6.6))
    return parked


def draw_walkers(rng: np.random.Generator, plan: Plan, light: Light) -> list[Walker]:
    """Pedestrians on both pavements, cyclists at the kerb, and both crossing."""
    day, density = light.day * 0.8, plan.density
    people, riders = (
        [make(rng, day, sideways=False) for _ in range(5)] for make in (sprites.pedestrian, sprites.cyclist)
    )
    walkers: list[Walker] = []
    for side in (-1, 1):
        for start in np.arange(0, LENGTH, 9 / density):
            across = side * (plan.half_road + float(rng.uniform(0.6, max(0.7, plan.pavements[side > 0] - 0.5))))
            speed = float(rng.choice([-1, 1]) * rng.uniform(0.9, 1.6)) if rng.random() < 0.8 else 0.0
            along = float(start + rng.uniform(0, 8))
            walkers.append(Walker(people[rng.integers(5)], 1.2, along, across, WALK, speed))
    for along in np.arange(rng.uniform(5, 40), LENGTH, 45 / density).tolist():
        way = 1 if rng.random() < 0.6 else -1
        side = plan.traffic * way
        kerb = plan.half_road - (plan.bay if plan.parking[side > 0] else 0.0)
        across = side * max(kerb - 0.5, plan.lane + 1.25)
        walkers.append(Walker(riders[rng.integers(5)], 1.9, along, across, RIDE, way * float(rng.uniform(3, 5.5))))
    for along in np.arange(rng.uniform(30, 90), LENGTH, 70 / density).tolist():
        crossing = float(rng.choice([-1, 1])) * (2 * plan.half_road + 1.6)
        if rng.random() < 0.35:
            rider = sprites.cyclist(rng, day, sideways=True)
            walkers.append(Walker(rider, 1.9, along, -crossing / 2, RIDE, crossing=crossing))
        else:
            walker = sprites.pedestrian(rng, day, sideways=True)
            walkers.append(Walker(walker, 1.2, along, -crossing / 2, WALK, crossing=crossing))
    return walkers
