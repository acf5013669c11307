"""The camera: how it moves with the car, the sky it sees, and what lens and sensor make of the picture."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from tdseg.street.plan import Light, Plan
from tdseg.street.texture import Bytes, Label, Words, mix, noise, pack, scale, vary
from tdseg.street.view import View


class Ego:
    """The camera car: speed, swaying in its lane, looking around bends, nodding."""

    def __init__(self, rng: np.random.Generator, plan: Plan, size: tuple[int, int]) -> None:
        height, width = size
        self._size = size
        self._focal = float(rng.uniform(0.85, 1.15)) * (width + height * 4 / 3) / 2
        self._centre = width * float(rng.uniform(0.46, 0.54))
        self._horizon = height * float(rng.uniform(0.45, 0.57))
        self._height = float(rng.uniform(1.15, 1.65))
        self._along = float(rng.uniform(0, 300))
        self._lane = plan.traffic * plan.lane
        self._speed = float(rng.uniform(2.5, 12.0))
        self._phases = rng.uniform(0, 2 * math.pi, 5)
        self._sway = float(rng.uniform(0.1, 0.45))
        self._look = float(rng.uniform(0.005, 0.05))
        bend = float(rng.choice([0.02, 0.1, 0.3], p=[0.4, 0.35, 0.25]))
        waves = np.arange(1, 4)
        self._bends = np.stack(
            [bend * rng.uniform(-1, 1, 3) / waves, 2 * math.pi * waves / 320.0, rng.uniform(0, 2 * math.pi, 3)]
        ).astype(np.float32)
        self.turn = 0.0  # radians since the last frame
        self.step = 0.0  # metres since the last frame
        self._heading = 0.0

    def look(self, time: float, dt: float) -> View:
        """The view at a time, dt seconds after the last one."""
        a, b, c, d, e = self._phases
        speed = self._speed * (1 + 0.35 * math.sin(0.35 * time + a))
        self.step = speed * dt
        self._along += self.step
        sway = self._sway * math.sin(0.5 * time + b)
        heading = self._look * math.sin(0.45 * time + c) + 0.004 * math.sin(2.3 * time + d)
        self.turn, self._heading = heading - self._heading if time else 0.0, heading
        nod = self._size[0] * (0.006 * math.sin(2.9 * time + e) + 0.004 * math.sin(6.1 * time + a))
        return View(
            focal=self._focal,
            centre=self._centre,
            horizon=self._horizon + nod,
            height=self._height,
            along=self._along,
            across=self._lane + sway,
            heading=heading,
            bends=self._bends,
        )


def panorama(rng: np.random.Generator, light: Light, size: tuple[int, int]) -> tuple[Words, int, np.uint32]:
    """Sky and skyline, larger than a frame, with the row of the horizon and the colour of the haze."""
    height, width = round(size[0] * 2.2) + 16, round(size[1] * 1.5) + 16
    anchor = round(size[0] * 0.85)
    down = np.clip(np.arange(height, dtype=np.float32) / anchor, 0, 1)[:, None, None] ** 1.4
    sky = (1 - down) * np.array(light.sky_top, np.float32) + down * np.array(light.sky_low, np.float32)
    rows = np.minimum(np.linspace(0, 1, height) ** 0.6 * height, height - 1).astype(
        int
    )  # clouds flatten towards the horizon
    cover = noise(rng, (height, width), size[0] * 0.55, octaves=5)[rows]
    cover = np.clip((cover - 1.1 + 2.2 * light.clouds) * 1.1, 0, 1)[..., None] * (1 - 0.5 * down)
    sky = sky + (np.array(light.cloud_tone, np.float32) - sky) * cover
    sky = np.broadcast_to(sky, (height, width, 3)) + rng.uniform(-1.5, 1.5, (height, width, 1))
    image = Image.fromarray(np.dstack([np.clip(sky, 0, 255), np.full((height, width), Label.SKY)]).astype(np.uint8))
    _skyline(ImageDraw.Draw(image), rng, light, (anchor, width))
    pixels = np.asarray(image)
    haze = pack(np.array(light.sky_low) * 0.94, 0)[()]
    return pack(pixels[..., :3], pixels[..., 3]), anchor, np.uint32(haze)


def _skyline(draw: ImageDraw.ImageDraw, rng: np.random.Generator, light: Light, size: tuple[int, int]) -> None:
    anchor, width = size
    x = 0.0
    unit = anchor / 0.85
    while x < width:
        step = float(rng.uniform(0.02, 0.12)) * unit
        tall = float(rng.uniform(0.015, 0.07)) * unit
        mist = np.array(light.sky_low)
        if rng.random() < 0.6:
            leaf = 0.45 * np.array(vary(rng, (70, 80, 64), 8, light.day)) + 0.55 * mist * 0.8
            for _ in range(12):
                at, r = x + float(rng.uniform(0, 1)) * step, tall * float(rng.uniform(0.3, 0.6))
                fill = (*scale(_colour(leaf), float(rng.uniform(0.9, 1.1))), int(Label.TREE))
                draw.ellipse((at - r, anchor - tall, at + r, anchor + tall), fill=fill)
        else:
            stone = 0.45 * np.array(vary(rng, (120, 112, 106), 14, light.day)) + 0.55 * mist * 0.8
            draw.rectangle((x, anchor - tall, x + step, anchor + tall), fill=(*_colour(stone), int(Label.BUILDING)))
        x += step * 0.8


def _colour(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int, int]:
    r, g, b = (int(v) for v in np.clip(values, 0, 255))
    return r, g, b


class Sensor:
    """Motion blur, lens softness, exposure, white balance and noise."""

    def __init__(self, rng: np.random.Generator, light: Light, size: tuple[int, int]) -> None:
        height, width = size
        self._rng = rng
        self._warmth = light.warmth
        self._gain = float(rng.uniform(0.9, 1.3))
        self._gamma = float(rng.uniform(0.95, 1.4))
        self._phase = float(rng.uniform(0, 6.28))
        self._shutter = float(rng.uniform(0.1, 0.5))  # share of the frame time
        self._soft = 2 if rng.random() < 0.25 else 1
        grain = rng.normal(0, rng.uniform(1.5, 5.0), (height + 64, width + 64, 1)) + rng.normal(
            0, 1.2, (height + 64, width + 64, 3)
        )
        self._grain = Image.fromarray(np.clip(grain + 32, 0, 64).astype(np.uint8))
        self._rows = np.arange(height, dtype=np.float32)
        self._columns = np.arange(width, dtype=np.float32)

    def expose(self, words: Words, view: View, time: float, step: float, turn: float) -> Bytes:
        """The picture (H, W, 3) of a canvas, the camera having gone step metres and turned turn radians."""
        words = self._smear(words, view, step, turn)
        for _ in range(self._soft):
            words = _soften(words)
        drift = self._gain * (1 + 0.08 * math.sin(0.8 * time + self._phase) + 0.03 * math.sin(5.3 * time))
        level = np.arange(256, dtype=np.float32) / 255
        height, width = words.shape
        pixels = words.view(np.uint8).reshape(height, width, 4)
        exposed = np.empty((height, width, 3), np.uint8)
        for channel, tint in enumerate(self._warmth):
            table = np.clip(255 * (level * drift * tint) ** self._gamma, 0, 255).astype(np.uint8)
            exposed[..., channel] = table.take(pixels[..., channel])
        left, top = (int(v) for v in self._rng.integers(0, 64, 2))
        grain = self._grain.crop((left, top, left + width, top + height))
        return np.array(ImageChops.add(Image.fromarray(exposed), grain, 1, -32))

    def _smear(self, words: Words, view: View, step: float, turn: float) -> Words:
        """The mean of four pictures within the exposure, each the last one zoomed and turned."""
        for share in (0.33, 0.67):
            zoom = 1 - min(self._shutter * step * 0.05, 0.08) * share
            shift = turn * view.focal * self._shutter * share
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
