"""The figures of a measurement."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Benchmark:
    """Figures of `bench`. Times are in milliseconds, and of one frame of every stream, unless they say otherwise."""

    model: str
    trained: bool
    """False: an architecture with random weights, good for timing only."""
    form: str
    """In words, such as "fused, channels-last, bf16"."""
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
    fps: float
    """Frames of all streams over the time from the first frame asked to the last file closed."""
    frame_ms: float
    """Mean time of a frame from asked until done, all its stages one after the other."""
    stages_ms: dict[str, float]
    """Mean of each stage; with a video, decode and encode too. They add up to frame_ms, but for the clock itself."""
    peak_memory_mb: float
    """MB of 2**20 bytes: on a GPU the most that torch had allocated since the model came there; on a CPU the most that
    the process ever held resident, Python and the loading of the model included."""
    state_mb: float
    """Remembered by all streams between two frames, MB of 2**20 bytes."""
    parameters: int
    parameters_per_path: tuple[int, ...]
    multiply_adds_per_frame: int
    """Of one stream, with a full memory, mean of the paths."""
    multiply_adds_per_path: tuple[int, ...]
    deviation: dict[str, float] | None
    """max_relative_error and agreement of the form with the plain float32 model; None: it is the plain model."""
    latencies_ms: tuple[float, ...] = field(repr=False)
    """Of each frame in turn, summed up in latency_ms. For plots; not in the JSON."""

    def to_json(self) -> str:
        """Every field by its name, but for latencies_ms; sizes as [height, width]."""
        figures = dataclasses.asdict(self)
        del figures["latencies_ms"]
        return json.dumps(figures, indent=2) + "\n"
