"""The measurement: warm up, time frame after frame, count, and compare with the plain model."""

from __future__ import annotations

import dataclasses
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from tdseg.errors import ConfigError
from tdseg.measure import cost
from tdseg.measure.bench.streams import PERIOD, Feed, StageTimes, StreamBatch
from tdseg.measure.bench.subject import costs, deviation_of, is_random, open_network
from tdseg.metrics.basic import percentiles
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.memory import RememberingNetwork
from tdseg.runtime.network import Execution, frames_remembered
from tdseg.runtime.torch import TorchNetwork
from tdseg.system import cpu_threads, machine
from tdseg.video.pictures import RGB

MB = 2**20
FEWEST_WARM_UP = 8
RESETS = 5
MOST_RATE = 1000


@dataclass(frozen=True)
class Benchmark:
    """Figures of `bench`. Times are in milliseconds, and of one frame of every stream, unless they say otherwise."""

    model: str
    trained: bool
    """False: an architecture with random weights, good for timing only."""
    form: str
    """In words, such as "fused, channels-last, bf16"."""
    memory: int | None
    """Frames that a mask draws on, the newest included; None: the network is per-frame."""
    device: str
    machine: dict[str, str | int | None]
    """processor, cores, threads (of the network on the CPU), gpu, torch, system."""
    source: str | None
    """The video; None: made-up pictures of the network's size."""
    size: tuple[int, int]
    """(height, width) of the network's input, pixels."""
    frame_size: tuple[int, int]
    """(height, width) of the frames, pixels."""
    streams: int
    frames: int
    """Measured, of each stream, after the warm-up."""
    warmup_frames: int
    startup_s: float
    """Loading the model, changing its form and running the warm-up, seconds; not part of any other figure."""
    first_frame_ms: float
    """Latency of the very first frame, one-time costs such as compilation included."""
    after_reset_ms: float
    """Latency of the first frame after a reset of the warm model; median of five."""
    latency_ms: dict[str, float]
    """p50, p95, p99 and max of the time from the frames handed over until their masks are in host memory."""
    jitter_ms: float
    """p99 - p50 of the latency: by how much a late frame is later than a usual one."""
    rate: float | None
    """Frames per second that came to each stream, the newest of which was taken; None: as many as were asked for."""
    age_ms: dict[str, float] | None
    """p50, p95, p99 and max of the time from the coming of a frame until its mask is in host memory, at a rate."""
    skipped: int | None
    """Frames of each stream that came and were left out, as newer ones were there, at a rate."""
    fps: float
    """Frames of all streams over the time from the first frame asked to the last file closed."""
    frame_ms: float
    """Mean time of a frame from asked until done, all its stages one after the other, and without waiting for it."""
    stages_ms: dict[str, float]
    """Mean of each stage; with a video, decode and encode too. They add up to frame_ms, but for the clock itself."""
    peak_memory_mb: float
    """MB of 2**20 bytes: on a GPU the most that torch had allocated since the model came there; on a CPU the most that
    the process ever held resident, Python and the loading of the model included."""
    state_mb: float
    """Remembered by all streams between two frames, MB of 2**20 bytes."""
    parameters: int | None
    """Of the network; None, as with the other costs: it is one of others, which does not tell."""
    parameters_per_path: tuple[int, ...] | None
    multiply_adds_per_frame: int | None
    """Of one stream, with a full memory, mean of the paths; without a memory on the host."""
    multiply_adds_per_path: tuple[int, ...] | None
    deviation: dict[str, float] | None
    """max_relative_error and agreement of the form with the plain float32 model; None: it is the plain model, or one of
    others."""
    latencies_ms: tuple[float, ...] = field(repr=False)
    """Of each frame in turn, summed up in latency_ms. For plots; not in the JSON."""

    def to_json(self) -> str:
        """Every field by its name, but for latencies_ms; sizes as [height, width]."""
        figures = dataclasses.asdict(self)
        del figures["latencies_ms"]
        return json.dumps(figures, indent=2) + "\n"


