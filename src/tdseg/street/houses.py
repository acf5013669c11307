"""Houses seen from the street."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.draws import Draws
from tdseg.street.texture import Colour, Label, Palette, Texture, scale

METRE = 20  # texels of a house front
BRICKS: Palette = ((128, 72, 54), (150, 104, 74), (176, 148, 104), (110, 84, 72), (158, 134, 110))
PLASTERS: Palette = ((206, 198, 182), (222, 220, 214), (188, 176, 150), (196, 180, 168), (158, 164, 168))
STONES: Palette = ((150, 140, 118), (128, 120, 106), (170, 160, 138))
CONCRETES: Palette = ((134, 134, 132), (112, 116, 122), (160, 158, 150))
ROOFS = {"flat": (0.4, (0.2, 0.5)), "ridge": (0.3, (2.2, 3.6)), "gable": (0.15, (2.0, 3.6)), "hip": (0.15, (1.5, 3.0))}
MATERIALS = {"brick": BRICKS, "plaster": PLASTERS, "stone": STONES, "concrete": CONCRETES}  # the last under flat roofs
TILES: Palette = ((74, 74, 82), (98, 66, 54), (86, 80, 74), (60, 62, 66))
TRIMS: Palette = ((226, 224, 220), (216, 212, 204), (60, 58, 58), (120, 90, 64))
SHOPS: Palette = (
    (24, 54, 110), (130, 26, 30), (20, 84, 60), (40, 40, 44), (196, 150, 40), (210, 206, 196), (90, 40, 100),
)  # fmt: skip


class Roof:
    """A roof seen from the street; `rise` is metres from the eaves to the highest point."""

    def __init__(self, rng: Draws) -> None:
        self.kind = rng.name(ROOFS)
        self.rise = rng.uniform(*ROOFS[self.kind][1])


def front(rng: Draws, width: float, height: float, roof: Roof, light: float, *, shop: bool) -> Texture:
    """A house front, its width and the height of its eaves in metres; the roof comes on top."""
    material = rng.pick(list(MATERIALS)[: None if roof.kind == "flat" else -1])
    top = height + roof.rise
    wide, tall = round(width * METRE), round(top * METRE)
    image = Image.new("RGBA", (wide, tall))
    wall = rng.tint(rng.pick(MATERIALS[material]), 14, light)
    drawing = _Front(image, rng, round((top - height) * METRE), wall, light)
    drawing.roof(roof.kind)
    drawing.masonry({"brick": 3, "stone": 9}.get(material))
    drawing.storeys(shop=shop, ribbon=material == "concrete")
    grain = 1 + 0.05 * rng.noise((tall, wide), 40, octaves=4) + 0.04 * rng.standard_normal((tall, wide), np.float32)
    grain *= np.linspace(1.06, 0.86, tall, dtype=np.float32)[:, None]  # dirt and less sky towards the ground
    return Texture.drawn(image, Label.BUILDING, grain)


def flank(rng: Draws, height: float, light: float) -> Texture:
    """The blank flank of a house, 8 m deep."""
    shape = (round(height * 8), 64)
    rgb = rng.surface(rng.tint(rng.pick(BRICKS + PLASTERS), 14, light), shape, 0.08, 16, octaves=3)
    if rng.chance(0.6):
        for top in range(8, shape[0] - 24, 24):
            left = int(rng.integers(8, 40))
            rgb[top : top + 11, left : left + 8] = 40 * light
    return Texture(rgb, Label.BUILDING)


class _Front(ImageDraw.ImageDraw):
    """Draws a house front, METRE texels to the metre; its roof ends and its wall begins at row `eaves`."""

    def __init__(self, image: Image.Image, rng: Draws, eaves: int, wall: Colour, light: float) -> None:
        super().__init__(image)
        self._rng, self._eaves, self._wall, self._light = rng, eaves, wall, light
        self._wide, self._tall = image.size

    def roof(self, kind: str) -> None:
        wide, eaves, wall = self._wide, self._eaves, self._wall
        tiles = self._rng.tint(self._rng.pick(TILES), 10, self._light)
        if kind == "flat":
            self.rectangle((0, 0, wide, eaves), scale(wall, 0.8))
            return
        if kind == "gable":
            slopes = [(-3, eaves), (wide / 2, 0), (wide + 3, eaves)]
            self.polygon(slopes, wall)
            self.line(slopes, tiles, width=5)
            self.rectangle((wide / 2 - 8, eaves * 0.55, wide / 2 + 8, eaves * 0.95), (34, 36, 42))
            return
        inset, ridge = (0.0, METRE) if kind == "ridge" else (wide * 0.2, 0)
        self.polygon([(0, eaves), (inset, ridge), (wide - inset, ridge), (wide, eaves)], tiles)
        for y in range(ridge + 4, eaves, 5):
            self.line((inset * (eaves - y) / max(eaves - ridge, 1), y, wide - 1, y), scale(tiles, 0.88))
        if kind == "hip":  # the lines of tiles must not paint past the hips
            self.polygon([(wide, eaves), (wide - inset, 0), (wide, 0)], (0, 0, 0, 0))
        for x in (4, wide - 18) if kind == "ridge" else ():  # chimneys
            self.rectangle((x, 2, x + 14, ridge + 10), scale(wall, 0.85))
        if eaves - ridge > 28 and self._rng.chance(0.4):
            for x in range(30, wide - 40, 60):
                self.rectangle((x, eaves - 26, x + 20, eaves - 2), scale(wall, 1.05))
                self.rectangle((x + 4, eaves - 20, x + 16, eaves - 4), (36, 40, 48))

    def masonry(self, course: int | None) -> None:
        """Draw the wall, with joints every `course` rows."""
        wide, eaves, wall = self._wide, self._eaves, self._wall
        self.rectangle((0, eaves, wide, self._tall), wall)
        for y in range(eaves, self._tall, course) if course else ():
            self.line((0, y, wide, y), scale(wall, 0.9))
        self.rectangle((0, eaves, wide, eaves + 3), scale(wall, self._rng.uniform(0.55, 1.25)))

    def storeys(self, *, shop: bool, ribbon: bool) -> None:
        """Draw rows of windows, above a door or a shop."""
        rng = self._rng
        count = max(1, round((self._tall - self._eaves) / METRE / 3.1))
        storey = (self._tall - self._eaves) / count
        pane = rng.tint((46, 52, 62), 12, self._light)
        trim = rng.tint(rng.pick(TRIMS), 8, self._light)
        columns = max(1, round(self._wide / (rng.uniform(1.6, 3.2) * METRE)))
        pitch = self._wide / columns
        half = pitch * (0.46 if ribbon else rng.uniform(0.2, 0.34))
        arched = rng.chance(0.2)
        for floor in range(count):
            top = self._eaves + floor * storey
            ground = floor == count - 1
            if ground and shop:
                self._shop(top)
                continue
            for column in range(columns):
                middle = (column + 0.5) * pitch
                if ground and column == columns // 2:
                    door = (middle - 9, top + storey * 0.22, middle + 9, top + storey * 0.98)
                    self.rectangle(door, rng.tint(rng.pick(SHOPS), 10, self._light), outline=trim)
                else:
                    box = (middle - half, top + storey * 0.22, middle + half, top + storey * 0.78)
                    self._window(box, pane, trim, arched=arched)
            if rng.chance(0.3):
                self.rectangle((0, top, self._wide, top + 2), scale(self._wall, 1.2))

    def _window(self, box: tuple[float, float, float, float], pane: Colour, trim: Colour, *, arched: bool) -> None:
        left, top, right, bottom = box
        glass = scale(pane, self._rng.uniform(0.5, 1.5))
        if self._rng.chance(0.15):
            glass = scale(trim, 0.7)  # curtains or the sky
        if arched:
            rise = (right - left) / 2
            self.ellipse((left - 1, top - rise, right + 1, top + rise), trim)
            self.ellipse((left + 1, top - rise + 2, right - 1, top + rise), glass)
        self.rectangle((left - 2, top - 2, right + 2, bottom + 2), trim)
        self.rectangle(box, glass)
        self.rectangle((left, top, right, top + (bottom - top) * 0.3), scale(glass, 1.35))
        self.line((left, (top + bottom) / 2, right, (top + bottom) / 2), trim)
        self.line(((left + right) / 2, top, (left + right) / 2, bottom), trim)
        self.rectangle((left - 3, bottom + 2, right + 3, bottom + 4), scale(trim, 0.8))

    def _shop(self, top: float) -> None:
        rng, light, right, bottom = self._rng, self._light, self._wide, self._tall
        paint = rng.tint(rng.pick(SHOPS), 12, light)
        self.rectangle((0, top, right, bottom), scale(paint, 0.8))
        self.rectangle((0, top + 2, right, top + 16), paint)
        letters = scale((236, 232, 220) if sum(paint) < 380 else (40, 40, 50), light)
        x = rng.uniform(0.1, 0.3) * right
        while x < right - rng.uniform(0.1, 0.3) * right:
            step = rng.uniform(3, 7)
            self.rectangle((x, top + 6, x + step, top + 12), letters)
            x += step + 2
        x = 5.0
        while x < right - 14:
            pane = rng.uniform(20, 50)
            edge = min(x + pane, right - 5)
            self.rectangle((x, top + 20, edge, bottom - 8), rng.tint((52, 56, 62), 12, light))
            for _ in range(5):  # goods and reflections
                a, b = rng.uniform(x, edge - 4), rng.uniform(top + 24, bottom - 16)
                colour = rng.tint((120, 112, 100), 45, light)
                self.rectangle((a, b, min(a + 6, right - 5), b + rng.uniform(3, 9)), colour)
            x += pane + 5
