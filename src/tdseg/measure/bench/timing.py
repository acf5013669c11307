"""Frame after frame through a batch: warm-up, the measurement itself, and what a reset costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from tdseg.measure.bench.batch import Batch, Image, Split
from tdseg.measure.bench.feed import Feed

FEWEST_WARM_UP = 8
RESETS = 5


class Timed(NamedTuple):
    """What was timed, milliseconds unless it says otherwise, and on what."""

    latency: list[float]
    """Of each frame: handed over until its masks are in host memory."""
    frame: list[float]
    """Of each frame: asked until done."""
    stages: dict[str, float]
    """Means, in turn."""
    wall_s: float
    """From the first frame asked to the last file closed, seconds."""
    clip: list[list[Image]]
    """The first frames, enough for every path to meet a full memory."""


def warm_up(batch: Batch, feed: Feed) -> list[float]:
    """Run every path twice, the second time with a full memory: the latencies, milliseconds."""
    count = max(2 * batch.model.config.paths, FEWEST_WARM_UP)
    return [batch.step(feed.pictures[index % len(feed.pictures)])[1].latency for index in range(count)]


def time_frames(
    batch: Batch, feed: Feed, frames: int, on_progress: Callable[[int, int | None], None] | None = None
) -> Timed:
    """Run so many frames of the feed, or as many as it has, and close it."""
    splits: list[Split] = []
    decode, encode, total = [], [], []
    clip: list[list[Image]] = []
    begun = time.perf_counter()
    source = iter(feed)
    while len(splits) < frames:
        asked = time.perf_counter()
        images = next(source, None)
        if images is None:
            break
        handed = time.perf_counter()
        masks, split = batch.step(images)
        segmented = time.perf_counter()
        feed.put(images, masks)
        done = time.perf_counter()
        splits.append(split)
        decode.append((handed - asked) * 1e3)
        encode.append((done - segmented) * 1e3)
        total.append((done - asked) * 1e3)
        if len(clip) < 2 * batch.model.config.paths:
            clip.append(images)
        if on_progress:
            on_progress(len(splits), frames)
    feed.close()
    wall_s = time.perf_counter() - begun
    columns = {"decode": decode, **dict(zip(Split._fields, zip(*splits, strict=True), strict=True)), "encode": encode}
    stages = {stage: statistics.fmean(columns[stage]) for stage in feed.stages}
    return Timed([split.latency for split in splits], total, stages, wall_s, clip)


def after_reset_ms(batch: Batch, images: list[Image]) -> float:
    """Latency of the first frame after a reset, milliseconds: median of RESETS."""
    latencies = []
    for _ in range(RESETS):
        batch.reset()
        latencies.append(batch.step(images)[1].latency)
    return statistics.median(latencies)
