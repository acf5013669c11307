"""`tdseg flicker`."""

from __future__ import annotations

from typing import Any

from tdseg.cli import terminal
from tdseg.cli.figures import show, write_json
from tdseg.cli.verb import Call, verb

with terminal.needs("metrics"):
    from tdseg.measure.flicker import flicker as function


@verb(function)
def flicker(run: Call[dict[str, Any]], *, json: terminal.Json = None, quiet: terminal.Quiet = False) -> None:
    """Print the figures."""
    figures = run()
    if not quiet:
        show(figures)
    if json:
        write_json(figures, json)
