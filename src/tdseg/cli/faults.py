"""Errors that nobody foresaw: those of the machine, and faults of tdseg itself."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from rich.markup import escape

from tdseg.cli.terminal import err
from tdseg.errors import ConfigError, TdsegError, first_line, shortened
from tdseg.system import __version__

DEBUG = "TDSEG_DEBUG"
"""Of the environment: where it is set, a fault of tdseg itself shows its traceback."""
_PACKAGE = str(Path(__file__).parents[1])


def as_refusal(error: Exception) -> TdsegError | None:
    """The error to tell: ours, or one for what the system does not give; None for a fault of tdseg itself."""
    if isinstance(error, TdsegError):
        return error
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        return ConfigError(
            f"out of memory: {first_line(error)}",
            expected="work that fits into the memory of this machine",
            do="choose a smaller size, batch or number of workers; if the input is small, it is damaged",
        )
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return ConfigError(
            f"{os.fsdecode(error.filename)}: {error.strerror}",
            expected="a file or folder that can be used",
            do="check the path and its permissions",
        )
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return ConfigError(str(error), expected="a path that leads somewhere", do="remove the link")
    return None


def tell_fault(error: Exception) -> None:
    """Print what is to be reported of a fault of tdseg itself.

    Raises:
        Exception: the fault, where it is to be looked into.
    """
    if os.environ.get(DEBUG):
        raise error
    err.print(f"[bold red]tdseg failed:[/] {escape(_told(error))}", soft_wrap=True)


def _told(error: Exception) -> str:
    """What is to be reported of a fault of tdseg itself: in one line the error, and where it was met."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(_PACKAGE)] or frames
    what = f"{type(error).__name__}: {first_line(error)} ({os.path.basename(own[-1].filename)}:{own[-1].lineno})"
    return (
        f"{shortened(what, 400)}\n  expected: an answer to any input, so this is a fault of tdseg {__version__}\n"
        f"  do this:  report that line with the command; with {DEBUG}=1 in the environment its traceback is shown"
    )
