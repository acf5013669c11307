"""House fronts, walls, hedges and fences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.texture import NOTHING, Colour, Label, Texture, noise, scale, vary

METRE = 20  # texels of a house front
BRICKS: tuple[Colour, ...] = ((128, 72, 54), (150, 104, 74), (176, 148, 104), (110, 84, 72), (158, 134, 110))
PLASTERS: tuple[Colour, ...] = ((206, 198, 182), (222, 220, 214), (188, 176, 150), (196, 180, 168), (158, 164, 168))
STONES: tuple[Colour, ...] = ((150, 140, 118), (128, 120, 106), (170, 160, 138))
CONCRETES: tuple[Colour, ...] = ((134, 134, 132), (112, 116, 122), (160, 158, 150))
ROOFS: tuple[Colour, ...] = ((74, 74, 82), (98, 66, 54), (86, 80, 74), (60, 62, 66))
SHOPS: tuple[Colour, ...] = (
    (24, 54, 110), (130, 26, 30), (20, 84, 60), (40, 40, 44), (196, 150, 40), (210, 206, 196), (90, 40, 100),
)  # fmt: skip


class Roof(NamedTuple):
    """A roof seen from the street."""

    kind: str  # "flat", "ridge" (with chimneys), "gable" or "hip"
    rise: float  # metres from the eaves to the highest point


def draw_roof(rng: np.random.Generator) -> Roof:
    """A random roof."""
    kind = str(rng.choice(["flat", "ridge", "gable", "hip"], p=[0.4, 0.3, 0.15, 0.15]))
    low, high = {"flat": (0.2, 0.5), "ridge": (2.2, 3.6), "gable": (2.0, 3.6), "hip": (1.5, 3.0)}[kind]
    return Roof(kind, float(rng.uniform(low, high)))


def front(rng: np.random.Generator, width: float, height: float, roof: Roof, light: float, *, shop: bool) -> Texture:
    """A house front, its width and the height of its eaves in metres; the roof comes on top."""
    walls = ("brick", "plaster", "stone", "concrete") if roof.kind == "flat" else ("brick", "plaster", "stone")
    material = str(rng.choice(walls))
    top = height + roof.rise
    wide, tall, eaves = round(width * METRE), round(top * METRE), round((top - height) * METRE)
    image = Image.new("RGBA", (wide, tall), (0, 0, 0, NOTHING))
    draw = ImageDraw.Draw(image)
    bases = {"brick": BRICKS, "plaster": PLASTERS, "stone": STONES, "concrete": CONCRETES}[material]
    wall = vary(rng, bases[rng.integers(len(bases))], 14, light)
    _roof(draw, rng, roof.kind, (wide, eaves), wall, light)
    draw.rectangle((0, eaves, wide, tall), fill=_house(wall))
    if material in ("brick", "stone"):
        course = 3 if material == "brick" else 9
        for y in range(eaves, tall, course):
            draw.line((0, y, wide, y), fill=_house(scale(wall, 0.9)))
    draw.rectangle((0, eaves, wide, eaves + 3), fill=_house(scale(wall, rng.uniform(0.55, 1.25))))
    _storeys(draw, rng, (wide, tall), eaves, wall, light, shop=shop, ribbon=material == "concrete")
    grain = 1 + 0.05 * noise(rng, (tall, wide), 40, octaves=4) + 0.04 * rng.standard_normal((tall, wide), np.float32)
    grain *= np.linspace(1.06, 0.86, tall, dtype=np.float32)[:, None]  # dirt and less sky towards the ground
    return Texture.from_image(image, grain)


def flank(rng: np.random.Generator, height: float, light: float) -> Texture:
    """The blank flank of a house, 8 m deep."""
    bases = BRICKS + PLASTERS
    wall = np.array(vary(rng, bases[rng.integers(len(bases))], 14, light), np.float32)
    shape = (round(height * 8), 64)
    rgb = wall * (1 + 0.08 * noise(rng, shape, 16, octaves=3))[..., None]
    if rng.random() < 0.6:
        for top in range(8, shape[0] - 24, 24):
            left = int(rng.integers(8, 40))
            rgb[top : top + 11, left : left + 8] = 40 * light
    return Texture(np.clip(rgb, 0, 255), np.full(shape, Label.BUILDING, np.uint8))


def wall(rng: np.random.Generator, width: float, height: float, light: float) -> Texture:
    """A garden wall of brick or stone."""
    bases = BRICKS + STONES
    base = np.array(vary(rng, bases[rng.integers(len(bases))], 12, light), np.float32)
    shape = (max(8, round(height * METRE)), round(width * METRE))
    rgb = base * (1 + 0.08 * noise(rng, shape, 30, octaves=4))[..., None]
    rgb[::4] *= 0.88
    rgb[:3] *= 1.25
    return Texture(np.clip(rgb, 0, 255), np.full(shape, Label.BUILDING, np.uint8))


def hedge(rng: np.random.Generator, width: float, height: float, light: float) -> Texture:
    """A clipped or ragged hedge."""
    shape = (max(8, round(height * 16)), round(width * 16))
    leaf = np.array(vary(rng, ((62, 78, 40), (80, 82, 50), (48, 62, 38))[rng.integers(3)], 10, light), np.float32)
    rgb = leaf * np.clip(1 + 0.3 * noise(rng, shape, 10, octaves=4), 0.3, 2)[..., None]
    rgb *= np.linspace(1.3, 0.6, shape[0], dtype=np.float32)[:, None, None]
    ragged = 2 + shape[0] * 0.12 * (1 + noise(rng, (1, shape[1]), 12, octaves=3)[0])
    label = np.where(np.arange(shape[0])[:, None] < ragged, NOTHING, Label.TREE).astype(np.uint8)
    return Texture(np.clip(rgb, 0, 255), label)


def fence(rng: np.random.Generator, width: float, height: float, light: float) -> Texture:
    """Railings, boards, wire mesh or a guard rail."""
    kind = ("railings", "boards", "mesh", "rail")[rng.integers(4)]
    shape = (max(12, round(height * 32)), round(width * 32))
    base = {"railings": (40, 42, 46), "boards": (112, 88, 66), "mesh": (96, 104, 98), "rail": (150, 152, 156)}[kind]
    if kind == "railings" and rng.random() < 0.3:
        base = (168, 172, 176)
    colour = np.array(vary(rng, base, 10, light), np.float32)
    rgb = colour * (1 + 0.07 * noise(rng, shape, 20, octaves=3))[..., None]
    opacity = np.zeros(shape, np.float32)
    x, y = np.arange(shape[1]), np.arange(shape[0])
    if kind == "boards":
        opacity[:] = 1
        rgb[:, x % 5 == 0] *= 0.6
        rgb[:, (x // 5) % 3 == 1] *= 0.92
    elif kind == "mesh":
        opacity[:] = 0.4
    elif kind == "railings":
        opacity[:, x % 5 < 2] = 1
    else:
        opacity[round(shape[0] * 0.05) : round(shape[0] * 0.3)] = 1
        opacity[round(shape[0] * 0.5) : round(shape[0] * 0.72)] = 1
    opacity[:, x % 64 < 3] = 1  # posts
    opacity[(y < 3) | ((y > shape[0] - 6) & (y < shape[0] - 3))] = 1
    return Texture(np.clip(rgb, 0, 255), np.full(shape, Label.FENCE, np.uint8), opacity)


def _house(colour: Colour) -> tuple[int, int, int, int]:
    return (*colour, int(Label.BUILDING))


def _roof(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, kind: str, size: tuple[int, int], wall: Colour, light: float
) -> None:
    wide, eaves = size
    tiles = vary(rng, ROOFS[rng.integers(len(ROOFS))], 10, light)
    if kind == "flat":
        draw.rectangle((0, 0, wide, eaves), fill=_house(scale(wall, 0.8)))
    elif kind == "gable":
        draw.polygon([(-3, eaves), (wide / 2, 0), (wide + 3, eaves)], fill=_house(wall))
        draw.line([(-3, eaves), (wide / 2, 0), (wide + 3, eaves)], fill=_house(tiles), width=5)
        draw.rectangle((wide / 2 - 8, eaves * 0.55, wide / 2 + 8, eaves * 0.95), fill=_house((34, 36, 42)))
    else:
        inset = 0 if kind == "ridge" else wide * 0.2
        ridge = METRE if kind == "ridge" else 0
        draw.polygon([(0, eaves), (inset, ridge), (wide - inset, ridge), (wide, eaves)], fill=_house(tiles))
        for y in range(ridge + 4, eaves, 5):
            draw.line((inset * (eaves - y) / max(eaves - ridge, 1), y, wide - 1, y), fill=_house(scale(tiles, 0.88)))
        if kind == "hip":  # the lines of tiles must not paint past the hips
            draw.polygon([(wide, eaves), (wide - inset, 0), (wide, 0)], fill=(0, 0, 0, NOTHING))
        for x in (4, wide - 18) if kind == "ridge" else ():
            draw.rectangle((x, 2, x + 14, ridge + 10), fill=_house(scale(wall, 0.85)))
        if eaves - ridge > 28 and rng.random() < 0.4:
            for x in range(30, wide - 40, 60):
                draw.rectangle((x, eaves - 26, x + 20, eaves - 2), fill=_house(scale(wall, 1.05)))
                draw.rectangle((x + 4, eaves - 20, x + 16, eaves - 4), fill=_house((36, 40, 48)))


def _storeys(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    size: tuple[int, int],
    eaves: int,
    wall: Colour,
    light: float,
    *,
    shop: bool,
    ribbon: bool,
) -> None:
    wide, tall = size
    count = max(1, round((tall - eaves) / METRE / 3.1))
    storey = (tall - eaves) / count
    pane = vary(rng, (46, 52, 62), 12, light)
    trim = vary(rng, ((226, 224, 220), (216, 212, 204), (60, 58, 58), (120, 90, 64))[rng.integers(4)], 8, light)
    pitch = rng.uniform(1.6, 3.2) * METRE
    columns = max(1, round(wide / pitch))
    pitch = wide / columns
    half = pitch * (0.46 if ribbon else rng.uniform(0.2, 0.34))
    arched = bool(rng.random() < 0.2)
    for floor in range(count):
        top = eaves + floor * storey
        ground = floor == count - 1
        if ground and shop:
            _shop(draw, rng, (0, top, wide, tall), light)
            continue
        for column in range(columns):
            middle = (column + 0.5) * pitch
            door = ground and column == columns // 2
            box = (middle - half, top + storey * 0.22, middle + half, top + storey * (0.98 if door else 0.78))
            if door:
                colour = vary(rng, SHOPS[rng.integers(len(SHOPS))], 10, light)
                draw.rectangle((middle - 9, box[1], middle + 9, box[3]), fill=_house(colour), outline=_house(trim))
            else:
                _window(draw, rng, box, pane, trim, arched=arched)
        if rng.random() < 0.3:
            draw.rectangle((0, top, wide, top + 2), fill=_house(scale(wall, 1.2)))


def _window(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    box: tuple[float, float, float, float],
    pane: Colour,
    trim: Colour,
    *,
    arched: bool,
) -> None:
    left, top, right, bottom = box
    glass = scale(pane, rng.uniform(0.5, 1.5))
    if rng.random() < 0.15:
        glass = scale(trim, 0.7)  # curtains or the sky
    if arched:
        draw.ellipse((left - 1, top - (right - left) / 2, right + 1, top + (right - left) / 2), fill=_house(trim))
        draw.ellipse((left + 1, top - (right - left) / 2 + 2, right - 1, top + (right - left) / 2), fill=_house(glass))
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=_house(trim))
    draw.rectangle((left, top, right, bottom), fill=_house(glass))
    draw.rectangle((left, top, right, top + (bottom - top) * 0.3), fill=_house(scale(glass, 1.35)))
    draw.line((left, (top + bottom) / 2, right, (top + bottom) / 2), fill=_house(trim))
    draw.line(((left + right) / 2, top, (left + right) / 2, bottom), fill=_house(trim))
    draw.rectangle((left - 3, bottom + 2, right + 3, bottom + 4), fill=_house(scale(trim, 0.8)))


def _shop(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[float, float, float, float], light: float
) -> None:
    left, top, right, bottom = box
    paint = vary(rng, SHOPS[rng.integers(len(SHOPS))], 12, light)
    draw.rectangle(box, fill=_house(scale(paint, 0.8)))
    draw.rectangle((left, top + 2, right, top + 16), fill=_house(paint))
    letters = (236, 232, 220) if sum(paint) < 380 else (40, 40, 50)
    x = left + rng.uniform(0.1, 0.3) * (right - left)
    while x < right - rng.uniform(0.1, 0.3) * (right - left):
        step = float(rng.uniform(3, 7))
        draw.rectangle((x, top + 6, x + step, top + 12), fill=_house(scale(letters, light)))
        x += step + 2
    x = left + 5
    while x < right - 14:
        pane = float(rng.uniform(20, 50))
        glass = vary(rng, (52, 56, 62), 12, light)
        draw.rectangle((x, top + 20, min(x + pane, right - 5), bottom - 8), fill=_house(glass))
        for _ in range(5):  # goods and reflections
            a, b = rng.uniform(x, min(x + pane, right - 5) - 4), rng.uniform(top + 24, bottom - 16)
            fill = _house(vary(rng, (120, 112, 100), 45, light))
            draw.rectangle((a, b, min(a + 6, right - 5), b + float(rng.uniform(3, 9))), fill=fill)
        x += pane + 5
