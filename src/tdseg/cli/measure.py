"""`tdseg eval` and `tdseg flicker`: figures of accuracy and steadiness."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from tdseg.cli import terminal
from tdseg.cli.terminal import say, write_json
from tdseg.cli.verb import Call, verb
from tdseg.metrics.figures import FIGURES

with terminal.needs("metrics"):
    from tdseg.measure.flicker import flicker as measure_flicker


@verb(measure_flicker)
def flicker(run: Call[dict[str, Any]], *, json: terminal.Json = None, quiet: terminal.Quiet = False) -> None:
    """Print the figures."""
    figures = run()
    if not quiet:
        _show(figures)
    write_json(figures, json)


def _show(figures: dict[str, Any]) -> None:
    """Print the figures there are, one a line, then the classes and the protocol."""
    for key, (name, form, meaning) in FIGURES.items():
        values = figures.get(key)
        if not isinstance(values, list):
            values = [values]
        elif len(values) == 1:  # one path or phase: the figure of the whole
            continue
        if known := [form.format(value) for value in values if value is not None]:
            say(f"{name:20}{', '.join(known):12}{meaning}".rstrip())
    if figures["iou"]:
        classes = (f"{name} {'–' if value is None else f'{value:.1f}'}" for name, value in figures["iou"].items())
        say(escape("IoU %               " + ", ".join(classes)))
    ran = f" in {figures['runtime']} {figures['precision']}" if "runtime" in figures else ""
    say(escape(f"{figures['frames']} frames{ran}; {figures['protocol']}"))
