"""`tdseg bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.bar import Bar
from rich.markup import escape
from rich.table import Table

from tdseg.cli.terminal import DONE, out, parse_size, progress_bar

if TYPE_CHECKING:
    from tdseg.measure.bench import Benchmark


def bench(
    *,
    model: str = "td4-lite0-camvid",
    size: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    source: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    streams: int = 1,
    frames: int = 100,
    threads: int | None = None,
    fuse: bool = True,
    winograd: bool | None = None,
    channels_last: bool = True,
    compile: bool = False,
    autocast: Literal["bf16", "fp16"] | None = None,
    cuda_graphs: bool = False,
    runtime: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    json: Path | None = None,
    report: Path | None = None,
) -> int:
    """Measure a model on this machine: latency of a frame stage by stage, memory, cost, deviation of the fast form.

    Args:
        model: Name of packaged weights or of an architecture (see `tdseg models`), a file of weights, or an exported
            folder.
        size: HxW of the network's input, such as 360x480; by default the model's own.
        device: auto is cuda if there is one.
        source: Video to decode, segment and encode; by default made-up pictures of the network's size.
        streams: Videos at once, as one batch.
        frames: Frames of each stream to measure, at most: a video may have fewer.
        threads: Threads of the network on the CPU; by default all cores.
        fuse: Fold batch norms into convolutions.
        winograd: Large 3x3 convolutions by Winograd's method; by default on a CPU in float32, as `tdseg segment`.
        channels_last: Lay weights out with channels last.
        compile: Compile with torch.compile.
        autocast: Run in this precision what gains by it.
        cuda_graphs: Record and replay the kernels of a frame.
        runtime: What runs the model; auto is the fastest one installed, and torch where a form of it is asked for.
        json: File to write the figures to.
        report: File to write them to as a page to look at, HTML.
    """
    from tdseg.files import check_target, write_whole
    from tdseg.measure.bench import bench
    from tdseg.report.benchmark import benchmark_page
    from tdseg.runtime.network import Execution

    for target in (json, report):
        if target is not None:
            check_target(target)
    execution = Execution(device, runtime, threads, fuse, winograd, channels_last, compile, autocast, cuda_graphs)
    with progress_bar(quiet=False) as on_progress:
        measured = bench(
            model,
            execution=execution,
            size=None if size is None else parse_size(size),
            source=source,
            streams=streams,
            frames=frames,
            on_progress=on_progress,
        )
    if json is not None:
        write_whole(json, measured.to_json())
    if report is not None:
        write_whole(report, benchmark_page(measured))
    _print(measured)
    return DONE


def _print(report: Benchmark) -> None:
    height, width = report.size
    where = report.machine["gpu"] if report.device == "cuda" else f"cpu, threads {report.machine['threads']}"
    title = f"[bold]{escape(report.model)}[/] {height}x{width} on {where}: {report.form}"
    if not report.trained:
        title += "   [yellow]untrained: random weights, for timing only[/]"
    out.print(title, soft_wrap=True)
    what = f"{report.frames} frames of {escape(report.source or 'made-up pictures')}"
    out.print(f"{what}, {report.streams} at a time, after {report.warmup_frames} to warm up", soft_wrap=True)
    for table in (_figures(report), _stages(report)):
        out.print()
        out.print(table)


def _figures(report: Benchmark) -> Table:
    latency, deviation = report.latency_ms, report.deviation
    table = Table(box=None, show_header=False)
    table.add_row("latency", "  ".join(f"{name} {ms:.1f}" for name, ms in latency.items()) + " ms")
    table.add_row("jitter", f"{report.jitter_ms:.1f} ms, p99 - p50")
    table.add_row("fps", f"{report.fps:.1f}, one stage after the other")
    table.add_row("start", f"{report.startup_s:.1f} s; first frame {report.first_frame_ms:.1f} ms")
    table.add_row("after a reset", f"{report.after_reset_ms:.1f} ms")
    table.add_row("memory", f"{report.peak_memory_mb:.0f} MB at most; state {report.state_mb:.2f} MB")
    table.add_row(
        "cost",
        f"{report.multiply_adds_per_frame / 1e9:.2f} G multiply-adds, {report.parameters / 1e6:.2f} M parameters",
    )
    if len(set(report.multiply_adds_per_path)) > 1:
        table.add_row("  by path", "  ".join(f"{count / 1e9:.2f}" for count in report.multiply_adds_per_path) + " G")
    if deviation:
        table.add_row(
            "deviation",
            f"{deviation['max_relative_error']:.1e} of the largest logit; "
            f"{deviation['agreement']:.3%} of pixels agree with plain float32",
        )
    return table


def _stages(report: Benchmark) -> Table:
    """When in a frame each stage runs."""
    table = Table("stage", "ms", "share", "", box=None)
    table.columns[1].justify = table.columns[2].justify = "right"
    begin = 0.0
    for stage, ms in report.stages_ms.items():
        bar = Bar(report.frame_ms, begin, begin + ms, width=32)
        table.add_row(stage, f"{ms:.2f}", f"{ms / report.frame_ms:.0%}", bar)
        begin += ms
    table.add_row("frame", f"{report.frame_ms:.2f}")
    return table
