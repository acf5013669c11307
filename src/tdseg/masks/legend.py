"""The classes of pictures, named: in a corner of a video, in a table, in a strip below a still."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tdseg.masks.palette import Colors

SMALLEST = 200
"""Shortest side of a picture that has room for a legend, pixels."""
SEEN = 0.002
"""Share of a picture from which on a class is there, 0..1: a few stray pixels are not worth a name."""
HEIGHT, WIDTH = 0.5, 1 / 3
"""Of the picture, what a legend covers at the most."""
BACKGROUND = (22, 24, 29)
INK = (240, 241, 244)


class Legend:
    """The legend of a video: it names all classes, where there is room for them, so that it stands still.

    Where there is not, it names those that were seen so far; of more than find room those that covered most, and how
    many more there are.

    Args:
        classes: names by index.
        colors: RGB of every mask value.
    """

    def __init__(self, classes: Sequence[str], colors: Colors) -> None:
        self._classes, self._colors = classes, colors
        self._covered = np.zeros(256)
        self._seen = np.zeros(256, bool)
        self._drawn_for: tuple[int, ...] = ()
        self._box = np.zeros((0, 0, 3), np.uint8)
        self._ground = np.zeros((0, 0, 3), np.uint8)

    def draw_on(self, picture: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
        """Draw it into the upper left corner of a picture, (H, W, 3); one that is too small stays as it is.

        Args:
            picture: RGB.
            counts: pixels of each mask value in it, (256,).
        """
        shares = counts / counts.sum()
        self._covered += shares
        self._seen |= shares >= SEEN
        self._seen[len(self._classes) :] = False  # void, which has no name
        height, width = picture.shape[:2]
        text = min(max(round(min(height, width) / 40), 10), 28)
        row, margin = round(1.45 * text), text // 2
        rows = int((HEIGHT * height - 2 * margin) / row)
        shown = np.flatnonzero(self._seen) if len(self._classes) > rows else np.arange(len(self._classes))
        if min(height, width) < SMALLEST or not len(shown):
            return
        more = 0
        if len(shown) > rows:
            more = len(shown) - rows + 1
            shown = np.sort(shown[np.argsort(-self._covered[shown], kind="stable")][: rows - 1])
        key = (height, width, more, *shown.tolist())
        if key != self._drawn_for:
            self._drawn_for, self._box = key, self._drawn(shown.tolist(), more, text, int(WIDTH * width))
            is_ground = (self._box == BACKGROUND).all(2, keepdims=True)
            self._ground = np.where(is_ground, np.uint8(0x3F), np.uint8(0)).repeat(3, 2)
            self._box = np.where(is_ground, np.array(BACKGROUND, np.uint8) // 4 * 3, self._box)
        box = self._box
        corner = picture[margin : margin + box.shape[0], margin : margin + box.shape[1]]
        corner[...] = ((corner >> 2) & self._ground) + box  # a quarter of the picture where no ink is

    def _drawn(self, shown: list[int], more: int, text: int, widest: int) -> NDArray[np.uint8]:
        font, row, swatch = ImageFont.load_default(text), round(1.45 * text), text
        names = [_fitted(self._classes[index], font, widest - swatch - 2 * text) for index in shown]
        lines = [*names, *([_fitted(f"+ {more} more", font, widest - swatch - 2 * text)] if more else [])]
        width = max(round(font.getlength(line)) for line in lines) + swatch + 2 * text
        box = Image.new("RGB", (width, row * len(lines) + text // 2), BACKGROUND)
        pen = ImageDraw.Draw(box)
        for line, name in enumerate(lines):
            middle = text // 4 + row * line + row // 2
            left = text // 2
            if line < len(shown):
                top = middle - swatch // 2
                color = tuple(self._colors[shown[line]].tolist())
                pen.rectangle((left, top, left + swatch - 1, top + swatch - 1), fill=color)
            pen.text((left + swatch + text // 2, middle), name, fill=INK, font=font, anchor="lm")
        return np.asarray(box)


def _fitted(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a name as is so wide, pixels."""
    if font.getlength(name) <= width:
        return name
    while name and font.getlength(name + "…") > width:
        name = name[:-1]
    return name.rstrip() + "…"


def class_table(classes: Sequence[str], colors: Colors) -> Image.Image:
    """A picture of the colour, index and name of each class, in as many columns as make it handy."""
    font, row, swatch, tall = ImageFont.load_default(16), 26, 16, 30
    names = [f"{index}  {name}" for index, name in enumerate(classes)]
    width = max(round(font.getlength(name)) for name in names) + 3 * swatch
    table = Image.new(
        "RGB", (width * -(-len(names) // tall) + swatch, row * min(len(names), tall) + swatch), BACKGROUND
    )
    pen = ImageDraw.Draw(table)
    for index, name in enumerate(names):
        left, top = swatch + index // tall * width, swatch // 2 + index % tall * row
        color = tuple(colors[index].tolist())
        pen.rectangle((left, top + 5, left + swatch - 1, top + 4 + swatch), fill=color)
        pen.text((left + swatch + 8, top + 5 + swatch // 2), name, fill=INK, font=font, anchor="lm")
    return table


def shares_strip(mask: NDArray[np.uint8], classes: Sequence[str], colors: Colors, width: int) -> Image.Image:
    """A strip of the given width: colour, name and share of every class in the mask, the largest first."""
    shares = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
    texts = {
        value: f"{classes[value] if value < len(classes) else f'class {value}'}  {share:.1%}"
        for value, share in sorted(enumerate(shares), key=lambda item: -item[1])
        if share > 0
    }
    swatch, row, gap, font = 14, 26, 22, ImageFont.load_default(15)
    strip = Image.new("RGB", (width, row * len(texts)), BACKGROUND)
    pen = ImageDraw.Draw(strip)
    x = y = 0
    for value, text in texts.items():
        length = swatch + 8 + round(pen.textlength(text, font=font))
        if x and x + length > width:
            x, y = 0, y + row
        color = tuple(int(channel) for channel in colors[value])
        pen.rounded_rectangle((x, y + 4, x + swatch, y + 4 + swatch), 3, fill=color)
        pen.text((x + swatch + 8, y + 4 + swatch // 2), text, fill=INK, font=font, anchor="lm")
        x += length + gap
    return strip.crop((0, 0, width, y + row))
