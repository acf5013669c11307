"""`tdseg demo`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import Quiet, say
from tdseg.cli.verb import Call, verb
from tdseg.inference import demo as module


@verb(module.demo)
def demo(run: Call[module.DemoReport], *, quiet: Quiet = False) -> None:
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
