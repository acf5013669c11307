"""`tdseg segment`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import DONE, IN_PART, err, out, parse_size, progress_bar


def segment(
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    model: str = "td4-lite0-camvid",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    size: str | None = None,
    masks: Literal["png", "none"] = "png",
    overlay: bool = True,
    threads: int | None = None,
    quiet: bool = False,
    overwrite: bool = False,
) -> int:
    """Segment a video into a folder: overlay.mp4, masks/000000.png ..., summary.json.

    Args:
        source: Video file, folder of frames, camera index, URL, or - for stdin.
        output: Folder of the result; by default out/ and the source's name.
        model: Name of packaged weights (see `tdseg models`), a file of weights, or an exported folder.
        device: auto is cuda if there is one.
        runtime: What runs the model; auto is the fastest one installed: on a CPU with OpenVINO, for td4-lite0-camvid,
            its int8 graph.
        size: HxW of the network's input, such as 360x480; by default the model's own.
        masks: Write a mask per frame, 8-bit indexed PNG, or none.
        overlay: Write the overlay video.
        threads: Threads of the network on the CPU; by default all cores.
        quiet: Print errors only.
        overwrite: Replace a former result in the folder.
    """
    from tdseg.inference.pipeline import default_output, segment_to
    from tdseg.runtime.network import Execution

    folder = output or str(default_output(source))
    with progress_bar(quiet) as on_progress:
        summary = segment_to(
            source,
            folder,
            model=model,
            size=None if size is None else parse_size(size),
            execution=Execution(device, runtime, threads),
            masks=masks,
            overlay=overlay,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    if not quiet:
        latency = summary.latency_ms
        out.print(
            f"{escape(folder)}: {summary.frames} frames in {summary.runtime} {summary.precision}, "
            f"{summary.fps:.1f} fps, latency p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms"
        )
    if summary.problem:
        label = "note" if summary.complete else "incomplete"
        err.print(f"[yellow]{label}:[/] {escape(summary.problem)}", soft_wrap=True)
    return DONE if summary.complete else IN_PART
