"""The page of `tdseg bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdseg.report.markup import Html, Ink, tag
from tdseg.report.page import A, B, card, cards, columns, figure, page, section
from tdseg.report.plots import bars, histogram, lines, milliseconds, over_time, parts

if TYPE_CHECKING:
    from tdseg.measure.bench.report import Report

STAGES = {"decode": "#8b93a3", "preprocess": "#3fa7a0", "model": A, "postprocess": "#8f6fe8", "encode": B}


def benchmark_page(report: Report) -> str:
    """A page of the figures of `bench`."""
    machine = report.machine
    gpu = report.device != "cpu"
    facts = [
        ("input", f"{report.size[0]}x{report.size[1]}"),
        ("form", report.form),
        ("device", str(machine["gpu"]) if gpu else f"{machine['processor']}, threads {machine['threads']}"),
        (
            "frames",
            f"{report.frames} of {report.source or 'made-up pictures'}, after {report.warmup_frames} to warm up",
        ),
        ("streams at once", str(report.streams)),
        ("torch", str(machine["torch"])),
        ("system", str(machine["system"])),
    ]
    body = [_speed(report), _latency(report), _stages(report), _costs(report)]
    if not report.trained:
        body.insert(0, tag("p", "Untrained: random weights, for timing only.", class_="warning"))
    return page("tdseg bench", report.model, report.model, facts, *body)


def _speed(report: Report) -> Html:
    return cards(
        card("latency p50", "half of the frames take no longer", (milliseconds(report.latency_ms["p50"]), None)),
        card("latency p99", "99 of 100 frames take no longer", (milliseconds(report.latency_ms["p99"]), None)),
        card("jitter", "p99 − p50: how late a late frame is", (milliseconds(report.jitter_ms), None)),
        card("throughput", "frames of all streams, one stage after the other", (f"{report.fps:.1f} fps", None)),
        card("after a reset", "latency of a video's first frame", (milliseconds(report.after_reset_ms), None)),
        card(
            "start",
            f"loading and warming up; first frame {report.first_frame_ms:.0f} ms",
            (f"{report.startup_s:.1f} s", None),
        ),
    )


def _latency(report: Report) -> Html:
    ink = Ink("latency", A)
    latencies, axis = report.latencies_ms, over_time(len(report.latencies_ms), None)
    return section(
        "Latency",
        columns(
            figure("Frame by frame", lines(axis, [(ink, latencies)], "ms")),
            figure(
                "How often", histogram([(ink, latencies)], "ms"), meaning="dashed: p50; the last bin has all above p99"
            ),
        ),
        note="From a frame handed over until its mask is in host memory.",
    )


def _stages(report: Report) -> Html:
    series = [(Ink(name, STAGES[name]), ms, f"{ms:.2f} ms") for name, ms in report.stages_ms.items()]
    note = "Stages run one after the other here; tdseg segment overlaps them."
    title = f"{report.frame_ms:.1f} ms a frame"
    return section("Where the time goes", figure(title, parts(series), meaning="mean of each stage"), note=note)


def _costs(report: Report) -> Html:
    works = report.multiply_adds_per_path
    content = [
        card("memory", "most that was held; MB of 2^20 bytes", (f"{report.peak_memory_mb:.0f} MB", None)),
        card("state", "remembered between two frames, all streams", (f"{report.state_mb:.2f} MB", None)),
        card(
            "work", "multiply-adds a frame, mean of the paths", (f"{report.multiply_adds_per_frame / 1e9:.2f} G", None)
        ),
        card("parameters", "of all paths together", (f"{report.parameters / 1e6:.2f} M", None)),
    ]
    if report.deviation:
        apart, same = report.deviation["max_relative_error"], report.deviation["agreement"]
        content.append(card("deviation", "from plain float32, of the largest logit", (f"{apart:.0e}", None)))
        content.append(card("agreement", "pixels with the class of plain float32", (f"{100 * same:.2f} %", None)))
    by_path = Html()
    if len(set(works)) > 1:
        rows = [(f"path {index}", [(A, float(work), f"{work / 1e9:.2f} G")]) for index, work in enumerate(works)]
        by_path = figure("Work by path", bars(rows, top=max(works)), meaning="multiply-adds")
    return section("What it costs", cards(*content), by_path)
