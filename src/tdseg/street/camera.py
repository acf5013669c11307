"""The camera: where it is and how it projects, how it moves with the car, what lens and sensor make of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageChops

from tdseg.street.draws import Draws
from tdseg.street.plan import LENGTH, Light, Plan
from tdseg.street.texture import Bytes, Floats, Words, mix

NEAR = 0.7  # metres; what is nearer is cut off
FAR = 165.0


@dataclass(frozen=True)
class View:
    """A pinhole camera above a street. Street coordinates are (along, across): metres along the
    centre line, and to the right of it. Camera coordinates are x to the right and z ahead, in metres."""

    focal: float  # pixels
    centre: float  # column of the optical axis
    horizon: float  # row of the horizon
    height: float  # of the camera above the road, metres
    along: float
    across: float
    heading: float  # of the camera, radians to the right of the street's direction at along = 0
    bends: Floats  # (3, n): amplitude, wave number in 1/m and phase of the street's heading
    time: float = 0.0  # seconds since the video began
    step: float = 0.0  # metres since the last frame
    turn: float = 0.0  # radians since the last frame

    def ahead(self, along: Floats) -> Floats:
        """z of places along the street that repeats, from a little behind the camera on."""
        return np.asarray((along - self.along + 20.0) % LENGTH - 20.0, np.float32)

    def centre_line(self, z: Floats) -> Floats:
        """x of the street's centre line at depth z."""
        amplitude, wave, phase = (row[:, None] for row in self.bends)
        start = wave * self.along + phase
        drift = (amplitude / wave * (np.cos(start) - np.cos(start + wave * z.ravel()))).sum(0)
        return np.asarray(drift.reshape(z.shape) - self.heading * z - self.across, np.float32)

    def project(self, x: Floats, y: Floats | np.float32, z: Floats) -> tuple[Floats, Floats]:
        """Column and row of points at x, height y and depth z, cut off at the near plane."""
        scale = self.focal / np.maximum(z, NEAR)
        columns, rows = self.centre + x * scale, self.horizon + (self.height - y) * scale
        return columns.astype(np.float32, copy=False), rows.astype(np.float32, copy=False)


class Ego:
    """The camera car: speed, swaying in its lane, looking around bends, nodding."""

    def __init__(self, rng: Draws, plan: Plan, size: tuple[int, int]) -> None:
        height, width = size
        self._rows = height
        focal = rng.uniform(0.85, 1.15) * (width + height * 4 / 3) / 2
        centre = width * rng.uniform(0.46, 0.54)
        horizon = height * rng.uniform(0.45, 0.57)
        above, along = rng.uniform(1.15, 1.65), rng.uniform(0, 300)
        self._speed = rng.uniform(2.5, 12.0)
        self._phases = rng.uniform(0, 2 * math.pi, 5)
        self._sway = rng.uniform(0.1, 0.45)
        self._look = rng.uniform(0.005, 0.05)
        bend, waves = rng.pick((0.02, 0.1, 0.3), (0.4, 0.35, 0.25)), np.arange(1, 4)
        amplitude, phase = bend * rng.uniform(-1, 1, 3) / waves, rng.uniform(0, 2 * math.pi, 3)
        bends = np.stack([amplitude, 2 * math.pi * waves / LENGTH, phase]).astype(np.float32)
        lane = plan.traffic * plan.lane
        self._start = self._last = View(focal, centre, horizon, above, along, lane, heading=0.0, bends=bends)

    def look(self, time: float, dt: float) -> View:
        """The view at a time, dt seconds after the last one."""
        start, last = self._start, self._last
        a, b, c, d, e = self._phases
        step = self._speed * (1 + 0.35 * math.sin(0.35 * time + a)) * dt
        heading = self._look * math.sin(0.45 * time + c) + 0.004 * math.sin(2.3 * time + d)
        self._last = replace(
            start,
            horizon=start.horizon + self._rows * (0.006 * math.sin(2.9 * time + e) + 0.004 * math.sin(6.1 * time + a)),
            along=last.along + step,
            across=start.across + self._sway * math.sin(0.5 * time + b),
            heading=heading,
            time=time,
            step=step,
            turn=heading - last.heading if time else 0.0,
        )
        return self._last


class Sensor:
    """Motion blur, lens softness, exposure, white balance and noise."""

    def __init__(self, rng: Draws, light: Light, size: tuple[int, int]) -> None:
        height, width = size
        self._rng = rng
        self._warmth = light.warmth
        self._gain = rng.uniform(0.9, 1.3)
        self._gamma = rng.uniform(0.95, 1.4)
        self._phase = rng.uniform(0, 6.28)
        self._shutter = rng.uniform(0.1, 0.5)  # share of the frame time
        self._soft = 2 if rng.chance(0.25) else 1
        margin = (height + 64, width + 64)
        grain = rng.normal(0, rng.uniform(1.5, 5.0), (*margin, 1)) + rng.normal(0, 1.2, (*margin, 3))
        self._grain = Image.fromarray(np.clip(grain + 32, 0, 64).astype(np.uint8))
        self._rows = np.arange(height, dtype=np.float32)
        self._columns = np.arange(width, dtype=np.float32)

    def expose(self, words: Words, view: View) -> Bytes:
        """The picture (H, W, 3) of a canvas."""
        words = self._smear(words, view)
        for _ in range(self._soft):
            words = _soften(words)
        drift = self._gain * (1 + 0.08 * math.sin(0.8 * view.time + self._phase) + 0.03 * math.sin(5.3 * view.time))
        level = np.arange(256, dtype=np.float32) / 255
        height, width = words.shape
        pixels = words.view(np.uint8).reshape(height, width, 4)
        exposed = np.empty((height, width, 3), np.uint8)
        for channel, tint in enumerate(self._warmth):
            table = np.clip(255 * (level * drift * tint) ** self._gamma, 0, 255).astype(np.uint8)
            exposed[..., channel] = table.take(pixels[..., channel])
        left, top = self._rng.integers(0, 64, 2).tolist()
        grain = self._grain.crop((left, top, left + width, top + height))
        return np.array(ImageChops.add(Image.fromarray(exposed), grain, 1, -32))

    def _smear(self, words: Words, view: View) -> Words:
        """The mean of four pictures within the exposure, each the last one zoomed and turned."""
        for share in (0.33, 0.67):
            zoom = 1 - min(self._shutter * view.step * 0.05, 0.08) * share
            shift = view.turn * view.focal * self._shutter * share
            rows = np.clip(view.horizon + (self._rows - view.horizon) * zoom, 0, len(self._rows) - 1)
            columns = np.clip(view.centre + (self._columns - view.centre) * zoom + shift, 0, len(self._columns) - 1)
            words = mix(words, words[rows.astype(np.intp)].take(columns.astype(np.intp), axis=1))
        return words


def _soften(words: Words) -> Words:
    """A 2 × 2 box of means to either side in turn: the blur of a lens, about one pixel wide."""
    across = words.copy()
    across[:, 1:] = mix(words[:, 1:], words[:, :-1])
    across[:, :-1] = mix(across[:, :-1], across[:, 1:])
    down = across.copy()
    down[1:] = mix(across[1:], across[:-1])
    down[:-1] = mix(down[:-1], down[1:])
    return down
