"""The `tdseg` command: parsing and printing. Each verb calls the function of the same name and arguments.

Imports of torch and FFmpeg wait inside the verbs: `tdseg --help` answers at once.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.markup import escape

from tdseg.cli.bench import bench
from tdseg.cli.compare import compare
from tdseg.cli.convert import convert
from tdseg.cli.data import data
from tdseg.cli.demo import demo
from tdseg.cli.doctor import doctor
from tdseg.cli.evaluate import evaluate
from tdseg.cli.export import export
from tdseg.cli.flicker import flicker
from tdseg.cli.models import models
from tdseg.cli.segment import segment
from tdseg.cli.terminal import DONE, IN_PART, INTERRUPTED, REFUSED, err
from tdseg.cli.train import train
from tdseg.errors import TdsegError
from tdseg.system import __version__

__all__ = ["DONE", "INTERRUPTED", "IN_PART", "REFUSED", "app", "main"]

app = App(
    name="tdseg",
    help="Fast, stateful video semantic segmentation.",
    version=__version__,
    version_flags=["--version"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main says what is kept
)
for verb in (segment, demo, train, bench, compare, flicker, export, convert, models, doctor):
    app.command(verb)
app.command(evaluate, name="eval")
app.command(data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code: 0 done, 1 done in part, 2 refused, 130 interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(app(arguments, exit_on_error=False, print_error=False) or DONE)
    except (TdsegError, CycloptsError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        return REFUSED
    except KeyboardInterrupt as interrupt:
        err.print(f"[yellow]interrupted[/] {escape(str(interrupt))}".rstrip(), soft_wrap=True)
        return INTERRUPTED
