"""`tdseg data`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from cyclopts import App
from rich.markup import escape
from rich.table import Table

from tdseg.cli.figures import write_json
from tdseg.cli.terminal import DONE, IN_PART, out, progress_bar
from tdseg.errors import ConfigError

if TYPE_CHECKING:
    from tdseg.data.check import Pixels, SourceReport
    from tdseg.data.source import Source

data = App(name="data", help="Data sets to train and evaluate on.")
SHOWN = 10
"""Faults of a kind that are named; the rest is counted."""


@data.command
def check(config: Path, /, *, json: Path | None = None, quiet: bool = False) -> int:
    """Look at the data of a recipe before hours are spent: counts, sizes, class shares, and everything that is wrong.

    Exit code 0: nothing is wrong, 1: something is, 2: the data is not there or in another layout.

    Args:
        config: YAML file: a recipe, whose sources and validation are looked at, or one source (data, root, split, …).
        json: Write the report to this file, with every fault.
        quiet: Print errors only.
    """
    from tdseg.data.check import check
    from tdseg.files import check_target

    if json:
        check_target(json)
    with progress_bar(quiet) as on_progress:
        reports = check(_sources(config), on_progress=on_progress)
    if not quiet:
        _show(reports)
    if json:
        write_json({"sources": [report.as_dict() for report in reports]}, json)
    return DONE if all(report.sound for report in reports) else IN_PART


def _sources(config: Path) -> list[Source]:
    """What a file names.

    Raises:
        ConfigError: it is missing, not YAML, or neither a recipe nor a source.
    """
    from tdseg.data.source import Source
    from tdseg.train.recipe import Recipe

    values = _read(config)
    if "data" in values:
        return [Source.parse(values, where=str(config))]
    recipe = Recipe.from_yaml(config)
    return [*recipe.sources, *([recipe.validation] if recipe.validation else [])]


def _read(config: Path) -> dict[str, Any]:
    expected = "a YAML file: a recipe as in configs/, or one source"
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror}", expected=expected, do="check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config}: not YAML ({error})", expected=expected, do="correct the file") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{config}: no fields", expected=expected, do="write it as docs/data.md shows")
    return values


def _show(reports: list[SourceReport]) -> None:
    table = Table("source", "images", "clips", "frames", "without history", "size", box=None)
    for report in reports:
        numbers = (report.images, report.clips, report.source["length"], len(report.without_history))
        table.add_row(escape(report.name), *map(str, numbers), _sizes(report.pixels.sizes))
    out.print(table)
    out.print()
    out.print(_shares({report.name: report.pixels for report in reports}))
    faults = [fault for report in reports for fault in _faults(report)]
    for title, names in dict(faults).items():  # two sources of the same data have the same
        out.print(f"\n[yellow]{escape(title)}, {len(names)}[/]", soft_wrap=True)
        for name in names[:SHOWN]:
            out.print(f"  {escape(name)}", soft_wrap=True)
        if len(names) > SHOWN:
            out.print(f"  and {len(names) - SHOWN} more")


def _sizes(sizes: dict[str, int]) -> str:
    """The commonest sizes with the number of their images."""
    shown = [f"{size} ({count})" for size, count in list(sizes.items())[:3]]
    return ", ".join([*shown, f"and {len(sizes) - 3} more"] if len(sizes) > 3 else shown)


def _shares(sets: dict[str, Pixels]) -> Table:
    table = Table("% of labelled pixels", *map(escape, sets), box=None)
    for name in dict.fromkeys(name for pixels in sets.values() for name in pixels.shares):
        values = (pixels.shares.get(name) for pixels in sets.values())
        table.add_row(escape(name), *("" if value is None else f"{value:.2f}" for value in values))
    table.add_row("no class, % of all", *(f"{pixels.ignored:.2f}" for pixels in sets.values()))
    return table


def _faults(report: SourceReport) -> Iterator[tuple[str, list[str]]]:
    """Each kind of fault there is: a title, and what is wrong."""
    frames = report.source["length"]
    kinds = {
        "missing" if frames == 1 else f"missing for clips of {frames}": report.missing,
        "unreadable": report.pixels.unreadable,
        "labels that are wrong": report.pixels.labels,
        f"no clip of {frames}": [] if report.clips else ["no frame has enough frames before it"],
    }
    return ((f"{report.name}: {kind}", names) for kind, names in kinds.items() if names)
