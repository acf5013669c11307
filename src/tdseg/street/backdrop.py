"""What lies behind all that stands: the sky, and the ground as a map from above that is seen in perspective."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from tdseg.street.camera import FAR, View
from tdseg.street.draws import Draws
from tdseg.street.plan import LENGTH, Light, Lot, Plan
from tdseg.street.texture import CLASS, Bytes, Colour, Flags, Floats, Label, Pyramid, Span, Words, pack, scale

ALONG, ACROSS = 0.25, 0.04  # metres per texel
HALF_WIDTH = 20.48  # metres; what lies beyond repeats the last column
SHAPE = ROWS, COLUMNS = round(LENGTH / ALONG), round(2 * HALF_WIDTH / ACROSS)  # of the map
ALL_ROWS = slice(None)
WHITE: Colour = (196, 198, 194)
YELLOW: Colour = (196, 168, 74)
KERB_LINES: tuple[tuple[Colour, tuple[float, ...]], ...] = (  # and their distances from the kerb, metres
    (WHITE, ()), (YELLOW, (0.35, 0.55)), (YELLOW, (0.35,)), (WHITE, (0.35,)),
)  # fmt: skip


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
        return scale(0.45 * np.array(rng.tint(colour, spread, light.day)) + 0.55 * np.array(light.sky_low) * 0.8)

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


class Ground:
    """Road, pavements and gardens of a plan, in the light of a day."""

    def __init__(self, rng: Draws, plan: Plan, light: Light) -> None:
        street_map = _Map(rng, plan, light)
        self._map = Pyramid(_levels(street_map.rgb, street_map.label))
        self._grain = _draw_grain(rng)

    def paint(self, words: Words, view: View) -> None:
        """Fill a canvas below the horizon, row by row of constant depth."""
        first, columns = max(0, math.ceil(view.horizon + 0.5)), np.arange(words.shape[1], dtype=np.float32) + 0.5
        rows = np.arange(first, words.shape[0], dtype=np.float32) + 0.5
        columns -= view.centre
        z = np.minimum(view.focal * view.height / (rows - view.horizon), FAR).astype(np.float32)
        offset = view.centre_line(z)
        pixel = z / view.focal  # metres across per pixel
        level = np.clip(np.log2(pixel / ACROSS) + 0.6, 0, len(self._map.starts) - 1).astype(np.int32)
        high, wide = self._map.heights[level].astype(int), self._map.widths[level]
        along = (view.along + z) % LENGTH
        row = np.minimum((along / LENGTH * high).astype(np.int32), high - 1)
        start = self._map.starts[level] + row * wide.astype(np.int32)
        step = pixel * wide / (2 * HALF_WIDTH)
        zero = (HALF_WIDTH - offset) / (2 * HALF_WIDTH) * wide
        place = columns * step[:, None] + zero[:, None]
        np.clip(place, 0, wide[:, None] - 1, out=place)
        index = place.astype(np.int32)
        index += start[:, None].astype(np.int32)
        self._map.texels.take(index, out=words[first:], mode="clip")
        near = int(np.searchsorted(-z, -26.0))
        grain_row = (along[near:] / 0.03).astype(np.int32) % 256
        texel = np.maximum(pixel[near:], 0.012)
        grain_column = (columns * (pixel[near:] / texel)[:, None] - (offset[near:] / texel)[:, None]).astype(np.int32)
        grain_column &= 255
        grain_column += (grain_row * 256)[:, None]
        words[first + near :] += self._grain.take(grain_column, mode="clip")


class _Map:
    """The street from above: `rgb` float32 (ROWS, COLUMNS, 3) in 0..215, `label` uint8 (ROWS, COLUMNS)."""

    def __init__(self, rng: Draws, plan: Plan, light: Light) -> None:
        self.rgb = np.empty((*SHAPE, 3), np.float32)
        self.label = np.empty(SHAPE, np.uint8)
        self._rng, self._plan = rng, plan
        self._along = np.arange(ROWS) * ALONG
        self._across = (np.arange(COLUMNS, dtype=np.float32) + 0.5) * ACROSS - HALF_WIDTH
        self._surfaces()
        self._patches()
        self._marks()
        wear = 1 + 0.05 * rng.noise(SHAPE, 60, octaves=3)
        brightness = np.clip(wear, 0.7, 1.25) * self._sunlight(light) * light.day
        np.clip(self.rgb * brightness[..., None], 0, 215, out=self.rgb)

    def _surfaces(self) -> None:
        rng, half = self._rng, self._plan.half_road
        asphalt = rng.tint((98, 100, 104), 14)
        kerb = rng.tint((140, 138, 132), 12)
        self._fill(1, (-half, half), asphalt, Label.ROAD)
        for side in (-1, 1):
            paving = rng.tint(rng.pick(((112, 110, 108), (128, 118, 108), (100, 100, 104))), 12)
            self._fill(side, (half, HALF_WIDTH), paving, Label.PAVEMENT)
            self.rgb[::3, _columns(side, half, self._plan.edge(side))] *= 0.9
            self._fill(side, (half - 0.3, half), scale(asphalt, 0.8), Label.ROAD)
            self._fill(side, (half, half + 0.16), kerb, Label.PAVEMENT)
            if self._plan.pavements[side] > 3.2 and rng.chance(0.4):
                self._fill(side, (half + 0.3, half + 1.4), rng.tint((74, 86, 48), 10), Label.TREE)
        for lot in self._plan.lots:
            self._lot(lot, asphalt)

    def _lot(self, lot: Lot, asphalt: Colour) -> None:
        half, rows = self._plan.half_road, _rows(lot)
        if lot.kind == "junction":
            self._fill(lot.side, (half - 0.3, HALF_WIDTH), scale(asphalt, 0.96), Label.ROAD, rows)
            stop = slice(rows.start + 2, rows.start + round(lot.length / ALONG / 2))
            self._fill(lot.side, (half + 0.2, half + 0.45), WHITE, Label.ROAD, stop)
        elif lot.kind == "garden" or self._rng.chance(0.4):
            grass = self._rng.tint((70, 84, 44), 14)
            self._fill(lot.side, (self._plan.edge(lot.side), HALF_WIDTH), grass, Label.TREE, rows)

    def _patches(self) -> None:
        """Repairs, tar seams and manhole covers."""
        rng, half = self._rng, self._plan.half_road
        for _ in range(36):
            row, width = int(rng.integers(ROWS - 80)), rng.uniform(0.5, 2.4)
            left = rng.uniform(-half, half - width)
            rows = slice(row, row + int(rng.integers(3, 70)))
            self.rgb[rows, _columns(1, left, left + width)] *= rng.uniform(0.8, 1.12)
        for _ in range(14):
            row, middle = int(rng.integers(ROWS - 4)), rng.uniform(-1, 1) * (half - 0.8)
            self.rgb[row : row + 3, _columns(1, middle - 0.32, middle + 0.32)] *= 0.55
        for side in (-1, 1):  # tyre tracks, darkened by oil in the middle of the lane
            lane = np.exp(-(((self._across - side * self._plan.lane) / 0.45) ** 2))
            self.rgb *= (1 - 0.09 * lane)[None, :, None]

    def _marks(self) -> None:
        rng, plan, half = self._rng, self._plan, self._plan.half_road
        dash, gap = rng.pick(((2, 4), (4, 2), (3, 6), (100, 0)))
        wear = rng.uniform(0.55, 1.0)
        if rng.chance(0.85):
            self._stripe(self._along % (dash + gap) < dash, np.abs(self._across) < 0.07, WHITE, wear)
        kerb = np.ones(ROWS, bool)
        for lot in plan.lots:
            if lot.kind == "junction":
                kerb[_rows(lot)] = False
        colour, insets = rng.pick(KERB_LINES, (0.3, 0.3, 0.2, 0.2))
        for side in (-1, 1):
            d = self._across * side
            if plan.parking[side]:
                line = half - plan.bay
                self._stripe(kerb & rng.pick((True, False)), np.abs(d - line) < 0.05, WHITE, wear * 0.8)
                self._stripe(kerb & (self._along % 6 < 0.25), (d > line) & (d < half - 0.3), WHITE, wear * 0.8)
            else:
                for inset in insets:
                    self._stripe(kerb, np.abs(d - half + inset) < 0.05, colour, wear)
        if rng.chance(0.5):
            start = int(rng.uniform(0.1, 0.8) * ROWS)
            bars = (np.floor((self._across + 40) / 0.5) % 2 == 0) & (np.abs(self._across) < half - 0.3)
            crossing = np.zeros(ROWS, bool)
            crossing[start : start + 12] = True
            self._stripe(crossing, bars, WHITE, wear)

    def _sunlight(self, light: Light) -> Floats:
        """Brightness (ROWS, COLUMNS): buildings and trees on the sunny side throw shadows."""
        rng, plan = self._rng, self._plan
        if not light.sunny:
            near = np.maximum(np.abs(self._across) - plan.half_road, 0)
            return np.broadcast_to(1 - 0.05 * np.minimum(near, 4), SHAPE).astype(np.float32)
        lit = np.ones(SHAPE, np.float32)
        d = self._across * light.sun_side
        skew = rng.uniform(-0.6, 0.6)
        for lot in plan.lots:
            if lot.side != light.sun_side or lot.kind in ("junction", "garden"):
                continue
            reach = lot.height * light.sun_slope
            edge = plan.edge(lot.side) + lot.setback - reach
            first = round((lot.start + skew * reach) / ALONG)
            rows = np.arange(first, first + round(lot.length / ALONG)) % ROWS
            lit[np.ix_(rows, np.flatnonzero(d > edge))] = light.shade
        dapple = rng.noise(SHAPE, 40, octaves=3) > 0.7
        wood = rng.noise((ROWS, 1), 90) > 0.5
        lit[dapple & wood & (d > -1.0)] = light.shade
        small = Image.fromarray(lit).resize((COLUMNS // 4, ROWS), Image.Resampling.BOX)
        return np.asarray(small.resize((COLUMNS, ROWS), Image.Resampling.BILINEAR))

    def _fill(self, side: int, span: Span, colour: Colour, label: Label, rows: slice = ALL_ROWS) -> None:
        """Fill a strip between two distances from the centre line, on one side."""
        columns = _columns(side, *span)
        self.rgb[rows, columns] = colour
        self.label[rows, columns] = label

    def _stripe(self, rows: Flags, columns: Flags, colour: Colour, strength: float) -> None:
        where = np.ix_(np.flatnonzero(rows), np.flatnonzero(columns))
        self.rgb[where] += (np.array(colour, np.float32) - self.rgb[where]) * strength


def _rows(lot: Lot) -> slice:
    return slice(round(lot.start / ALONG), round(lot.end / ALONG))


def _columns(side: int, near: float, far: float) -> slice:
    """The columns between two distances from the centre line, on one side."""
    first, last = sorted((side * near, side * far))
    return slice(max(0, round((first + HALF_WIDTH) / ACROSS)), max(0, round((last + HALF_WIDTH) / ACROSS)))


def _levels(rgb: Floats, label: Bytes) -> list[Words]:
    """Levels of half the width and a quarter of the length each: at depth z a pixel covers z² along, z across."""
    levels = [pack(rgb, label)]
    for _ in range(3):
        rgb = (rgb[::4] + rgb[1::4] + rgb[2::4] + rgb[3::4]) / np.float32(8)
        rgb = rgb[:, ::2] + rgb[:, 1::2]
        label = label[1::4, ::2]
        levels.append(pack(rgb, label))
    return levels


def _draw_grain(rng: Draws) -> Words:
    """Asphalt's stones as words to add to colours: 256 × 256 texels of 1.2 cm by 3 cm, flattened."""
    stones = rng.noise((256, 256), 3, octaves=2) + 0.6 * rng.standard_normal((256, 256), np.float32)
    grey = np.clip(12 + 4.5 * stones, 0, 39).astype(np.uint8)
    return pack(np.repeat(grey[..., None], 3, axis=-1), 0).ravel() & ~CLASS
