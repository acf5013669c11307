"""The sky, and what stands along the horizon."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.camera import View
from tdseg.street.draws import Draws
from tdseg.street.plan import Light
from tdseg.street.texture import Colour, Label, Words, pack, scale


class Sky:
    """A panorama of sky and skyline for frames of (height, width); `haze` is the word of the colour of its mist."""

    def __init__(self, rng: Draws, light: Light, size: tuple[int, int]) -> None:
        height, width = round(size[0] * 2.2) + 16, round(size[1] * 1.5) + 16
        self._anchor = round(size[0] * 0.85)  # the row that lies on the horizon
        down = np.clip(np.arange(height, dtype=np.float32) / self._anchor, 0, 1)[:, None, None] ** 1.4
        sky = (1 - down) * np.array(light.sky_top, np.float32) + down * np.array(light.sky_low, np.float32)
        # clouds flatten towards the horizon
        rows = np.minimum(np.linspace(0, 1, height) ** 0.6 * height, height - 1).astype(int)
        cover = rng.noise((height, width), size[0] * 0.55, octaves=5)[rows]
        cover = np.clip((cover - 1.1 + 2.2 * light.clouds) * 1.1, 0, 1)[..., None] * (1 - 0.5 * down)
        sky = sky + (np.array(light.cloud_tone, np.float32) - sky) * cover
        sky = np.broadcast_to(sky, (height, width, 3)) + rng.uniform(-1.5, 1.5, (height, width, 1))
        image = Image.fromarray(np.dstack([np.clip(sky, 0, 255), np.full((height, width), Label.SKY)]).astype(np.uint8))
        _draw_skyline(ImageDraw.Draw(image), rng, light, self._anchor, width)
        pixels = np.asarray(image)
        self._words = pack(pixels[..., :3], pixels[..., 3])
        self.haze = np.uint32(pack(np.array(light.sky_low) * 0.94, 0)[()])

    def paint(self, words: Words, view: View) -> None:
        """Fill a canvas."""
        (height, width), wide = words.shape, self._words.shape[1]
        top = self._anchor - round(view.horizon)
        left = min(max(round((wide - width) / 2 + view.heading * view.focal), 0), wide - width)
        words[:] = self._words[top : top + height, left : left + width]


def _draw_skyline(draw: ImageDraw.ImageDraw, rng: Draws, light: Light, anchor: int, width: int) -> None:
    """Woods and houses in the mist."""
    unit = anchor / 0.85

    def misty(colour: Colour, spread: float) -> Colour:
        mixed = 0.45 * np.array(rng.tint(colour, spread, light.day)) + 0.55 * np.array(light.sky_low) * 0.8
        r, g, b = (int(value) for value in np.clip(mixed, 0, 255))
        return r, g, b

    x = 0.0
    while x < width:
        step, tall = rng.uniform(0.02, 0.12) * unit, rng.uniform(0.015, 0.07) * unit
        if rng.chance(0.6):
            leaf = misty((70, 80, 64), 8)
            for _ in range(12):
                at, r = x + rng.uniform(0, 1) * step, tall * rng.uniform(0.3, 0.6)
                fill = (*scale(leaf, rng.uniform(0.9, 1.1)), int(Label.TREE))
                draw.ellipse((at - r, anchor - tall, at + r, anchor + tall), fill)
        else:
            fill = (*misty((120, 112, 106), 14), int(Label.BUILDING))
            draw.rectangle((x, anchor - tall, x + step, anchor + tall), fill)
        x += step * 0.8
