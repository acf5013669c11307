"""What every verb shares: the terminal, exit codes, sizes and progress."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

from cyclopts import Parameter
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from tdseg.errors import STEERING, ConfigError, shortened, visible
from tdseg.files import check_target, write_whole
from tdseg.system import missing_package

T = TypeVar("T")
LINE_S = 10.0
"""Between two lines of progress, where there is no terminal, seconds."""
PACKAGE = Path(__file__).parents[1]
DONE, IN_PART, REFUSED, BROKEN, INTERRUPTED = 0, 1, 2, 70, 130
"""How a command ends; BROKEN, EX_SOFTWARE of sysexits.h, is a fault of tdseg itself."""


def _check(_: Any, target: Path | None) -> None:
    if target:
        check_target(target)


Quiet = Annotated[bool, Parameter(help="Print errors only.")]
Json = Annotated[Path | None, Parameter(help="Write the figures to this file.", validator=_check)]
Page = Annotated[Path | None, Parameter(help="Write them to this file as a page to look at, HTML.", validator=_check)]
"""Files that a verb writes are checked before it runs."""


class Terminal(Console):
    """A console that nothing in a text steers, and whose reader may go: that stops the printing, and not the work."""

    def print(self, *objects: Any, **options: Any) -> None:
        """See Console."""
        try:
            super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)
        except OSError as error:  # of a broken pipe Console itself tells
            self.on_broken_pipe()
            if self is not err:
                warn("note:", f"what follows cannot be printed: {error.strerror}")

    def on_broken_pipe(self) -> None:
        """See Console: nothing more is printed, such as for head, which has seen enough."""
        self.quiet = True
        with suppress(OSError, ValueError):  # else Python fails when it writes the rest at its end
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, (sys.stderr if self.stderr else sys.stdout).fileno())
            os.close(null)


out = Terminal(highlight=False)
err = Terminal(stderr=True, highlight=False)


def say(line: str) -> None:
    """Print a line of the result, however long."""
    out.print(line, soft_wrap=True)


def show(*headers: str | Column, rows: Iterable[Iterable[RenderableType]]) -> None:
    """Print a table without lines; text in it is printed as it is."""
    table = Table(*map(_plain, headers), box=None, show_header=bool(headers))
    for row in rows:
        table.add_row(*map(_plain, row))
    out.print(table)


def _plain(cell: T) -> T | str:
    return escape(visible(cell)) if isinstance(cell, str) else cell


def warn(kind: str, what: str) -> None:
    """Print what did not go as it should."""
    err.print(f"[yellow]{kind}[/] {escape(what)}".rstrip(), soft_wrap=True)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "HxW".

    Raises:
        ConfigError: another form.
    """
    match = re.fullmatch(r"(\d{1,18})[xX](\d{1,18})", text, re.ASCII)
    if not match:
        raise ConfigError(
            f"size {shortened(text)!r}", expected="HxW in pixels", do="write the height first, such as 360x480"
        )
    return int(match[1]), int(match[2])


def print_json(figures: Any) -> None:
    """Print figures for a program to read."""
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    text = STEERING.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
    out.print(text, markup=False, soft_wrap=True)


def write_json(figures: dict[str, Any], path: Path | None) -> None:
    """Write figures, if that was asked for; a former file is replaced when the new one is whole.

    Raises:
        OutputError: it cannot be written.
    """
    if path:
        write_whole(path, json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        err.print(f"[dim]{escape(record.getMessage())}[/]", soft_wrap=True)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """What tdseg warns of is told as its notes are; warnings of other packages are printed as Python does."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if Path(filename).is_relative_to(PACKAGE):
            logging.getLogger("tdseg").warning("note: %s", message)
        else:
            plain(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        plain, warnings.showwarning = warnings.showwarning, show
        yield


class _Fps(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f} fps")


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Where the packages of an extra are imported.

    Raises:
        ConfigError: one of them is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(error.name, extra) from None


def _progress_lines() -> Callable[[int, int | None], None]:
    """What prints the progress for logs, at most every LINE_S seconds; short work prints nothing."""
    begun, told_s, before = time.monotonic(), 0.0, 0

    def tell(done: int, total: int | None) -> None:
        nonlocal begun, told_s, before
        if done < before:  # the next of several
            begun, told_s = time.monotonic(), 0.0
        passed_s, before = time.monotonic() - begun, done
        if done and passed_s >= told_s + LINE_S:
            told_s = passed_s
            err.print(f"{done}{f' of {total}' if total else ''}, {done / passed_s:.3g} a second", soft_wrap=True)

    return tell


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on the terminal, which goes when the work is done; where there is none, a line from time to time.

    What tdseg has to say meanwhile is printed.
    """
    log = logging.getLogger("tdseg")
    log.handlers = [_Notes()]
    log.setLevel(logging.ERROR if quiet else logging.INFO)
    if quiet:
        yield None
        return
    if not err.is_terminal:
        yield _progress_lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, refresh_per_second=4) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
