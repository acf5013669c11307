"""`tdseg data`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.markup import escape

from tdseg.cli.terminal import DONE, IN_PART, Json, Quiet, say, show, write_json
from tdseg.cli.verb import Call, verb
from tdseg.data import check as module
from tdseg.data.source import Source
from tdseg.train.recipe import Recipe
from tdseg.train.values import read_values

SHOWN = 10
"""Faults of a kind that are named; the rest is counted."""
CHECK = """Look at the data of a recipe before hours are spent: counts, sizes, class shares, and all that is wrong.

Exit code 0: nothing is wrong, 1: something is, 2: the data is not there or in another layout."""
_CONFIG = "YAML file: a recipe, whose sources and validation are looked at, or one source (data, root, split, …)."

data = App(name="data")


@verb(module.check, hide=["sources"])
def check(
    run: Call[list[module.SourceReport]],
    config: Annotated[Path, Parameter(help=_CONFIG)],
    /,
    *,
    json: Json = None,
    quiet: Quiet = False,
) -> int:
    """Print what is in each source, and its faults."""
    reports = run(sources=_sources(config))
    if not quiet:
        _show(reports)
    write_json({"sources": [report.as_dict() for report in reports]}, json)
    return DONE if all(report.sound for report in reports) else IN_PART


data.command(check, name="check", help=CHECK)


def _sources(config: Path) -> list[Source]:
    """What a file names.

    Raises:
        ConfigError: it is missing, not YAML, or neither a recipe nor a source.
    """
    values = read_values(config)
    if "data" in values:
        return [Source.parse(values, where=str(config))]
    recipe = Recipe.parse(values, where=str(config))
    return [*recipe.sources, *([recipe.validation] if recipe.validation else [])]


def _show(reports: list[module.SourceReport]) -> None:
    counts, shares = [], []
    for report in reports:
        numbers = (report.images, report.clips, report.source["length"], len(report.without_history))
        counts.append((report.name, *map(str, numbers), _sizes(report.sizes)))
    for name in dict.fromkeys(name for report in reports for name in report.shares):
        values = (report.shares.get(name) for report in reports)
        shares.append((name, *("" if value is None else f"{value:.2f}" for value in values)))
    shares.append(("no class, % of all", *(f"{report.ignored:.2f}" for report in reports)))
    show("source", "images", "clips", "frames", "without history", "size", rows=counts)
    say("")
    show("% of labelled pixels", *(report.name for report in reports), rows=shares)
    for title, names in dict(fault for report in reports for fault in _faults(report)).items():
        say(f"\n[yellow]{escape(title)}, {len(names)}[/]")  # once, where two sources of the same data have the same
        for name in names[:SHOWN]:
            say(f"  {escape(name)}")
        if len(names) > SHOWN:
            say(f"  and {len(names) - SHOWN} more")
    for advice in dict.fromkeys(advice for report in reports for advice in report.advice):
        say(f"\n[bold]do this:[/]  {escape(advice)}")


def _sizes(sizes: dict[str, int]) -> str:
    """The commonest sizes with the number of their images."""
    shown = [f"{size} ({count})" for size, count in list(sizes.items())[:3]]
    return ", ".join([*shown, f"and {len(sizes) - 3} more"] if len(sizes) > 3 else shown)


def _faults(report: module.SourceReport) -> Iterator[tuple[str, list[str]]]:
    """Each kind of fault there is: a title, and what is wrong."""
    frames = report.source["length"]
    kinds = {
        "missing" if frames == 1 else f"missing for clips of {frames}": report.missing,
        "unreadable": report.unreadable,
        "labels that are wrong": report.labels,
        "doubtful": report.doubts,
        f"no clip of {frames}": ["no frame has enough frames before it"] if _too_short(report) else [],
    }
    return ((f"{report.name}: {kind}", names) for kind, names in kinds.items() if names)


def _too_short(report: module.SourceReport) -> bool:
    """Whether there are labelled frames, but all with too few before them."""
    return not report.clips and bool(report.without_history or not report.missing)
