"""What says which classes the values and colours of the masks are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdseg.inference.parts import Part
from tdseg.inference.writers.base import About, Writer
from tdseg.masks.legend import class_table


class ClassesWriter(Writer):
    """The colour and name of each class, a line each, as palette files have them."""

    pattern = "classes.txt"

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """Write it."""
        colors = zip(about.colors.tolist(), about.classes, strict=False)
        rows = (f"{r} {g} {b} {name}\n" for (r, g, b), name in colors)
        text = "# red green blue name; the first class is 0, the next one 1, and so on\n" + "".join(rows)
        cls.place(folder).write_text(text, encoding="utf-8")


class LegendWriter(Writer):
    """A picture of the colour, index and name of each class."""

    pattern = "legend.png"

    @classmethod
    def join(cls, about: About, parts: Sequence[Part], folder: Path) -> None:
        """Draw it."""
        class_table(about.classes, about.colors).save(cls.place(folder))
