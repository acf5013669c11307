"""Speed, memory and safety of `tdseg segment`, as ratios taken in one run.

python benchmarks/speed.py speed VIDEO [--rounds 5] [--frames 600]
    The command, file to files, against the network alone, in turns.
python benchmarks/speed.py memory VIDEO [--size HxW]
    Peak memory of the command on the video looped to 500 and to 5,000 frames.
python benchmarks/speed.py workers VIDEO [--frames 2000] [--rounds 3]
    One video by 1, 2 and 4 workers, with the masks compared, and as many short ones.
python benchmarks/speed.py kills VIDEO [--rounds 30] [--seed 0]
    Kills the command at random moments, alone and with two workers, lets it go on, and compares all files with those of
    an unbroken run.

python benchmarks/speed.py cluster VIDEO [--frames 600]
    What a model of many machines is made of: tasks a second of a local Ray cluster, and of one result the seconds to
    start, to make a frame, and to join, and its bytes and files.

Every mode takes --json FILE, and --options with what is given to the command, one string.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import random
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import av
import torch

from tdseg.inference.distribution import Distribution, hired
from tdseg.inference.pipeline import DEFAULT_MODEL
from tdseg.inference.ready import networks
from tdseg.inference.recording import Recording, asked_of
from tdseg.inference.selection import Order
from tdseg.inference.stream import resized
from tdseg.models.propagation import TDNetState
from tdseg.runtime.network import Execution, Network
from tdseg.system import machine
from tdseg.video import open_video


def main() -> None:
    """Measure, print, and write the figures to a file where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["speed", "memory", "workers", "kills", "cluster"])
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--size", help="HxW of the network's input for memory; the model's own by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", default="", help="of the command")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    options = shlex.split(given.options)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if given.mode == "speed":
            figures = measure_speed(
                _loop(given.video, place / "in.mkv", given.frames or 600), given.rounds or 5, options
            )
        elif given.mode == "memory":
            figures = measure_memory(given.video, place, [*options, *(["--size", given.size] if given.size else [])])
        elif given.mode == "workers":
            figures = measure_workers(given.video, place, given.frames or 2000, given.rounds or 3, options)
        elif given.mode == "cluster":
            looped = _loop(given.video, place / "in.mkv", given.frames or 600)
            figures = measure_cluster(looped, place / "out")
        else:
            figures = measure_kills(given.video, place, given.rounds or 30, random.Random(given.seed), options)
    figures = {"video": given.video.name, "options": given.options, **figures, "machine": machine()}
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure_speed(video: Path, rounds: int, options: list[str]) -> dict[str, Any]:
    """Whole command and network alone, in turns; medians with spread."""
    with open_video(video) as reader:
        images = [frame.image for frame in islice(reader, 120)]
    fps: dict[str, list[float]] = {"command": [], "network": []}
    with networks(DEFAULT_MODEL, None, None, Execution()) as ready_for:
        ready = ready_for(images[0].shape[:2])
        size = ready.network.fit_size(None, images[0].shape[:2])
        inputs = [resized(image, size) for image in images]
        for _ in range(rounds):
            fps["network"].append(_network_fps(ready.network, inputs, ready.workers))
            fps["command"].append(_run(video, options)["fps"])
        about = f"{ready.network.runtime} {ready.network.precision} at {size[0]}x{size[1]}"
    ratios = [command / network for command, network in zip(fps["command"], fps["network"], strict=True)]
    spreads = {f"{name}_fps": _spread(values) for name, values in fps.items()}
    return {"model": DEFAULT_MODEL, "network": about, **spreads, "command_over_network": _spread(ratios)}


@torch.inference_mode()
def _network_fps(network: Network, inputs: list[torch.Tensor], workers: int) -> float:
    """Of frames that are ready, as many encoded at once as in the command; scores are not made masks."""
    state, begun = TDNetState(), time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        paths = network.config.paths
        encoded = [pool.submit(network.encode, image, index % paths) for index, image in enumerate(inputs)]
        for one in encoded:
            _, state = network.advance(one.result(), state)
    return len(inputs) / (time.perf_counter() - begun)


def measure_memory(video: Path, place: Path, options: list[str]) -> dict[str, Any]:
    """Peak resident memory of the command on the video looped to two lengths."""
    peaks = {count: _run(_loop(video, place / f"{count}.mkv", count), options)["peak_mb"] for count in (500, 5000)}
    return {"peak_mb": peaks, "growth": round(peaks[5000] / peaks[500], 4)}


