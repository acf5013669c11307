"""`tdseg eval` and `tdseg flicker`: figures of accuracy and steadiness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import Json, Page, Quiet, needs, say, write_json
from tdseg.cli.verb import Call, verb
from tdseg.data.source import Source
from tdseg.errors import ConfigError
from tdseg.files import write_whole
from tdseg.metrics.figures import FIGURES
from tdseg.report.evaluation import evaluation_page
from tdseg.train.recipe import Recipe

with needs("metrics"):
    from tdseg.measure.evaluate import Evaluation, evaluate_model
    from tdseg.measure.flicker import flicker as measure_flicker

WIDTH = 2 + max(len(name) for name, _, _ in FIGURES.values())
"""Of the names of figures on the terminal, characters."""
_CONFIG = "A recipe, whose validation data takes the place of root, data, split and num_classes."


@verb(evaluate_model)
def evaluate(
    run: Call[Evaluation],
    *,
    config: Annotated[Path | None, Parameter(help=_CONFIG)] = None,
    json: Json = None,
    report: Page = None,
    quiet: Quiet = False,
) -> None:
    """Print the figures, and make a page of them."""
    evaluation = run(data=_validation(config, run.arguments["root"])) if config else run()
    figures = evaluation.figures
    if not quiet:
        _show(figures)
    write_json(figures, json)
    if report:
        write_whole(report, evaluation_page(evaluation))


def _validation(config: Path, root: Path | None) -> Source:
    validation = Recipe.from_yaml(config).validation
    if validation is None or root is not None:
        raise ConfigError(
            f"{config} without validation" if validation is None else f"--config {config} and --root {root}",
            expected="a recipe that names its validation data, or --root and --data",
            do="give one of the two",
        )
    return validation


@verb(measure_flicker)
def flicker(run: Call[dict[str, Any]], *, json: Json = None, quiet: Quiet = False) -> None:
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
            say(f"{name:{WIDTH}}{', '.join(known):12}{meaning}".rstrip())
    if figures["iou"]:
        classes = (f"{name} {'–' if value is None else f'{value:.1f}'}" for name, value in figures["iou"].items())
        say(escape(f"{'IoU %':{WIDTH}}" + ", ".join(classes)))
    ran = f" in {figures['runtime']} {figures['precision']}" if "runtime" in figures else ""
    say(escape(f"{figures['frames']} frames{ran}; {figures['protocol']}"))
