"""Figures of accuracy and steadiness, on the terminal and in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.markup import escape

from tdseg.cli.terminal import say
from tdseg.files import write_whole
from tdseg.metrics.figures import FIGURES


def show(report: dict[str, Any]) -> None:
    """Print the figures there are, one a line, then the classes and the protocol."""
    for key, (name, form, meaning) in FIGURES.items():
        values = report.get(key)
        if not isinstance(values, list):
            values = [values]
        elif len(values) == 1:  # one path or phase: the figure of the whole
            continue
        if known := [form.format(value) for value in values if value is not None]:
            say(f"{name:20}{', '.join(known):12}{meaning}".rstrip())
    if report["iou"]:
        classes = (f"{name} {'–' if value is None else f'{value:.1f}'}" for name, value in report["iou"].items())
        say(escape("IoU %               " + ", ".join(classes)))
    ran = f" in {report['runtime']} {report['precision']}" if "runtime" in report else ""
    say(escape(f"{report['frames']} frames{ran}; {report['protocol']}"))


def write_json(report: dict[str, Any], path: Path) -> None:
    """Write the report; a former one is replaced when the new one is whole.

    Raises:
        OutputError: it cannot be written.
    """
    write_whole(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