def bench(
    model: str | Path | AnyModel,
    *,
    memory: int | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    size: tuple[int, int] | None = None,
    source: str | Path | int | None = None,
    streams: int = 1,
    frames: int = 100,
    rate: float | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Benchmark:
    """Measure a model on this machine: what `Stream` does with a frame, one stage after the other.

    So the stages add up to the time of a frame. `segment_to` overlaps them in threads, for more frames per second and a
    longer latency. Before measuring, every path runs twice and with a full memory: one-time costs are figures apart.

    Args:
        model: as of `tdseg.segment_to`; or the name of an architecture (see `tdseg models`), which gets random weights.
        memory: frames that a per-frame model is to remember, 2 … 16, or 0 for none; None: 4 for networks of others. Its
            own cost, on the host, is in the times and not in the multiply-adds.
        execution: where it runs, by what, and in which form; runtime "auto" is torch for an architecture and for
            several streams.
        size: (height, width) of the network's input, pixels; None: the model's own.
        source: video to decode, segment and encode; None: made-up pictures of the network's size.
        streams: videos at once, as one batch on one model, each with its own state.
        frames: frames of each stream to measure, at most: a video may have fewer.
        rate: frames per second that come, as of a camera; of those that come during a step only the newest is taken,
            and its age is measured. None: the next frame is there when it is asked for.
        on_progress: called after each frame with the number done and the number to do.

    Raises:
        ConfigError, WeightsError: the model, the size, the device or a number cannot be used.
        VideoError: the source cannot be opened, or holds no frame.
    """
    for name, value, most in (("streams", streams, 256), ("frames", frames, 1_000_000)):
        if not 1 <= value <= most:
            raise ConfigError(f"{name} {value}", expected=f"1 or more, up to {most}", do=f"choose another --{name}")
    if rate is not None and not 0 < rate <= MOST_RATE:
        raise ConfigError(f"rate {rate:g}", expected=f"above 0, up to {MOST_RATE}", do="choose another --rate")
    begun = time.perf_counter()
    with cpu_threads(execution.threads) as available:
        try:
            with closing(Feed(source, streams, rate)) as feed:
                frame, ready = feed.frame_size, replace(execution, threads=available)
                network = open_network(model, memory, ready, streams, size, frame)
                feed.show(frame or network.fit_size(size), network.config.palette)
                batch = StreamBatch(network, network.fit_size(size, feed.size))
                return _measure(model, batch, feed, frames, begun, on_progress)
        except (RuntimeError, MemoryError) as error:  # torch's: out of memory, too many pixels to count, no compiler
            why = (str(error).splitlines() or [type(error).__name__])[0]
            name = str(model) if isinstance(model, str | Path) else type(model).__name__
            raise ConfigError(
                f"{name} at size {size or 'its own'}, which does not run here: {why}",
                expected="a size for which there is memory, and a form that the machine has what it takes for",
                do="choose a smaller --size, or leave --compile, --autocast and --cuda-graphs out",
            ) from error


def _measure(
    model: str | Path | AnyModel,
    batch: StreamBatch,
    feed: Feed,
    frames: int,
    begun: float,
    on_progress: Callable[[int, int | None], None] | None,
) -> Benchmark:
    network, full = batch.network, 2 * batch.network.config.paths
    inside = network.network if isinstance(network, RememberingNetwork) else network
    if batch.on_gpu:
        torch.cuda.reset_peak_memory_stats(network.device)
    with closing(feed):
        warmup_ms = [batch.step(feed.pictures[at % PERIOD])[1].latency for at in range(max(full, FEWEST_WARM_UP))]
        startup_s = time.perf_counter() - begun
        times, clip = _time_frames(batch, feed, frames, full, on_progress)
    state_mb = cost.bytes_of(batch.state) / MB
    resets_ms = []
    for _ in range(RESETS):
        batch.reset()
        resets_ms.append(batch.step(clip[-1])[1].latency)
    peak_memory_mb = _peak_memory_mb(batch)  # before the plain model is loaded to compare with
    other = f"{network.precision}, {network.runtime} on {network.device}"
    return Benchmark(
        model=str(model) if isinstance(model, str | Path) else network.config.name,
        trained=not is_random(model),
        form=inside.form if isinstance(inside, TorchNetwork) else other,
        memory=frames_remembered(network),
        device=network.device,
        machine=machine(),
        source=feed.name,
        size=batch.size,
        frame_size=feed.size,
        streams=feed.streams,
        warmup_frames=len(warmup_ms),
        startup_s=round(startup_s, 3),
        first_frame_ms=round(warmup_ms[0], 3),
        after_reset_ms=round(statistics.median(resets_ms), 3),
        **times,
        peak_memory_mb=round(peak_memory_mb, 1),
        state_mb=round(state_mb, 3),
        **costs(inside, batch.size),
        deviation=deviation_of(model, inside, map(batch.images, clip)),
    )


def _time_frames(
    batch: StreamBatch, feed: Feed, frames: int, kept: int, on_progress: Callable[[int, int | None], None] | None
) -> tuple[dict[str, Any], list[list[RGB]]]:
    """Run so many frames of the feed, or as many as it has, and close it: the figures, and the first frames."""
    rows: list[tuple[float, ...]] = []  # of each frame: decode, the stages of the batch, encode
    clip: list[list[RGB]] = []
    ages: list[float] = []
    begun = asked = time.perf_counter()
    for images in islice(feed, frames):
        handed = time.perf_counter()
        masks, stages = batch.step(images)
        segmented = time.perf_counter()
        feed.put(masks)
        rows.append(((handed - asked - feed.waited_s) * 1e3, *stages, (time.perf_counter() - segmented) * 1e3))
        ages.append((segmented - feed.arrived_s) * 1e3)
        if len(clip) < kept:
            clip.append(images)
        if on_progress:
            on_progress(len(rows), frames)
        asked = time.perf_counter()
    feed.close()
    wall_s = time.perf_counter() - begun
    means = map(statistics.fmean, zip(*rows, strict=True))
    stages_ms = dict(zip(("decode", *StageTimes._fields, "encode"), means, strict=True))
    if feed.name is None:
        del stages_ms["decode"], stages_ms["encode"]
    latencies = tuple(sum(row[1:-1]) for row in rows)
    latency = percentiles(latencies)
    figures = {
        "frames": len(rows),
        "latency_ms": latency,
        "jitter_ms": round(latency["p99"] - latency["p50"], 3),
        "rate": feed.rate,
        "age_ms": None if feed.rate is None else percentiles(ages),
        "skipped": None if feed.rate is None else feed.skipped,
        "fps": round(feed.streams * len(rows) / wall_s, 2),
        "frame_ms": round(statistics.fmean(map(sum, rows)), 3),
        "stages_ms": {stage: round(mean, 3) for stage, mean in stages_ms.items()},
        "latencies_ms": latencies,
    }
    return figures, clip


def _peak_memory_mb(batch: StreamBatch) -> float:
    if batch.on_gpu:
        return torch.cuda.max_memory_allocated(batch.network.device) / MB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB
