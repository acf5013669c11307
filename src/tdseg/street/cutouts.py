"""Upright cut-outs that stand along the street: trees, hedges, walls, fences, signs, traffic lights."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.draws import Draws
from tdseg.street.houses import BRICKS, METRE, STONES
from tdseg.street.texture import NOTHING, Colour, Floats, Label, Palette, Span, Texture, scale

LEAVES: Palette = ((74, 86, 50), (92, 98, 64), (60, 72, 48), (118, 96, 60), (104, 106, 78))
HEDGES: Palette = ((62, 78, 40), (80, 82, 50), (48, 62, 38))
FENCES: dict[str, Colour] = {
    "railings": (40, 42, 46), "boards": (112, 88, 66), "mesh": (96, 104, 98), "rail": (150, 152, 156),
}  # fmt: skip
BOARDS: Palette = ((24, 90, 60), (30, 70, 160), (230, 230, 226), (220, 180, 40))
LAMPS: Palette = ((255, 50, 40), (255, 180, 40), (60, 255, 150))
BARK: Colour = (70, 60, 52)
TREE = 256  # texels, height and width of the picture of a tree


def wall(rng: Draws, width: float, height: float, light: float) -> Texture:
    """A garden wall of brick or stone."""
    shape = (max(8, round(height * METRE)), round(width * METRE))
    rgb = rng.surface(rng.tint(rng.pick(BRICKS + STONES), 12, light), shape, 0.08, 30, octaves=4)
    rgb[::4] *= 0.88
    rgb[:3] *= 1.25
    return Texture(rgb, Label.BUILDING)


def hedge(rng: Draws, width: float, height: float, light: float) -> Texture:
    """A clipped or ragged hedge."""
    shape = (max(8, round(height * 16)), round(width * 16))
    rgb = rng.surface(rng.tint(rng.pick(HEDGES), 10, light), shape, 0.3, 10, octaves=4)
    rgb *= np.linspace(1.3, 0.6, shape[0], dtype=np.float32)[:, None, None]
    ragged = 2 + shape[0] * 0.12 * (1 + rng.noise((1, shape[1]), 12, octaves=3)[0])
    return Texture(rgb, np.where(np.arange(shape[0])[:, None] < ragged, NOTHING, Label.TREE))


def fence(rng: Draws, width: float, height: float, light: float) -> Texture:
    """Railings, boards, wire mesh or a guard rail."""
    kind = rng.pick(list(FENCES))
    shape = (max(12, round(height * 32)), round(width * 32))
    base = (168, 172, 176) if kind == "railings" and rng.chance(0.3) else FENCES[kind]
    rgb = rng.surface(rng.tint(base, 10, light), shape, 0.07, 20, octaves=3)
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
    return Texture(rgb, Label.FENCE, opacity)


def tree(rng: Draws, light: float, *, bare: bool) -> Texture:
    """A square picture of a tree, its foot at the middle of the lower edge."""
    trunk = rng.tint(BARK, 10, light)
    wood = Image.new("L", (TREE, TREE), 0)
    foot, thickness = (TREE / 2, TREE - 1.0), rng.uniform(6, 11)
    tips = _draw_branch(ImageDraw.Draw(wood), rng, foot, -math.pi / 2, TREE * 0.22, thickness)
    branches = np.asarray(wood).astype(np.float32) / 255
    crown = _draw_crown(rng, tips, 20 if bare else 30)
    twigs = rng.noise((TREE, TREE), 8, octaves=3)
    if bare:
        opacity = np.maximum(branches, np.where(twigs > 0.55, 0.5, 0.05) * crown)
        rgb = np.array(trunk, np.float32) * (1.0 + 0.2 * twigs)[..., None]
        shown = (crown > 0.2) | (branches > 0)
    else:
        leaf = rng.tint(rng.pick(LEAVES), 9, light)
        clumps = rng.noise((TREE, TREE), 40, octaves=2)
        lit = 1 + 0.22 * clumps + 0.24 * twigs - 0.002 * (np.arange(TREE)[:, None] - 110)
        dense = np.clip(crown * 1.25 - 0.22 * np.abs(twigs) * (crown < 0.9) - 0.5 * (twigs < -1.5), 0, 1)
        rgb = np.where((dense > 0.2)[..., None], np.array(leaf) * np.clip(lit, 0.25, 1.9)[..., None], np.array(trunk))
        opacity = np.maximum(branches, dense)
        shown = opacity > 0.2
    return Texture(rgb, np.where(shown, Label.TREE, NOTHING), opacity.astype(np.float32))


def sign(rng: Draws, light: float) -> tuple[Texture, float, float]:
    """A sign plate with its width and height in metres."""
    kind = rng.integers(5)
    image = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(image)
    red, white, blue = (scale(colour, light) for colour in ((186, 30, 36), (232, 232, 230), (30, 70, 160)))
    width, height = 0.75, 0.75
    if kind == 0:
        draw.ellipse((0, 0, 63, 63), red)
        draw.ellipse((9, 9, 54, 54), white)
        draw.rectangle((22, 22, 30, 42), (30, 30, 30))
        draw.rectangle((35, 22, 43, 42), (30, 30, 30))
    elif kind == 1:
        width, height = 0.85, 0.8
        draw.polygon([(32, 0), (63, 60), (0, 60)], red)
        draw.polygon([(32, 16), (51, 53), (13, 53)], white)
    elif kind == 2:
        width, height = 0.7, 0.7
        draw.ellipse((0, 0, 63, 63), blue)
        draw.polygon([(20, 40), (32, 14), (44, 40)], white)
    else:
        ground = rng.pick(BOARDS)
        draw.rectangle((0, 0, 63, 63), scale(ground, light))
        letters = scale((30, 30, 30) if sum(ground) > 400 else (240, 240, 236), light)
        for row in range(8, 56, 16):
            draw.rectangle((6, row, int(rng.integers(24, 58)), row + 6), letters)
        width, height = rng.uniform(0.6, 1.8), rng.uniform(0.5, 1.2)
    return Texture.drawn(image, Label.SIGN), width, height


def traffic_light(light: float, state: int) -> Texture:
    """A signal head of 0.4 m by 1.1 m; state 0 red, 1 amber, 2 green."""
    image = Image.new("RGBA", (32, 88), scale((30, 32, 34), light))
    draw = ImageDraw.Draw(image)
    for lamp, colour in enumerate(LAMPS):
        draw.ellipse((7, 6 + lamp * 27, 25, 24 + lamp * 27), colour if lamp == state else scale(colour, 0.16))
    return Texture.drawn(image, Label.SIGN)


def _draw_branch(
    draw: ImageDraw.ImageDraw, rng: Draws, foot: Span, angle: float, length: float, width: float
) -> list[Span]:
    """Draw a branch and all that grow from it; returns their ends."""
    tip = (foot[0] + length * math.cos(angle), foot[1] + length * math.sin(angle))
    draw.line([foot, tip], fill=255, width=max(1, round(width)))
    tips = [tip]
    for _ in range(0 if length < 9 else 3 if length > 24 else 2):
        turn = rng.normal(0, 0.5)
        tips += _draw_branch(draw, rng, tip, angle + turn, length * rng.uniform(0.62, 0.82), width * 0.62)
    return tips


def _draw_crown(rng: Draws, tips: list[Span], radius: float) -> Floats:
    """How much of the crown lies around each texel, 0..1: discs around the branches' tips, ragged by noise."""
    image = Image.new("L", (TREE, TREE), 0)
    draw = ImageDraw.Draw(image)
    for x, y in tips:
        if y < TREE * 0.78:
            r = radius * rng.uniform(0.5, 1.0)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    small = image.resize((TREE // 8, TREE // 8), Image.Resampling.BOX).resize((TREE, TREE), Image.Resampling.BICUBIC)
    soft = np.asarray(small).astype(np.float32) / 255 + 0.12 * rng.noise((TREE, TREE), 16, octaves=3)
    margin = np.minimum(np.arange(TREE), np.arange(TREE)[::-1]) / 40  # crowns end before the picture does
    soft *= np.minimum(1, margin)[None] * np.minimum(1, np.arange(TREE) / 20)[:, None]
    return np.asarray(np.clip((soft - 0.4) * 4, 0, 1), np.float32)
