"""`tdseg compare`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from tdseg.cli.terminal import DONE, IN_PART, err, out, parse_size, progress_bar
from tdseg.metrics.figures import FIGURES

if TYPE_CHECKING:
    from tdseg.measure.compare import Comparison
    from tdseg.measure.compare.difference import SideFigures


def compare(
    a: str,
    b: str,
    video: str,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")] = Path("report.html"),
    size: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    palette: Path | None = None,
    labels: Path | None = None,
    frames: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Compare two models, or masks of any tool, on one video: a page with what differs, as video and figures.

    Args:
        a: Name of packaged weights (see `tdseg models`), a file of weights, or masks: a folder of PNGs, an .npz file.
        b: Likewise; models and masks may be mixed.
        video: Video file or folder of frames, of the size and length of the masks.
        output: HTML file to write.
        size: HxW of the input of models, such as 360x480; by default each model's own.
        device: auto is cuda if there is one.
        palette: File with a line "R G B name" for each class; coloured masks without a model beside them need it.
        labels: Ground truth, in the forms of masks.
        frames: Compare so many frames at most.
        overwrite: Replace the output.
        quiet: Print errors only.
    """
    from tdseg.files import check_target, write_whole
    from tdseg.measure.compare import compare
    from tdseg.report.comparison import comparison_page

    check_target(output, overwrite=overwrite)
    with progress_bar(quiet) as on_progress:
        comparison = compare(
            a,
            b,
            video,
            size=None if size is None else parse_size(size),
            device=device,
            palette=palette,
            labels=labels,
            frames=frames,
            on_progress=on_progress,
        )
    write_whole(output, comparison_page(comparison))
    if not quiet:
        _print(comparison, output)
    if comparison.problem:
        err.print(f"[yellow]incomplete:[/] {escape(comparison.problem)}", soft_wrap=True)
    return IN_PART if comparison.problem else DONE


def _print(comparison: Comparison, output: Path) -> None:
    tracks = comparison.a, comparison.b
    agreement = f"{comparison.mean_agreement:.2f} % of pixels agree"
    out.print(f"{escape(str(output))}: {comparison.frames} frames, {agreement}", soft_wrap=True)
    table = Table("", *(escape(track.name) for track in tracks), "", box=None)
    for key, (name, form, meaning) in FIGURES.items():
        values = [_miou(track) if key == "miou" else track.steadiness.get(key) for track in tracks]
        if key != "flip_rate_by_phase" and any(value is not None for value in values):
            table.add_row(name, *("" if value is None else form.format(value) for value in values), meaning)
    out.print(table)


def _miou(track: SideFigures) -> float | None:
    return None if math.isnan(track.miou) else track.miou
