"""What is drawn by lot before anything is built: the road's cross-section, the light, the lots along the street."""

from __future__ import annotations

from typing import NamedTuple

from tdseg.street.draws import Draws
from tdseg.street.texture import Span

LENGTH = 320.0  # metres after which the street repeats: videos of any length in bounded memory


# odds, colours of the sky above and at the horizon and of clouds, their cover, brightness in shadow and of the day,
# white balance of red and blue
WEATHERS = {
    "sun": (0.4, (128, 172, 230), (240, 246, 250), (252, 252, 252), (0.0, 0.7), (0.34, 0.55), 1.05, (1.05, 0.93)),
    "bright": (0.3, (246, 249, 252), (254, 254, 254), (240, 243, 246), (0.5, 0.5), (0.8, 0.8), 0.95, (0.98, 1.03)),
    "overcast": (0.23, (206, 212, 220), (240, 243, 245), (172, 178, 188), (0.8, 0.8), (0.85, 0.85), 0.82, (0.98, 1.03)),
    "dusk": (0.07, (136, 148, 176), (240, 214, 186), (142, 136, 152), (0.6, 0.6), (0.8, 0.8), 0.62, (1.05, 0.93)),
}
# odds, odds of a building, a wall and a garden, how far buildings stand back at most, their heights in metres
CHARACTERS = {
    "old": (0.25, (0.9, 0.05, 0.05), 0.0, (7, 12)),
    "shops": (0.25, (0.88, 0.03, 0.09), 0.0, (7, 14)),
    "homes": (0.22, (0.68, 0.06, 0.26), 5.0, (5.5, 8.5)),
    "modern": (0.13, (0.66, 0.08, 0.26), 3.0, (8, 22)),
    "park": (0.15, (0.18, 0.12, 0.7), 8.0, (6, 14)),
}


class Light:
    """Time of day and weather."""

    def __init__(self, rng: Draws) -> None:
        kind = rng.name(WEATHERS)
        _, top, low, tone, clouds, shade, day, (warm, cool) = WEATHERS[kind]
        red, green, blue = rng.normal(1.0, 0.035, 3).tolist()
        self.warmth = (red * warm, green, blue * cool)  # white balance
        self.clouds = rng.uniform(*clouds)  # cover, 0..1
        self.shade = rng.uniform(*shade)  # brightness in shadow, 1 in the sun
        self.sunny = kind == "sun"
        self.sun_side = rng.pick((-1, 1))  # the sun stands on the left, or on the right
        self.sun_slope = rng.uniform(0.4, 1.6)  # shadow length per metre of height
        self.day = day * rng.uniform(0.85, 1.15)  # overall brightness of what is lit
        self.sky_top = rng.tint(top, 10)
        self.sky_low = rng.tint(low, 6)
        self.cloud_tone = rng.tint(tone, 6)
        self.sheets = rng.integers(1, 4)  # of mist

    def on(self, side: int) -> float:
        """Brightness of the fronts of a side: lit by the sun, or turned away from it."""
        return self.day * (self.shade * 1.15 if self.sunny and side == self.sun_side else 1.0)


class Lot(NamedTuple):
    """A piece of street frontage."""

    kind: str  # "building", "wall", "garden" or "junction"
    side: int  # -1 left, 1 right
    start: float
    end: float
    setback: float = 0.0  # of the building from the back of the pavement, metres
    height: float = 0.0  # of what stands there, metres

    @property
    def length(self) -> float:
        """In metres."""
        return self.end - self.start


class Plan:
    """Cross-section and frontage: a narrow old street between house fronts, a wide one through a park, or between.

    Distances are in metres from the centre line of the road; sides are -1 left and 1 right.
    """

    def __init__(self, rng: Draws) -> None:
        character = rng.name(CHARACTERS)
        narrow = character == "old"
        self.parking = {side: rng.chance(0.42) for side in (-1, 1)}
        width = 2.7 if narrow else rng.uniform(2.9, 3.6)
        self.lane = width / 2  # distance of the middle of a lane
        self.bay = 2.2  # width of a parking lane
        spare = rng.uniform(0, 3.0) if not narrow and rng.chance(0.4) else 0.0
        self.half_road = width + (self.bay if any(self.parking.values()) else 0.0) + spare
        least, most = (1.4, 3.2) if narrow else (2.2, 6.5)
        self.pavements = {side: rng.uniform(least, most) for side in (-1, 1)}  # widths
        junctions = _draw_junctions(rng)
        self.lots: list[Lot] = []
        for side in (-1, 1):
            mood = character if rng.chance(0.65) else rng.pick(list(CHARACTERS))
            self.lots += _draw_lots(rng, mood, side, [gap for gap, sides in junctions if side in sides])
        self.traffic = rng.pick((-1, 1), (0.65, 0.35))  # the side that it keeps to
        self.density = rng.uniform(0.5, 1.5)  # of people, cars and street furniture; 1 is ordinary

    def edge(self, side: int) -> float:
        """Distance of the back of the pavement."""
        return self.half_road + self.pavements[side]


def _draw_junctions(rng: Draws) -> list[tuple[Span, tuple[int, ...]]]:
    """Start and end along the street of each side street, and the sides on which it has a mouth."""
    junctions: list[tuple[Span, tuple[int, ...]]] = []
    along = rng.uniform(10, 90)
    while along < LENGTH - 20:
        sides = rng.pick(((-1,), (1,), (-1, 1)))
        junctions.append(((along, along + rng.uniform(7, 13)), sides))
        along += rng.uniform(60, 150)
    return junctions


def _draw_lots(rng: Draws, character: str, side: int, gaps: list[Span]) -> list[Lot]:
    """Lots from 0 to `LENGTH`, with junctions at the gaps."""
    lots: list[Lot] = []
    _, odds, far_back, tall = CHARACTERS[character]
    along, setback = 0.0, 0.0
    for start, stop in [*gaps, (LENGTH, LENGTH)]:
        while along < start:
            width = rng.uniform(5, 14)
            end = start if start - along < width + 4 else along + width
            if rng.chance(0.35):
                setback = rng.uniform(0, 1) * far_back
            kind = rng.pick(("building", "wall", "garden"), odds)
            height = rng.uniform(*tall) if kind == "building" else rng.uniform(1.0, 3.2)
            back = setback if kind == "building" and setback > 1.2 else 0.0
            lots.append(Lot(kind, side, along, end, back, height))
            along = end
        if stop > start:
            lots.append(Lot("junction", side, start, stop))
        along = stop
    return lots
