"""How classes look in pictures: their colours, how much these cover, and whether they are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tdseg.errors import ConfigError, DataError
from tdseg.masks.classes import plain_name
from tdseg.masks.palette import Colors, read_palette
from tdseg.metrics.iou import VOID


@dataclass(frozen=True)
class Appearance:
    """How classes look in pictures.

    Attributes:
        palette: File with a line "R G B name" for each class that is to have another colour.
        opacity: Of the colours over the picture, 0 … 1.
        legend: Name the classes of the video in a corner of the overlay.
    """

    palette: str | Path | None = None
    opacity: float = 0.5
    legend: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ConfigError(f"opacity {self.opacity}", expected="0 … 1", do="choose another --opacity")

    def recolored(self, names: Sequence[str], colors: Colors) -> Colors:
        """The colours of classes, (256, 3), with those of the palette by name; case and underscores do not count.

        Raises:
            DataError: the palette cannot be read, or names what is no class.
        """
        if self.palette is None:
            return colors
        palette, table = read_palette(self.palette), colors.copy()
        known = [plain_name(name) for name in names]
        for name, color in zip(palette.names, palette.colors, strict=True):
            indices = [index for index, one in enumerate(known) if one == plain_name(name)]
            if plain_name(name) == "void":
                indices.append(VOID)
            if not indices:
                raise DataError(
                    f"{self.palette}: {name!r} is no class of the model",
                    expected=", ".join(names),
                    do="name the class as the model does, or take the line out",
                )
            table[indices] = color
        return table
