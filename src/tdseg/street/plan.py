"""What is drawn by lot before anything is built: the road's cross-section, the light, the lots along the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdseg.street.texture import Colour, vary

LENGTH = 320.0  # metres after which the street repeats: videos of any length in bounded memory


@dataclass(frozen=True)
class Light:
    """Time of day and weather."""

    sunny: bool
    sun_side: int  # -1: the sun stands on the left, 1: on the right
    sun_slope: float  # shadow length per metre of height
    shade: float  # brightness in shadow, 1 in the sun
    day: float  # overall brightness of what is lit
    warmth: tuple[float, float, float]  # white balance
    sky_top: Colour
    sky_low: Colour
    clouds: float  # cover, 0..1
    cloud_tone: Colour
    haze: int  # sheets of mist

    def on(self, side: int) -> float:
        """Brightness of the fronts of a side: lit by the sun, or turned away from it."""
        return self.day * (self.shade * 1.15 if self.sunny and side == self.sun_side else 1.0)


@dataclass(frozen=True)
class Lot:
    """A piece of street frontage."""

    kind: str  # "building", "wall", "garden" or "junction"
    side: int  # -1 left, 1 right
    start: float
    end: float
    setback: float  # of the building from the back of the pavement, metres
    height: float  # of what stands there, metres


@dataclass(frozen=True)
class Plan:
    """Cross-section and frontage. Distances in metres from the centre line of the road."""

    traffic: int  # -1: traffic keeps left, 1: right
    half_road: float
    lane: float  # distance of the middle of the ego lane from the centre line
    pavements: tuple[float, float]  # widths, left and right
    parking: tuple[bool, bool]
    bay: float  # width of the parking lane
    density: float  # of people, cars and street furniture; 1 is ordinary
    lots: tuple[Lot, ...]

    def edge(self, side: int) -> float:
        """Distance of the back of the pavement."""
        return self.half_road + self.pavements[side > 0]


def draw_light(rng: np.random.Generator) -> Light:
    """Sun, overcast or dusk."""
    kind = rng.choice(["sun", "bright", "overcast", "dusk"], p=[0.4, 0.3, 0.23, 0.07])
    warmth = rng.normal(1.0, 0.035, 3)
    red, blue = (1.05, 0.93) if kind in ("sun", "dusk") else (0.98, 1.03)
    top, low, tone, cover, shade, day = {
        "sun": ((128, 172, 230), (240, 246, 250), (252, 252, 252), rng.uniform(0, 0.7), rng.uniform(0.34, 0.55), 1.05),
        "bright": ((246, 249, 252), (254, 254, 254), (240, 243, 246), 0.5, 0.8, 0.95),
        "overcast": ((206, 212, 220), (240, 243, 245), (172, 178, 188), 0.8, 0.85, 0.82),
        "dusk": ((136, 148, 176), (240, 214, 186), (142, 136, 152), 0.6, 0.8, 0.62),
    }[str(kind)]
    return Light(
        sunny=bool(kind == "sun"),
        sun_side=int(rng.choice([-1, 1])),
        sun_slope=float(rng.uniform(0.4, 1.6)),
        shade=float(shade),
        day=float(day * rng.uniform(0.85, 1.15)),
        warmth=(float(warmth[0] * red), float(warmth[1]), float(warmth[2] * blue)),
        sky_top=vary(rng, top, 10),
        sky_low=vary(rng, low, 6),
        clouds=float(cover),
        cloud_tone=vary(rng, tone, 6),
        haze=int(rng.integers(1, 4)),
    )


def draw_plan(rng: np.random.Generator) -> Plan:
    """A street from a narrow old one between house fronts to a wide one through a park."""
    character = str(rng.choice(["old", "shops", "homes", "modern", "park"], p=[0.25, 0.25, 0.22, 0.13, 0.15]))
    narrow = character == "old"
    parking = (bool(rng.random() < 0.42), bool(rng.random() < 0.42))
    lanes = 2.7 if narrow else rng.uniform(2.9, 3.6)
    bay = 2.2
    half = lanes + (bay if any(parking) else 0.0) + (rng.uniform(0, 3.0) if not narrow and rng.random() < 0.4 else 0.0)
    low, high = (1.4, 3.2) if narrow else (2.2, 6.5)
    pavements = (float(rng.uniform(low, high)), float(rng.uniform(low, high)))
    lots: list[Lot] = []
    junctions = _draw_junctions(rng)
    for side in (-1, 1):
        mood = character if rng.random() < 0.65 else str(rng.choice(["old", "shops", "homes", "modern", "park"]))
        gaps = [(start, end) for start, end, where in junctions if side in where]
        lots += _draw_lots(rng, mood, side, gaps)
    return Plan(
        traffic=int(rng.choice([-1, 1], p=[0.65, 0.35])),
        half_road=float(half),
        lane=float(lanes / 2),
        pavements=pavements,
        parking=parking,
        bay=bay,
        density=float(rng.uniform(0.5, 1.5)),
        lots=tuple(lots),
    )


def _draw_junctions(rng: np.random.Generator) -> list[tuple[float, float, tuple[int, ...]]]:
    junctions: list[tuple[float, float, tuple[int, ...]]] = []
    along = float(rng.uniform(10, 90))
    while along < LENGTH - 20:
        where = [(-1,), (1,), (-1, 1)][rng.integers(3)]
        junctions.append((along, along + float(rng.uniform(7, 13)), where))
        along += float(rng.uniform(60, 150))
    return junctions


def _draw_lots(rng: np.random.Generator, mood: str, side: int, gaps: list[tuple[float, float]]) -> list[Lot]:
    lots: list[Lot] = []
    along, setback = 0.0, 0.0
    kinds = {  # building, wall, garden
        "old": [0.9, 0.05, 0.05],
        "shops": [0.88, 0.03, 0.09],
        "homes": [0.68, 0.06, 0.26],
        "modern": [0.66, 0.08, 0.26],
        "park": [0.18, 0.12, 0.7],
    }[mood]
    far_back = {"old": 0.0, "shops": 0.0, "homes": 5.0, "modern": 3.0, "park": 8.0}[mood]
    tall = {"old": (7, 12), "shops": (7, 14), "homes": (5.5, 8.5), "modern": (8, 22), "park": (6, 14)}[mood]
    while along < LENGTH - 0.1:
        gap = next(((start, end) for start, end in gaps if start - 0.1 <= along < end), None)
        stop = min([start for start, _ in gaps if start > along + 0.1] + [LENGTH])
        if gap:
            lots.append(Lot("junction", side, along, gap[1], 0.0, 0.0))
            along = gap[1]
            continue
        width = float(rng.uniform(5, 14))
        end = stop if stop - along < width + 4 else along + width
        if rng.random() < 0.35:
            setback = float(rng.uniform(0, 1)) * far_back
        kind = str(rng.choice(["building", "wall", "garden"], p=kinds))
        height = float(rng.uniform(*tall)) if kind == "building" else float(rng.uniform(1.0, 3.2))
        back = setback if kind == "building" else 0.0
        lots.append(Lot(kind, side, along, end, back if back > 1.2 else 0.0, height))
        along = end
    return lots
