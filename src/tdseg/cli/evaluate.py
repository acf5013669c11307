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
        quiet: Print errors only.
    """
    with needs("metrics"):
        from tdseg.evaluate import evaluate
    from tdseg import zoo
    from tdseg.data.camvid import CamVid
    from tdseg.device import resolve_device

    frames = {"camvid": CamVid}[data](root, split)
    network = zoo.load(model, device=str(resolve_device(device))).fuse()
    with progress_bar(quiet) as on_progress:
        report = {"model": model, **evaluate(network, frames, on_progress=on_progress)}
    if not quiet:
        show(report)
    if json:
        write_json(report, json)
    return DONE
