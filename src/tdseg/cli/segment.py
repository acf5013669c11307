"""`tdseg segment` and `tdseg demo`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.faults import as_refusal, tell_fault
from tdseg.cli.terminal import BROKEN, DONE, IN_PART, REFUSED, Quiet, print_json, say, warn
from tdseg.cli.verb import Call, verb
from tdseg.inference import demo as demonstration
from tdseg.inference.many import VideoOutcome, find_videos, segment_all
from tdseg.inference.summary import Summary
from tdseg.video.address import printable


@verb(segment_all)
def segment(
    run: Call[list[VideoOutcome]],
    *,
    json: Annotated[bool, Parameter(help="Print the summary as JSON, and nothing else.", negative=())] = False,
    quiet: Quiet = False,
) -> int:
    """Print where each result is and how fast it was made, and at the end what failed."""
    run.quiet = quiet or json
    several = find_videos(run.arguments["sources"])[1]  # now: files may be elsewhere afterwards
    outcomes = run()
    if json:
        told = [_told(outcome) for outcome in outcomes]
        print_json(told if several else told[0])
    for outcome in outcomes:
        if outcome.summary:
            _report(outcome.output, outcome.summary, run.quiet)
    failed = [outcome for outcome in outcomes if outcome.error]
    is_broken = False
    for outcome in failed:
        if outcome.error and (refusal := as_refusal(outcome.error)):
            warn("failed:", str(refusal))
        elif outcome.error:
            warn("failed:", printable(outcome.source))
            tell_fault(outcome.error)
            is_broken = True
    if failed:
        warn(f"{len(failed)} of {len(outcomes)} failed:", ", ".join(printable(outcome.source) for outcome in failed))
    if is_broken:
        return BROKEN
    if len(failed) == len(outcomes):
        return REFUSED
    whole = all(outcome.summary and outcome.summary.complete for outcome in outcomes)
    return DONE if whole else IN_PART


def _report(folder: Path, summary: Summary, quiet: bool) -> None:
    if not quiet:
        p50, p99 = (summary.latency_ms[key] for key in ("p50", "p99"))
        ran = f"{summary.frames} frames in {summary.runtime} {summary.precision}"
        say(f"{escape(str(folder))}: {ran}, {summary.fps:.1f} fps, latency p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if summary.problem:
        warn("note:" if summary.complete else f"incomplete: {escape(str(folder))}:", summary.problem)


def _told(outcome: VideoOutcome) -> dict[str, Any]:
    """The summary with its place; of one that failed, why."""
    if outcome.summary is None:
        return {"source": printable(outcome.source), "output": str(outcome.output), "error": str(outcome.error)}
    return {"output": str(outcome.output), **dataclasses.asdict(outcome.summary)}


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
