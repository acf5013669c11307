"""`tdseg segment` and `tdseg demo`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import DONE, IN_PART, Quiet, say, warn
from tdseg.cli.verb import Call, verb
from tdseg.inference import demo as demonstration
from tdseg.inference.output import Summary
from tdseg.inference.pipeline import default_output, segment_to


@verb(segment_to)
def segment(run: Call[Summary], *, quiet: Quiet = False) -> int:
    """Print where the result is and how fast it was made."""
    folder = run.arguments["output"] or str(default_output(run.arguments["source"]))
    summary = run(output=folder)
    if not quiet:
        p50, p99 = (summary.latency_ms[key] for key in ("p50", "p99"))
        ran = f"{summary.frames} frames in {summary.runtime} {summary.precision}"
        say(f"{escape(folder)}: {ran}, {summary.fps:.1f} fps, latency p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if summary.problem:
        warn("note:" if summary.complete else "incomplete:", summary.problem)
    return DONE if summary.complete else IN_PART


@verb(demonstration.demo)
def demo(run: Call[demonstration.DemoReport], *, quiet: Quiet = False) -> None:
    """Print how well it went."""
    miou, summary = run()
    if quiet:
        return
    latency, folder = summary.latency_ms, escape(run.arguments["output"])
    say(f"{folder}: {summary.frames} frames of a rendered street, {summary.model} on {summary.device}")
    say(f"  mIoU       {miou:.1f} %   against the clip's own labels")
    say(f"  fps        {summary.fps:.1f}     decoding to closed files")
    say(f"  latency    p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")
    say(f"  flip rate  {summary.flip_rate or 0:.2%}   pixels that change class from frame to frame")
    say(f"  look at    {folder}/preview.png and overlay.mp4")
