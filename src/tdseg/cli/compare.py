"""`tdseg compare`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import DONE, IN_PART, Quiet, say, show, warn
from tdseg.cli.verb import Call, verb
from tdseg.files import check_target, write_whole
from tdseg.measure.compare import Comparison
from tdseg.measure.compare import compare as compare_sides
from tdseg.metrics.bootstrap import INTERVALS
from tdseg.metrics.figures import FIGURES, shown_between
from tdseg.report.comparison import comparison_page


@verb(compare_sides)
def compare(
    run: Call[Comparison],
    *,
    output: Annotated[Path, Parameter(alias="-o", help="HTML file to write.")] = Path("report.html"),
    overwrite: Annotated[bool, Parameter(help="Replace the output.")] = False,
    quiet: Quiet = False,
) -> int:
    """Write the page, and print the figures of both sides."""
    check_target(output, overwrite=overwrite)
    comparison = run()
    write_whole(output, comparison_page(comparison))
    if not quiet:
        agreement = f"{comparison.mean_agreement:.2f} % of pixels agree"
        say(f"{escape(str(output))}: {comparison.frames} frames, {agreement}")
        show("", comparison.a.name, comparison.b.name, "second less first", "", rows=_figures(comparison))
        one, other = comparison.a.ran, comparison.b.ran
        if one and other and one != other:
            warn("note:", f"the first ran in {one}, the second in {other}; --runtime torch makes them equal")
        if comparison.sure:
            say(INTERVALS)
    if comparison.problem:
        warn("incomplete:", comparison.problem)
    return IN_PART if comparison.problem else DONE


def _figures(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    sides = comparison.a, comparison.b
    for key, (name, form, meaning) in FIGURES.items():
        values = [side.matrix.miou if key == "miou" else side.steadiness.get(key) for side in sides]
        known = [isinstance(value, float) and not math.isnan(value) for value in values]
        if any(known):
            texts = [form.format(value) if is_known else "" for value, is_known in zip(values, known, strict=True)]
            difference = comparison.sure[key].difference if key in comparison.sure else None
            yield name, *texts, shown_between(key, difference, signed=True) if difference else "", meaning
