"""`tdseg eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tdseg.cli.figures import show, write_json
from tdseg.cli.terminal import DONE, needs, progress_bar
from tdseg.errors import ConfigError

if TYPE_CHECKING:
    from tdseg.data.source import Source


def evaluate(
    *,
    root: Path | None = None,
    model: str = "td4-lite0-camvid",
    data: Literal["camvid", "cityscapes", "nyudv2", "folder", "synthetic"] = "camvid",
    split: str = "val",
    num_classes: int | None = None,
    config: Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    json: Path | None = None,
    report: Path | None = None,
    quiet: bool = False,
) -> int:
    """Measure a model on labelled frames: accuracy, and on video how steady it is.

    Video is streamed; where labelled frames are sparse, they are scored after the frames before them, if those are
    there, else shown as stills.

    Args:
        root: Folder of the data set.
        model: Name of packaged weights (see `tdseg models`), a file of weights, or an exported folder.
        data: Kind of data set, see docs/data.md; synthetic has no root.
        split: Part of the data set.
        num_classes: Which classes, where the data set has several sets of them: camvid has 11 and 32.
        config: A recipe, whose validation data takes the place of root, data, split and num_classes.
        device: auto is cuda if there is one.
        runtime: What runs the model; auto is the fastest one installed: on a CPU with OpenVINO, for td4-lite0-camvid,
            its int8 graph.
        json: Write the figures to this file.
        report: Write them to this file as a page to look at, HTML.
        quiet: Print errors only.
    """
    with needs("metrics"):
        from tdseg.measure.evaluate import evaluate, open_evaluation
    from tdseg.data.source import Source
    from tdseg.files import check_target, write_whole
    from tdseg.report.evaluation import evaluation_page
    from tdseg.runtime.network import Execution
    from tdseg.zoo.load import prepare

    for target in (json, report):
        if target:
            check_target(target)
    if config is None:
        values = {"data": data, "root": root, "split": split, "num_classes": num_classes}
        source = Source.parse(values, where="tdseg eval")
    else:
        source = _validation(config, root)
    network = prepare(model, Execution(device, runtime))
    frames = open_evaluation(source, network.config)
    with progress_bar(quiet) as on_progress:
        ran = {"model": model, "runtime": network.runtime, "precision": network.precision}
        figures = {**ran, **evaluate(network, frames, on_progress=on_progress)}
    if not quiet:
        show(figures)
    if json:
        write_json(figures, json)
    if report:
        write_whole(report, evaluation_page(figures, frames.palette))
    return DONE


def _validation(config: Path, root: Path | None) -> Source:
    from tdseg.train.recipe import Recipe

    validation = Recipe.from_yaml(config).validation
    if validation is None or root is not None:
        raise ConfigError(
            f"{config} without validation" if validation is None else f"--config {config} and --root {root}",
            expected="a recipe that names its validation data, or --root and --data",
            do="give one of the two",
        )
    return validation
