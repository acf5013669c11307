"""`tdseg bench`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.bar import Bar
from rich.markup import escape
from rich.table import Column

from tdseg.cli.terminal import Json, Page, say, show
from tdseg.cli.verb import Call, verb
from tdseg.files import write_whole
from tdseg.inference.pipeline import DEFAULT_MODEL
from tdseg.measure import bench as module
from tdseg.report.benchmark import benchmark_page


@verb(module.bench)
def bench(run: Call[module.Benchmark], *, model: str = DEFAULT_MODEL, json: Json = None, report: Page = None) -> None:
    """Print what was measured, its figures, and when in a frame each stage runs."""
    measured = run()
    if json:
        write_whole(json, measured.to_json())
    if report:
        write_whole(report, benchmark_page(measured))
    (height, width), machine = measured.size, measured.machine
    where = machine["gpu"] if measured.device.startswith("cuda") else f"cpu, threads {machine['threads']}"
    remembers = f", memory of {measured.memory} frames" if measured.memory else ""
    untrained = "" if measured.trained else "   [yellow]untrained: random weights, for timing only[/]"
    say(f"[bold]{escape(model)}[/] {height}x{width} on {where}: {measured.form}{remembers}{untrained}")
    what = f"{measured.frames} frames of {escape(measured.source or 'made-up pictures')}"
    say(f"{what}, {measured.streams} at a time, after {measured.warmup_frames} to warm up")
    say("")
    show(rows=_figures(measured).items())
    say("")
    show("stage", Column("ms", justify="right"), Column("share", justify="right"), "", rows=_stages(measured))


def _figures(measured: module.Benchmark) -> dict[str, str]:
    works, deviation = measured.multiply_adds_per_path or (), measured.deviation
    counts = ((measured.multiply_adds_per_frame, 1e9, "G multiply-adds"), (measured.parameters, 1e6, "M parameters"))
    costs = [f"{count / unit:.2f} {name}" for count, unit, name in counts if count is not None]
    rows = {"latency": _spread(measured.latency_ms)}
    if measured.age_ms:
        rows["age"] = f"{_spread(measured.age_ms)}, of {measured.rate:g} a second; {measured.skipped} skipped"
    rows |= {
        "jitter": f"{measured.jitter_ms:.1f} ms, p99 - p50",
        "fps": f"{measured.fps:.1f}, one stage after the other",
        "start": f"{measured.startup_s:.1f} s; first frame {measured.first_frame_ms:.1f} ms",
        "after a reset": f"{measured.after_reset_ms:.1f} ms",
        "memory": f"{measured.peak_memory_mb:.0f} MB at most; state {measured.state_mb:.2f} MB",
    }
    if costs:
        rows["cost"] = ", ".join(costs)
    if len(set(works)) > 1:
        rows["  by path"] = "  ".join(f"{work / 1e9:.2f}" for work in works) + " G"
    if deviation:
        rows["deviation"] = (
            f"{deviation['max_relative_error']:.1e} of the largest logit; "
            f"{deviation['agreement']:.3%} of pixels agree with plain float32"
        )
    return rows


def _spread(times_ms: dict[str, float]) -> str:
    return "  ".join(f"{name} {ms:.1f}" for name, ms in times_ms.items()) + " ms"


def _stages(measured: module.Benchmark) -> Iterator[tuple[str | Bar, ...]]:
    begin = 0.0
    for stage, ms in measured.stages_ms.items():
        bar = Bar(measured.frame_ms, begin, begin + ms, width=32)
        yield stage, f"{ms:.2f}", f"{ms / measured.frame_ms:.0%}", bar
        begin += ms
    yield "frame", f"{measured.frame_ms:.2f}"
