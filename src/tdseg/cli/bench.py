"""`tdseg bench`."""

from __future__ import annotations

from rich.bar import Bar
from rich.markup import escape
from rich.table import Table

from tdseg.cli.terminal import Json, Page, out, say
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
    untrained = "" if measured.trained else "   [yellow]untrained: random weights, for timing only[/]"
    say(f"[bold]{escape(model)}[/] {height}x{width} on {where}: {measured.form}{untrained}")
    what = f"{measured.frames} frames of {escape(measured.source or 'made-up pictures')}"
    say(f"{what}, {measured.streams} at a time, after {measured.warmup_frames} to warm up")
    for table in (_figures(measured), _stages(measured)):
        out.print()
        out.print(table)


def _figures(measured: module.Benchmark) -> Table:
    works, deviation = measured.multiply_adds_per_path, measured.deviation
    rows = {
        "latency": "  ".join(f"{name} {ms:.1f}" for name, ms in measured.latency_ms.items()) + " ms",
        "jitter": f"{measured.jitter_ms:.1f} ms, p99 - p50",
        "fps": f"{measured.fps:.1f}, one stage after the other",
        "start": f"{measured.startup_s:.1f} s; first frame {measured.first_frame_ms:.1f} ms",
        "after a reset": f"{measured.after_reset_ms:.1f} ms",
        "memory": f"{measured.peak_memory_mb:.0f} MB at most; state {measured.state_mb:.2f} MB",
        "cost": f"{measured.multiply_adds_per_frame / 1e9:.2f} G multiply-adds, "
        f"{measured.parameters / 1e6:.2f} M parameters",
    }
    if len(set(works)) > 1:
        rows["  by path"] = "  ".join(f"{work / 1e9:.2f}" for work in works) + " G"
    if deviation:
        rows["deviation"] = (
            f"{deviation['max_relative_error']:.1e} of the largest logit; "
            f"{deviation['agreement']:.3%} of pixels agree with plain float32"
        )
    table = Table(box=None, show_header=False)
    for row in rows.items():
        table.add_row(*row)
    return table


def _stages(measured: module.Benchmark) -> Table:
    table = Table("stage", "ms", "share", "", box=None)
    table.columns[1].justify = table.columns[2].justify = "right"
    begin = 0.0
    for stage, ms in measured.stages_ms.items():
        bar = Bar(measured.frame_ms, begin, begin + ms, width=32)
        table.add_row(stage, f"{ms:.2f}", f"{ms / measured.frame_ms:.0%}", bar)
        begin += ms
    table.add_row("frame", f"{measured.frame_ms:.2f}")
    return table
