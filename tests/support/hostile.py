"""A pickle that does something when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Hostile:
    """Unpickled, it makes the file; so a test sees whether it was."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.touch, (self.victim,)