def measure_workers(video: Path, place: Path, frames: int, rounds: int, options: list[str]) -> dict[str, Any]:
    """Seconds of the whole command, start included, and pixels that differ."""
    long = _loop(video, place / "long.mkv", frames)
    (place / "many").mkdir()
    for index in range(16):
        _loop(video, place / "many" / f"{index}.mkv", frames // 16)
    seconds: dict[str, list[float]] = {}
    for number in range(rounds):
        for workers in (1, 2, 4):
            own = ["--workers", str(workers), *options]
            for kind, source in (("one", long), ("16", place / "many")):
                output = place / f"{kind}-{workers}-{number}"
                begun = time.perf_counter()
                _command(source, output, own)
                seconds.setdefault(f"{kind} videos, {workers} workers", []).append(time.perf_counter() - begun)
    differing = sum(
        _differing(place / f"{kind}-1-0", place / f"{kind}-{workers}-0") for kind in ("one", "16") for workers in (2, 4)
    )
    fps = {name: _spread([frames / value for value in values]) for name, values in seconds.items()}
    gain = {
        name: round(statistics.median(seconds[f"{name.split()[0]} videos, 1 workers"]) / statistics.median(values), 2)
        for name, values in seconds.items()
    }
    return {"frames": frames, "fps": fps, "over_one_worker": gain, "files_that_differ": differing}


def measure_kills(video: Path, place: Path, rounds: int, chance: random.Random, options: list[str]) -> dict[str, Any]:
    """How often the result of a run that was killed and went on equals that of an unbroken one."""
    begun = time.perf_counter()
    _command(video, place / "whole", options)
    whole_s, right, kills = time.perf_counter() - begun, 0, 0
    for number in range(rounds):
        output, workers = place / str(number), str(1 + number % 2)
        own = [*options, "--workers", workers, "--resume"]
        while True:
            run = subprocess.Popen(_words(video, output, own))
            try:
                run.wait(chance.uniform(0.2, 1.0) * whole_s)
                break
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.wait()
                kills += 1
        right += run.returncode == 0 and not _differing(place / "whole", output)
    return {"runs": rounds, "kills": kills, "right": right}


def measure_cluster(video: Path, output: Path) -> dict[str, Any]:
    """What a task costs beside its frames."""
    with hired(Distribution(workers=2, ray="local"), Execution(threads=1)) as crew:
        crew.outcome(crew.start(len, ()))
        begun, count = time.perf_counter(), 1000
        for task in [crew.start(len, ()) for _ in range(count)]:
            crew.outcome(task)
        tasks_s = count / (time.perf_counter() - begun)
    begun = time.perf_counter()
    order = Order(write=("masks", "overlay"))
    with (
        networks(DEFAULT_MODEL, None, None, Execution(threads=1)) as ready_for,
        Recording(video, output, order, asked_of(DEFAULT_MODEL, None, None)) as recording,
    ):
        ready_for(recording.job.size)
        start_s, begun = time.perf_counter() - begun, time.perf_counter()
        for span in recording.missing():
            recording.make(span, ready_for, None)
        made_s, begun = time.perf_counter() - begun, time.perf_counter()
        summary = recording.finish()
        joined_s = time.perf_counter() - begun
    files = [path for path in output.rglob("*") if path.is_file()]
    return {
        "ray_tasks_s": round(tasks_s),
        "frames": summary.frames,
        "start_s": round(start_s, 2),
        "fps_of_one_thread": round(summary.frames / made_s, 2),
        "join_ms_a_frame": round(1e3 * joined_s / summary.frames, 2),
        "kb_a_frame_in": round(video.stat().st_size / summary.frames / 1e3, 1),
        "kb_a_frame_out": round(sum(path.stat().st_size for path in files) / summary.frames / 1e3, 1),
        "files_a_frame": round(len(files) / summary.frames, 3),
    }


def _differing(one: Path, other: Path) -> int:
    """Files of two results that differ or are in one of them only, but for their summaries."""
    sides = [
        {path.relative_to(root) for path in root.rglob("*") if path.is_file() and path.name != "summary.json"}
        for root in (one, other)
    ]
    both = sides[0] & sides[1]
    return len(sides[0] ^ sides[1]) + sum(not filecmp.cmp(one / name, other / name, shallow=False) for name in both)


def _words(video: Path, output: Path, options: list[str]) -> list[str]:
    return [sys.executable, "-m", "tdseg", "segment", str(video), "-o", str(output), "--quiet", *options]


def _command(video: Path, output: Path, options: list[str]) -> float:
    """`tdseg segment` in a process of its own; its peak resident memory in MB."""
    process = subprocess.Popen(_words(video, output, options))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"tdseg segment ended with status {status}")
    return usage.ru_maxrss / 1024


def _run(video: Path, options: list[str]) -> dict[str, Any]:
    """Its summary and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        peak_mb = _command(video, Path(folder, "out"), options)
        summary: dict[str, Any] = json.loads(Path(folder, "out", "summary.json").read_text())
    return {**summary, "peak_mb": round(peak_mb, 1)}


def _loop(video: Path, target: Path, frames: int) -> Path:
    """Repeat the packets of a video, without decoding, until so many frames are there."""
    with av.open(str(target), "w") as output:
        written, offset, stream = 0, 0, None
        while written < frames:
            with av.open(str(video)) as source:
                original = source.streams.video[0]
                stream = stream or output.add_stream_from_template(original)
                end = offset
                for packet in source.demux(original):
                    if packet.dts is None or packet.pts is None or written == frames:
                        continue
                    end = max(end, offset + packet.pts + (packet.duration or 1))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    output.mux(packet)
                    written += 1
                offset = end
    return target


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


if __name__ == "__main__":
    main()
