"""`tdseg export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import DONE, out, parse_size, progress_bar
from tdseg.errors import ConfigError

if TYPE_CHECKING:
    from tdseg.data.source import Source


def export(
    model: str,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    to: Literal["onnx", "openvino"],
    size: str | None = None,
    dynamic: Annotated[bool, Parameter(negative="")] = False,
    fp16: Annotated[bool, Parameter(negative="")] = False,
    int8: Annotated[bool, Parameter(negative="")] = False,
    calibrate: str | None = None,
    data: Literal["camvid", "cityscapes", "nyudv2", "folder"] | None = None,
    split: str = "val",
    stateful: bool = False,
    agreement: float | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Export a model as a graph for ONNX Runtime, OpenVINO or Triton; it is left only if it gives the same masks.

    Args:
        model: Name of packaged weights (see `tdseg models`), or a file of weights.
        output: Folder to write: the graph, and tdseg.json which says all about it.
        to: Kind of graph.
        size: HxW of the network's input, such as 360x480, which is then fixed; by default the model's own.
        dynamic: Do not fix it: the graph takes all multiples of 8 pixels. Takes a minute or two to make.
        fp16: Halve the weights.
        int8: Quantise, for speed on CPUs.
        calibrate: Video, folder of frames, or with --data the root of labelled data: int8 is calibrated on it, and the
            graph checked; by default a rendered street.
        data: Kind of data set that --calibrate is the root of, see docs/data.md; the loss of mIoU on it is measured.
        split: Part of the data set.
        stateful: With OpenVINO, write a graph that keeps its state inside, too.
        agreement: Share of pixels that must have the model's class; by default 0.999 for fp32, 0.995 for fp16, 0.985
            for int8.
        overwrite: Replace a former export.
        quiet: Print errors only.
    """
    from tdseg.export import export

    if fp16 and int8:
        raise ConfigError("--fp16 and --int8", expected="one of them, or none for fp32", do="leave one of them out")
    with progress_bar(quiet) as on_progress:
        manifest = export(
            model,
            output,
            to=to,
            size=None if size is None else parse_size(size),
            dynamic=dynamic,
            precision="int8" if int8 else "fp16" if fp16 else "fp32",
            calibrate=_source(calibrate, data, split),
            stateful=stateful,
            agreement=agreement,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if not quiet and manifest.parity:
        parity = manifest.parity
        lost = "" if parity.miou_drop is None else f", {parity.miou_drop:.2f} points of mIoU lost"
        agree = f"{parity.agreement:.3%} of pixels agree over {parity.frames} frames of {escape(parity.source)}"
        out.print(f"{escape(str(output))}: {manifest.precision} {manifest.target}; {agree}{lost}", soft_wrap=True)
    return DONE


def _source(calibrate: str | None, data: str | None, split: str) -> str | Source | None:
    if data is None:
        return calibrate
    from tdseg.data.source import Source

    source: Source = Source.parse({"data": data, "root": calibrate, "split": split}, where="tdseg export")
    return source
