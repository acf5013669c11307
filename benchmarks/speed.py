"""Speed and memory of `tdseg segment`, as ratios taken in one run.

python benchmarks/speed.py VIDEO [--rounds 5] [--json FILE]
    The command against the network alone, and td4-lite0 against its per-frame twin lite0.

python benchmarks/speed.py VIDEO --memory [--size HxW] [--json FILE]
    Peak memory of the command on the video looped to 500 and to 5,000 frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import av
import torch

import tdseg
from tdseg.models.tdnet import TDNet
from tdseg.video import open_video

MODELS = ("td4-lite0-camvid", "lite0-camvid")


def main() -> None:
    """Measure, print, and write the figures to a file where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--size", help="HxW of the network's input for --memory; the model's own by default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.memory:
        figures = measure_memory(arguments.video, arguments.size)
    else:
        figures = measure_speed(arguments.video, arguments.rounds)
    figures["machine"] = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    )
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure_speed(video: Path, rounds: int) -> dict[str, Any]:
    """Whole command, network alone and per-frame twin, in turns; medians with spread."""
    networks = {name: tdseg.load(name).fuse() for name in MODELS}
    inputs = _network_inputs(networks[MODELS[0]], video, 60)
    fps: dict[str, list[float]] = {"command": [], **{name: [] for name in MODELS}}
    for name in MODELS:
        _network_fps(networks[name], inputs[:8])  # warm-up
    for _ in range(rounds):
        fps["command"].append(_run_command(video)["fps"])
        for name in MODELS:
            fps[name].append(_network_fps(networks[name], inputs))
    td4, lite0 = MODELS
    return {
        "video": video.name,
        "rounds": rounds,
        **{f"{name}_fps": _spread(values) for name, values in fps.items()},
        "command_over_network": _spread([c / n for c, n in zip(fps["command"], fps[td4], strict=True)]),
        "td4_cost_over_lite0": _spread([b / a for a, b in zip(fps[td4], fps[lite0], strict=True)]),
    }


def measure_memory(video: Path, size: str | None) -> dict[str, Any]:
    """Peak resident memory of the command on the video looped to two lengths."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for frames in (500, 5000):
            looped = Path(folder) / f"{frames}.mkv"
            _loop(video, looped, frames)
            peaks[frames] = _run_command(looped, *(["--size", size] if size else []))["peak_mb"]
    return {"video": video.name, "size": size, "peak_mb": peaks, "growth": round(peaks[5000] / peaks[500] - 1, 4)}


def _network_inputs(model: TDNet, video: Path, count: int) -> list[torch.Tensor]:
    with open_video(video) as reader:
        images = [torch.from_numpy(frame.image).permute(2, 0, 1)[None] for frame in islice(reader, count)]
    size = model.config.size
    resized = (torch.nn.functional.interpolate(image, size, mode="bilinear", antialias=True) for image in images)
    return [model.normalize(image) for image in resized]


@torch.inference_mode()
def _network_fps(model: TDNet, inputs: list[torch.Tensor]) -> float:
    state = model.initial_state()
    start = time.perf_counter()
    for x in inputs:
        _, state = model.advance(model.encode(x, state.path), state)  # the network alone: logits are not resized
    return len(inputs) / (time.perf_counter() - start)


def _run_command(video: Path, *options: str) -> dict[str, Any]:
    """`tdseg segment` in a process of its own: its summary, and its peak resident memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tdseg.cli", "segment", str(video), "-o", f"{folder}/out", "--quiet", *options]
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"tdseg segment ended with status {status}")
        summary: dict[str, Any] = json.loads(Path(folder, "out", "summary.json").read_text())
    return {**summary, "peak_mb": round(usage.ru_maxrss / 1024, 1)}


def _loop(video: Path, target: Path, frames: int) -> None:
    """Repeat the packets of a video, without decoding, until `frames` are there."""
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


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


if __name__ == "__main__":
    main()
