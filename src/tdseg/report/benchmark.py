"""The page of `tdseg bench`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tdseg.report.markup import Html, Series, tag
from tdseg.report.page import A, B, card, cards, columns, figure, page, section
from tdseg.report.plots import bars, histogram, lines, milliseconds, over_time, parts

if TYPE_CHECKING:
    from tdseg.measure.bench import Benchmark

STAGES = {"decode": "#8b93a3", "preprocess": "#3fa7a0", "model": A, "postprocess": "#8f6fe8", "encode": B}


def benchmark_page(measured: Benchmark) -> str:
    """A page of the figures of `bench`."""
    machine = measured.machine
    of = f"{measured.frames} of {measured.source or 'made-up pictures'}, after {measured.warmup_frames} to warm up"
    cpu = f"{machine['processor']}, threads {machine['threads']}"
    facts = [
        ("input", f"{measured.size[0]}x{measured.size[1]}"),
        ("form", measured.form),
        ("memory", f"of {measured.memory} frames" if measured.memory else "none"),
        ("device", cpu if measured.device == "cpu" else str(machine["gpu"])),
        ("frames", of),
        ("streams at once", str(measured.streams)),
        ("torch", str(machine["torch"])),
        ("system", str(machine["system"])),
    ]
    body = [cards(*_speed(measured)), _latency(measured), _stages(measured), _costs(measured)]
    if not measured.trained:
        body.insert(0, tag("p", "Untrained: random weights, for timing only.", class_="warning"))
    return page("tdseg bench", measured.model, measured.model, facts, *body)


def _speed(measured: Benchmark) -> Iterator[Html]:
    latency, first = measured.latency_ms, f"loading and warming up; first frame {measured.first_frame_ms:.0f} ms"
    yield card("latency p50", "half of the frames take no longer", milliseconds(latency["p50"]))
    yield card("latency p99", "99 of 100 frames take no longer", milliseconds(latency["p99"]))
    if measured.age_ms:
        came = f"from its coming, of {measured.rate:g} a second, until its mask is there"
        yield card("age p99", came, milliseconds(measured.age_ms["p99"]))
    yield card("jitter", "p99 − p50: how late a late frame is", milliseconds(measured.jitter_ms))
    yield card("throughput", "frames of all streams, one stage after the other", f"{measured.fps:.1f} fps")
    yield card("after a reset", "latency of a video's first frame", milliseconds(measured.after_reset_ms))
    yield card("start", first, f"{measured.startup_s:.1f} s")


def _latency(measured: Benchmark) -> Html:
    series = [(Series("latency", A), measured.latencies_ms)]
    meaning = "dashed: p50; the last bin has all above p99"
    return section(
        "Latency",
        columns(
            figure("Frame by frame", lines(over_time(len(measured.latencies_ms), None), series, "ms")),
            figure("How often", histogram(series, "ms"), meaning=meaning),
        ),
        note="From a frame handed over until its mask is in host memory.",
    )


def _stages(measured: Benchmark) -> Html:
    series = [(Series(name, STAGES[name]), ms, f"{ms:.2f} ms") for name, ms in measured.stages_ms.items()]
    note = "Stages run one after the other here; tdseg segment overlaps them."
    title = f"{measured.frame_ms:.1f} ms a frame"
    return section("Where the time goes", figure(title, parts(series), meaning="mean of each stage"), note=note)


def _costs(measured: Benchmark) -> Html:
    work, works = measured.multiply_adds_per_frame, measured.multiply_adds_per_path or ()
    content = [
        card("memory", "most that was held; MB of 2^20 bytes", f"{measured.peak_memory_mb:.0f} MB"),
        card("state", "remembered between two frames, all streams", f"{measured.state_mb:.2f} MB"),
    ]
    if work is not None:
        content.append(card("work", "multiply-adds a frame, mean of the paths", f"{work / 1e9:.2f} G"))
    if measured.parameters is not None:
        content.append(card("parameters", "of all paths together", f"{measured.parameters / 1e6:.2f} M"))
    if measured.deviation:
        apart, same = measured.deviation["max_relative_error"], measured.deviation["agreement"]
        content.append(card("deviation", "from plain float32, of the largest logit", f"{apart:.0e}"))
        content.append(card("agreement", "pixels with the class of plain float32", f"{100 * same:.2f} %"))
    by_path = Html()
    if len(set(works)) > 1:
        rows = [(f"path {index}", [(A, float(work), f"{work / 1e9:.2f} G")]) for index, work in enumerate(works)]
        by_path = figure("Work by path", bars(rows, top=max(works)), meaning="multiply-adds")
    return section("What it costs", cards(*content), by_path)
