"""Cases of every kind: from good inputs and a generator of random numbers, a folder and a command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from robustness.files import FILES
from robustness.graphs import GRAPHS
from robustness.settings import SETTINGS

Make = Callable[[Path, Path, Random], list[str]]
"""Of (materials, a new folder, a generator): writes what it needs into the folder, gives the arguments."""
KINDS: dict[str, Make] = {**FILES, **SETTINGS, **GRAPHS}


class Case(NamedTuple):
    """One input, which the three say exactly."""

    kind: str
    number: int
    seed: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}:{self.seed}"

    @classmethod
    def of(cls, text: str) -> Case:
        """The case of its name."""
        kind, number, seed = text.rsplit(":", 2)
        return cls(kind, int(number), int(seed))

    def make(self, materials: Path, folder: Path) -> list[str]:
        """Write its files, and give the arguments of the command."""
        return KINDS[self.kind](materials, folder, Random(str(self)))


def cases(count: int, seeds: list[int], kinds: list[str] | None = None) -> list[Case]:
    """About so many cases, the kinds and seeds in turn."""
    chosen = kinds or [*KINDS]
    each = -(-count // (len(chosen) * len(seeds)))
    return [Case(kind, number, seed) for number in range(each) for seed in seeds for kind in chosen]
