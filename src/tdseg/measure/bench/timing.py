"""Frame after frame through a batch: warm-up, the measurement itself, and what a reset costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from tdseg.measure.bench.frame_feed import Feed
from tdseg.measure.bench.streams import StageTimes, StreamBatch
from tdseg.measure.pairing import RGB

FEWEST_WARM_UP = 8
RESETS = 5


class FrameTimes(NamedTuple):
    """The times of a measurement, milliseconds unless it says otherwise, and what they were measured on."""

    latency: list[float]
    """Of each frame: handed over until its masks are in host memory."""
    frame: list[float]
    """Of each frame: asked until done."""
    stages: dict[str, float]
    """Means, in turn."""
    wall_s: float
    """From the first frame asked to the last file closed, seconds."""
    clip: list[list[RGB]]
    """The first frames, enough for every path to meet a full memory."""


def warm_up(batch: StreamBatch, feed: Feed) -> list[float]:
    """Run every path twice, the second time with a full memory: the latencies, milliseconds."""
    count = max(2 * batch.network.config.paths, FEWEST_WARM_UP)
    return [batch.step(feed.pictures[index % len(feed.pictures)])[1].latency for index in range(count)]


def time_frames(
    batch: StreamBatch, feed: Feed, frames: int, on_progress: Callable[[int, int | None], None] | None = None
) -> FrameTimes:
    """Run so many frames of the feed, or as many as it has, and close it."""
    rows: list[tuple[float, ...]] = []  # of each frame: decode, the stages of the batch, encode
    total: list[float] = []
    clip: list[list[RGB]] = []
    begun = time.perf_counter()
    source = iter(feed)
    while len(rows) < frames:
        asked = time.perf_counter()
        images = next(source, None)
        if images is None:
            break
        handed = time.perf_counter()
        masks, stages = batch.step(images)
        segmented = time.perf_counter()
        feed.put(images, masks)
        done = time.perf_counter()
        rows.append(((handed - asked) * 1e3, *stages, (done - segmented) * 1e3))
        total.append((done - asked) * 1e3)
        if len(clip) < 2 * batch.network.config.paths:
            clip.append(images)
        if on_progress:
            on_progress(len(rows), frames)
    feed.close()
    wall_s = time.perf_counter() - begun
    columns = zip(("decode", *StageTimes._fields, "encode"), zip(*rows, strict=True), strict=True)
    means = {stage: statistics.fmean(column) for stage, column in columns if stage in feed.stages}
    return FrameTimes([sum(row[1:-1]) for row in rows], total, means, wall_s, clip)


def after_reset_ms(batch: StreamBatch, images: list[RGB]) -> float:
    """Latency of the first frame after a reset, milliseconds: median of RESETS."""
    latencies = []
    for _ in range(RESETS):
        batch.reset()
        latencies.append(batch.step(images)[1].latency)
    return statistics.median(latencies)
