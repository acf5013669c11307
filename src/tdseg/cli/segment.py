"""`tdseg segment`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import DONE, IN_PART, Quiet, say, warn
from tdseg.cli.verb import Call, verb
from tdseg.inference.folder import Summary
from tdseg.inference.pipeline import default_output, segment_to
from tdseg.system import keep_freed_memory


@verb(segment_to)
def segment(run: Call[Summary], *, quiet: Quiet = False) -> int:
    """Print where the result is and how fast it was made."""
    keep_freed_memory()
    folder = run.arguments["output"] or str(default_output(run.arguments["source"]))
    summary = run(output=folder)
    if not quiet:
        p50, p99 = (summary.latency_ms[key] for key in ("p50", "p99"))
        ran = f"{summary.frames} frames in {summary.runtime} {summary.precision}"
        say(f"{escape(folder)}: {ran}, {summary.fps:.1f} fps, latency p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if summary.problem:
        warn("note:" if summary.complete else "incomplete:", summary.problem)
    return DONE if summary.complete else IN_PART
