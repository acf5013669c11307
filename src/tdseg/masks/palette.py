"""Colours of classes: the default ones, and those that a palette file gives to coloured masks."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import DataError
from tdseg.files import read_text
from tdseg.metrics.iou import VOID

Color = tuple[int, int, int]
"""RGB, 0..255."""
Colors = NDArray[np.uint8]
"""RGB of every mask value, (256, 3), as `color_table` gives."""


class Palette(NamedTuple):
    """The classes of coloured masks, in order of their index."""

    source: str
    """File they come from, printable."""
    names: tuple[str, ...]
    """One called void, in any case, is not a class: its pixels become 255."""
    colors: NDArray[np.uint8]
    """(C, 3) RGB."""


def color_table(palette: Sequence[Color] = ()) -> Colors:
    """RGB of every mask value, uint8 (256, 3): the palette, then hues by the golden angle, white for 255."""
    hues = (colorsys.hsv_to_rgb(0.618034 * value % 1, 0.65, 0.95) for value in range(256))
    table = np.array([[round(255 * channel) for channel in color] for color in hues], dtype=np.uint8)
    table[: len(palette)] = np.reshape(palette, (-1, 3))
    table[VOID] = 255
    return table


def default_palette(count: int) -> tuple[Color, ...]:
    """Colours for classes that have none of their own, those of `color_table`."""
    return tuple((r, g, b) for r, g, b in color_table()[:count].tolist())


def read_palette(path: str | Path) -> Palette:
    """The classes in a text file: a line "R G B name" for each, in order of index; empty and # lines are skipped.

    Raises:
        DataError: the file cannot be read, a line has another form or repeats a colour or class, or there are none or
            over 254.
    """
    names: dict[tuple[int, ...], str] = {}
    for number, line in numbered_lines(path):
        got = f"{path}, line {number}: {line!r}"
        match = re.fullmatch(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)", line)
        color = tuple(int(part) for part in match.groups()[:3]) if match else ()
        if not match or max(color) > 255:
            raise DataError(
                got,
                expected="red, green and blue 0 … 255 and the name of the class",
                do="write it like 128 64 128 Road",
            )
        if color in names:
            raise DataError(
                f"{got} has the colour of {names[color]}",
                expected="a colour of its own for each class",
                do="give one of them another, as in the masks",
            )
        if (name := match[4]) in names.values() and name.lower() != "void":
            raise DataError(
                f"{got} repeats the class {name}",
                expected="a name of its own for each class",
                do="give it another name; only void may have several colours",
            )
        names[color] = name
    if not 0 < len(names) < VOID:
        raise DataError(f"{path}: {len(names)} classes", expected="1 … 254", do="write one line for each class")
    return Palette(str(path), tuple(names.values()), np.array(list(names), np.uint8))


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1, stripped; empty and # lines are skipped.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        lines = [line.strip() for line in read_text(Path(path)).removeprefix("\ufeff").splitlines()]
    except (OSError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or "not a text file of a usual size") from None
    return ((number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#"))


def unreadable(path: str | Path, why: str) -> DataError:
    """The error for a file or folder that cannot be read."""
    return DataError(
        f"{path}: {why}", expected="something that exists and may be read", do="check the path and the file"
    )
