"""`tdseg demo`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import DONE, out, progress_bar


def demo(*, output: Annotated[str, Parameter(alias="-o")] = "out/demo", quiet: bool = False) -> int:
    """Segment a rendered street whose true labels are known, offline, and print how well it went.

    Args:
        output: Folder of the result; a former demo in it is replaced.
        quiet: Print errors only.
    """
    from tdseg.inference.demo import demo

    with progress_bar(quiet) as on_progress:
        miou, summary = demo(output, on_progress=on_progress)
    if not quiet:
        latency = summary.latency_ms
        out.print(
            f"{escape(output)}: {summary.frames} frames of a rendered street, {summary.model} on {summary.device}"
        )
        out.print(f"  mIoU       {miou:.1f} %   against the clip's own labels")
        out.print(f"  fps        {summary.fps:.1f}     decoding to closed files")
        out.print(f"  latency    p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")
        out.print(f"  flip rate  {summary.flip_rate or 0:.2%}   pixels that change class from frame to frame")
        out.print(f"  look at    {escape(output)}/preview.png and overlay.mp4")
    return DONE
