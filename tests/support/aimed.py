"""Something done to a program at a call that changes files, counted from its start: a signal, or a stop."""

from __future__ import annotations

import builtins
import functools
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import tdseg

CHANGES = ("unlink", "remove", "rename", "replace", "mkdir", "rmdir", "fsync", "ftruncate", "link", "symlink", "open")
"""Of `os`: all that pathlib and shutil go through."""
PUBLISHING: tuple[str, ...] = ("files", "inference/output.py", "inference/parts.py")
PUBLISHING += ("train/checkpoints.py", "train/card.py", "zoo/checkpoint.py")
"""Files of the package that put results in their places."""
_PACKAGE = Path(tdseg.__file__).parent


class Aim:
    """Counts calls of functions that change files, and does something at one of them.

    Args:
        at: the number of that call, from 0; None: only count.
        act: what to do, just before the call; where a file is opened by Python, just after, when nothing is written.
        within: files of the package, relative to it, or folders of it: calls count while a function of one of them
            runs. None: all calls.

    Attributes:
        calls: how many there were.
    """

    def __init__(self, at: int | None, act: Callable[[], object], within: Sequence[str] | None) -> None:
        self._at, self._act = at, act
        self._within = None if within is None else tuple(str(_PACKAGE / name) for name in within)
        self.calls = 0

    def take(self) -> None:
        """From now on calls are counted, in this whole process."""
        for name in CHANGES:
            setattr(os, name, self._counted(getattr(os, name)))
        io.open = builtins.open = self._counted(io.open, before=False)

    def _counted(self, function: Any, *, before: bool = True) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            if before:
                self._count()
            result = function(*args, **options)
            if not before:
                self._count()
            return result

        return call

    def _count(self) -> None:
        if self._within is None or self._runs(sys._getframe(2)):
            self.calls += 1
            if self.calls - 1 == self._at:
                self._act()

    def _runs(self, frame: FrameType | None) -> bool:
        assert self._within is not None
        while frame is not None:
            if frame.f_code.co_filename.startswith(self._within):
                return True
            frame = frame.f_back
        return False
