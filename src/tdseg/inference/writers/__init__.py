"""The outputs of `segment`, by the names that it knows them by."""

from __future__ import annotations

from collections.abc import Sequence

from tdseg.inference.writers.base import About, Writer
from tdseg.inference.writers.beside import ClassesWriter, LegendWriter
from tdseg.inference.writers.records import ArrayWriter, MaskWriter, RunLengthWriter, ShareWriter
from tdseg.inference.writers.videos import GreyVideoWriter, MatteWriter, OverlayWriter

__all__ = ["BESIDE", "WRITERS", "About", "Writer", "writers_of"]

WRITERS: dict[str, type[Writer]] = {
    "masks": MaskWriter,
    "overlay": OverlayWriter,
    "video": GreyVideoWriter,
    "csv": ShareWriter,
    "rle": RunLengthWriter,
    "npz": ArrayWriter,
    "matte": MatteWriter,
}
"""The outputs by the name that `segment_to(write=)` takes."""
BESIDE: tuple[type[Writer], ...] = (ClassesWriter, LegendWriter)
"""What comes with any of them."""


def writers_of(names: Sequence[str]) -> list[type[Writer]]:
    """The writers of outputs, each once, and those that come with them."""
    chosen = [WRITERS[name] for name in dict.fromkeys(names)]
    return [*chosen, *BESIDE] if chosen else []
