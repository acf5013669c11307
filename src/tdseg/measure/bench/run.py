"""The measurement: warm up, time frame after frame, count, and compare with the plain model."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.files import check_target, write_whole
from tdseg.inference.folder import percentiles
from tdseg.measure import cost
from tdseg.measure.bench.batch import Batch
from tdseg.measure.bench.feed import Feed, VideoFeed
from tdseg.measure.bench.report import Report
from tdseg.measure.bench.timing import Timed, after_reset_ms, time_frames, warm_up
from tdseg.measure.deviation import Deviation, deviation
from tdseg.models.tdnet import TDNet
from tdseg.report.benchmark import benchmark_page
from tdseg.runtime.exported import ExportedNetwork
from tdseg.runtime.manifest import is_exported
from tdseg.runtime.network import AnyRuntime, Execution, Network
from tdseg.runtime.torch import TorchNetwork
from tdseg.system import cpu_threads, machine, resolve_device
from tdseg.zoo import catalog
from tdseg.zoo.load import load, prepare

MB = 2**20


PLAIN = Execution(fuse=False, channels_last=False, runtime="torch")


def bench(
    model: str | Path,
    *,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    source: str | Path | int | None = None,
    streams: int = 1,
    frames: int = 100,
    threads: int | None = None,
    fuse: bool = True,
    winograd: bool | None = None,
    channels_last: bool = True,
    compile: bool = False,
    autocast: Literal["bf16", "fp16"] | None = None,
    cuda_graphs: bool = False,
    runtime: AnyRuntime = "auto",
    json: Path | None = None,
    report: Path | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Report:
    """Measure a model on this machine: what `Stream` does with a frame, one stage after the other.

    So the stages add up to the time of a frame. `segment_to` overlaps them in threads, for more frames per second and a
    longer latency. Before measuring, every path runs twice and with a full memory: one-time costs are figures apart.

    Args:
        model: packaged weights, a file of weights, an exported folder, or an architecture, which gets random weights.
        size: (height, width) of the network's input, pixels; None: the model's own.
        device: "cpu", "cuda", or "auto": cuda if there is one.
        source: a video, decoded and its overlay encoded; None: made-up pictures of the network's size.
        streams: videos at once, as one batch on one model, each with its own state.
        frames: frames of each stream to measure, at most: a video may have fewer.
        threads: threads of the network on the CPU; None: torch's own choice, all cores.
        fuse: fold batch norms into convolutions.
        winograd: with `fuse`, large 3x3 convolutions by Winograd's method; None: on a CPU in float32, as `segment`.
        channels_last, compile, autocast, cuda_graphs: as in `accelerate`.
        runtime: what runs the model; "auto": the fastest one installed, and torch for an architecture, for several
            streams, or where a form of it is asked for.
        json: file to write the figures to.
        report: file to write them to as a page to look at, HTML.
        on_progress: called after each frame with the number done and the number to do.

    Raises:
        ConfigError, WeightsError: the model, the size, the device or a number cannot be used.
        VideoError: the source cannot be opened, or holds no frame.
        OutputError: a file cannot be written; found before measuring, where it can be.
    """
    for name, value in {"streams": streams, "frames": frames}.items():
        if value < 1:
            raise ConfigError(f"{name} {value}", expected="1 or more", do=f"choose a larger --{name}")
    for target in (json, report):
        if target is not None:
            check_target(target)
    execution = Execution(device, runtime, threads, fuse, winograd, channels_last, compile, autocast, cuda_graphs)
    place = resolve_device(device)
    begun = time.perf_counter()
    with cpu_threads(threads) as available:
        try:
            subject = _subject(str(model), replace(execution, threads=available), streams, size)
            measured = _measure(subject, place, size, source, streams, frames, begun, on_progress)
        except (RuntimeError, MemoryError) as error:  # torch's: out of memory, too many pixels to count, no compiler
            raise ConfigError(
                f"{model} at size {size or 'its own'}, which does not run here: {_first_line(error)}",
                expected="a size for which there is memory, and a form that the machine has what it takes for",
                do="choose a smaller --size, or leave --compile, --autocast and --cuda-graphs out",
            ) from error
    if json is not None:
        measured.save(json)
    if report is not None:
        write_whole(report, benchmark_page(measured))
    return measured


class _Subject(NamedTuple):
    """What is measured."""

    name: str
    trained: bool
    form: str
    network: Network
    deviation: Callable[[Iterable[Tensor]], dict[str, Any] | None]
    """Of its outputs on a clip of its inputs, from those of the plain model."""


def _subject(name: str, execution: Execution, streams: int, size: tuple[int, int] | None) -> _Subject:
    random = catalog.is_architecture(name)
    if random or streams > 1:
        execution = _in_torch(name, execution)
    model: str | TDNet = _torch_model(name) if random else name
    network = prepare(model, execution, size=size)
    if isinstance(network, ExportedNetwork):
        parity = network.manifest.parity
        apart = {key: getattr(parity, key) for key in Deviation._fields} if parity else None
        what = f"{network.precision}, {network.runtime} on {network.device}"
        return _Subject(name, not random, what, network, lambda _: apart)
    assert isinstance(network, TorchNetwork)
    form = network.form

    def apart_from_plain(clip: Iterable[Tensor]) -> dict[str, Any] | None:
        plain = TorchNetwork(_torch_model(name), replace(PLAIN, device=network.device))
        return None if form == plain.form else deviation(plain, network, clip)._asdict()

    return _Subject(name, not random, form, network, apart_from_plain)


def _measure(
    subject: _Subject,
    device: torch.device,
    size: tuple[int, int] | None,
    source: str | Path | int | None,
    streams: int,
    frames: int,
    begun: float,
    on_progress: Callable[[int, int | None], None] | None,
) -> Report:
    network = subject.network
    config, size = network.config, network.fit_size(size)
    batch = Batch(network, size)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with closing(Feed(size, streams) if source is None else VideoFeed(source, streams, config.palette)) as feed:
        warmup_ms = warm_up(batch, feed)
        startup_s = time.perf_counter() - begun
        timed = time_frames(batch, feed, frames, on_progress)
    state_mb = cost.bytes_of(batch.state) / MB
    reset_ms = after_reset_ms(batch, timed.clip[-1])
    peak_memory_mb = _peak_memory_mb(device)  # before the plain model is loaded to compare with
    return Report(
        model=subject.name,
        trained=subject.trained,
        form=subject.form,
        device=network.device,
        machine=machine(),
        source=feed.name,
        size=size,
        frame_size=feed.size,
        streams=streams,
        warmup_frames=len(warmup_ms),
        startup_s=round(startup_s, 3),
        first_frame_ms=round(warmup_ms[0], 3),
        after_reset_ms=round(reset_ms, 3),
        **_times(timed, streams),
        peak_memory_mb=round(peak_memory_mb, 1),
        state_mb=round(state_mb, 3),
        **_costs(config, size),
        deviation=subject.deviation(map(batch.input, timed.clip)),
        latencies_ms=tuple(timed.latency),
    )


def _times(timed: Timed, streams: int) -> dict[str, Any]:
    latency, frames = percentiles(timed.latency), len(timed.latency)
    return {
        "frames": frames,
        "latency_ms": latency,
        "jitter_ms": round(latency["p99"] - latency["p50"], 3),
        "fps": round(streams * frames / timed.wall_s, 2),
        "frame_ms": round(statistics.fmean(timed.frame), 3),
        "stages_ms": {stage: round(mean, 3) for stage, mean in timed.stages.items()},
    }


def _costs(config: ModelConfig, size: tuple[int, int]) -> dict[str, Any]:
    with torch.device("meta"):
        model = TDNet(config)
    per_path = cost.multiply_adds(model, size)
    return {
        "parameters": cost.parameters(model),
        "parameters_per_path": cost.parameters_per_path(model),
        "multiply_adds_per_frame": round(statistics.fmean(per_path)),
        "multiply_adds_per_path": per_path,
    }


def _in_torch(name: str, execution: Execution) -> Execution:
    """Several streams and random weights are for torch."""
    if execution.runtime in ("auto", "torch") and not is_exported(Path(name)):
        return replace(execution, runtime="torch")
    raise ConfigError(
        f"{name} in {execution.runtime} with several streams or random weights",
        expected="trained or exported weights, and one stream",
        do="use --runtime torch, or leave the other options out",
    )


def _torch_model(name: str) -> TDNet:
    """A model; an architecture gets random weights, the same each time."""
    if not catalog.is_architecture(name):
        return load(name)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return catalog.create_model(name)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MB
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB
