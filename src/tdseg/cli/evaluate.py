"""`tdseg eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tdseg.cli.figures import show, write_json
from tdseg.cli.terminal import DONE, needs, progress_bar


def evaluate(
    *,
    root: Path,
    model: str = "td4-lite0-camvid",
    data: Literal["camvid"] = "camvid",
    split: Literal["train", "val", "test"] = "val",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    json: Path | None = None,
    report: Path | None = None,
    quiet: bool = False,
) -> int:
    """Measure a model on labelled frames: accuracy, and on video how steady it is.

    Args:
        root: Folder of the data set.
        model: Name of packaged weights (see `tdseg models`), or a file of weights.
        data: The data set.
        split: val is video and streamed as such; the frames of the others are 1 s apart and shown as stills.
        device: auto is cuda if there is one.
        json: Write the figures to this file.
        report: Write them to this file as a page to look at, HTML.
        quiet: Print errors only.
    """
    with needs("metrics"):
        from tdseg.evaluate import evaluate
    from tdseg import zoo
    from tdseg.data.camvid import CamVid
    from tdseg.device import resolve_device
    from tdseg.files import check_target, write_whole
    from tdseg.report.evaluation import evaluation_page

    for target in (json, report):
        if target:
            check_target(target)
    frames = {"camvid": CamVid}[data](root, split)
    network = zoo.load(model, device=str(resolve_device(device))).fuse()
    with progress_bar(quiet) as on_progress:
        figures = {"model": model, **evaluate(network, frames, on_progress=on_progress)}
    if not quiet:
        show(figures)
    if json:
        write_json(figures, json)
    if report:
        write_whole(report, evaluation_page(figures, frames.palette))
    return DONE
