"""Live sessions: how old the shown frame is, whether anything crosses between sessions, and what memory they leave.

python benchmarks/live.py [--model td6-lite0s-camvid] [--runtime auto] [--seconds 60] [--sessions 100]
    [--crowd-seconds 120] [--opened 1000] [--workers 2] [--only age crowd memory]

age     A file of 25 fps, played at its pace for --seconds, through a network that is slowed down to 10 fps: each step
        ends 100 ms after it began. The age of a frame when its mask is there, and when the next one takes its place.
crowd   So many sessions, each with pictures of its own, for --crowd-seconds. Each pushes two pictures at once, of which
        the first may be skipped, waits for the mask of the second and pushes on. Afterwards every session runs alone
        through the pictures that were not skipped, and each mask is compared. A session that had no mask in the last
        tenth of the time is starved.
memory  --opened sessions one after the other, ten at once, each through a file of eight frames: resident memory after
        the last against that after a tenth of them. What malloc holds of freed memory is given back before.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import tdseg
from tdseg.inference.stream import Stream
from tdseg.live.session import Session
from tdseg.live.sessions import Sessions
from tdseg.metrics.basic import percentiles
from tdseg.runtime.network import Execution, Network
from tdseg.system import cpu_threads, machine
from tdseg.video import VideoWriter
from tdseg.video.reconnecting import Patience
from tdseg.zoo.load import prepare

SIZE = (64, 96)
"""(height, width) of frames and of the network's input, pixels."""
STEP_S = 0.1
FPS = 25.0
PERIOD = 24
"""Different pictures of a session, shown again and again."""
AT_ONCE = 10


def pictures(seed: int, count: int = PERIOD) -> list[NDArray[np.uint8]]:
    """Soft blobs that drift, uint8 (H, W, 3), others for each seed."""
    random = torch.Generator().manual_seed(seed)
    blobs = 255 * torch.rand(1, 3, SIZE[0] // 8, SIZE[1] // 8, generator=random)
    image = F.interpolate(blobs, SIZE, mode="bilinear")[0].to(torch.uint8).permute(1, 2, 0).numpy()
    return [np.ascontiguousarray(np.roll(image, 2 * index, axis=1)) for index in range(count)]


def write_clip(path: Path, count: int) -> Path:
    """An mp4 of so many pictures at FPS."""
    images = pictures(0)
    with VideoWriter(path, size=SIZE, fps=FPS) as writer:
        for index in range(count):
            writer.write(images[index % PERIOD], index / FPS)
    return path


class SlowNetwork:
    """A network whose steps take STEP_S at least."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def encode(self, images: torch.Tensor, path: int) -> Any:
        """See Network."""
        return time.perf_counter(), self._network.encode(images, path)

    def advance(self, encoded: Any, state: Any) -> Any:
        """See Network."""
        began, inner = encoded
        result = self._network.advance(inner, state)
        time.sleep(max(0.0, STEP_S - (time.perf_counter() - began)))
        return result


def measure_age(network: Network, arguments: argparse.Namespace, folder: Path) -> None:
    """Print how old the frames of a source are that is faster than the network."""
    clip = write_clip(folder / "clip.mp4", int(FPS * (arguments.seconds + 5)))
    slow = cast(Network, SlowNetwork(network))
    ready, replaced, steps = list[float](), list[float](), list[float]()
    with Sessions(slow, size=SIZE) as sessions:
        session = sessions.open("camera", clip)
        end = time.perf_counter() + arguments.seconds
        index, arrived_s = -1, 0.0
        while time.perf_counter() < end and (result := session.wait(index, 10.0)):
            now, age_ms = time.perf_counter(), result.age_ms or 0.0
            if index >= 0:
                replaced.append(1e3 * (now - arrived_s))
            index, arrived_s = result.index, now - age_ms / 1e3
            ready.append(age_ms)
            steps.append(result.latency_ms)
        figures = session.figures()
    step_ms = percentiles(steps)["p50"]
    print(
        f"\nage, {FPS:g} fps, after {arguments.seconds:g} s: {figures.frames} masks, {figures.skipped} frames skipped\n"
    )
    print("| ms | p50 | p95 | p99 | max | p99 over the step |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, values in (("a step", steps), ("age when the mask is there", ready), ("age when replaced", replaced)):
        row = percentiles(values)
        print(f"| {name} | {' | '.join(f'{value:.0f}' for value in row.values())} | {row['p99'] / step_ms:.2f} |")


class Seen(NamedTuple):
    """The mask of a picture, and what was run before it."""

    steps: list[int]
    """Numbers of the pictures that were not skipped since the mask before, this one last."""
    mask: int
    """Its checksum."""
    time_s: float


def checksum(mask: NDArray[np.uint8]) -> int:
    """A number that another mask will not have."""
    return zlib.crc32(mask.tobytes())


def client(session: Session, seed: int, end: float, seen: list[Seen]) -> None:
    """Push two pictures at once, and again when the second has its mask."""
    images, index, number = pictures(seed), -1, 0
    while time.perf_counter() < end:
        for push in (number, number + 1):
            session.push(images[push % PERIOD], time_s=push / FPS)
        last, result = images[(number + 1) % PERIOD], session.wait(index, 600.0)
        while result is not None and result.frame is not last:
            result = session.wait(result.index, 600.0)
        if result is None:
            return
        steps = [number, number + 1][-(result.index - index) :]
        seen.append(Seen(steps, checksum(result.mask), time.perf_counter()))
        index, number = result.index, number + 2


def measure_crowd(network: Network, arguments: argparse.Namespace, folder: Path) -> None:
    """Print what many sessions at once do to each other."""
    count = arguments.sessions
    seen = [list[Seen]() for _ in range(count)]
    began = time.perf_counter()
    end = began + arguments.crowd_seconds
    patience = Patience(stall_s=1e6)  # else a session that waits long begins anew, and rightly has other masks
    with Sessions(network, size=SIZE, workers=arguments.workers, most=count, patience=patience) as sessions:
        threads = [
            threading.Thread(target=client, args=(sessions.open(str(seed)), seed, end, seen[seed]))
            for seed in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        frames = [session.figures().frames for session in sessions]
        skipped = sum(session.figures().skipped for session in sessions)
    late = end - arguments.crowd_seconds / 10
    starved = sum(not of_one or of_one[-1].time_s < late for of_one in seen)
    mixed = sum(mixed_up(network, seed, of_one) for seed, of_one in enumerate(seen))
    total, mean = sum(frames), sum(frames) / count
    print(f"\ncrowd, {count} sessions, {arguments.workers} workers, {arguments.crowd_seconds:g} s\n")
    print("| steps | skipped | masks compared | mixed up | starved | fps, all | slowest over the mean |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    rate = total / arguments.crowd_seconds
    compared = sum(map(len, seen))
    print(f"| {total} | {skipped} | {compared} | {mixed} | {starved} | {rate:.1f} | {min(frames) / mean:.2f} |")


def mixed_up(network: Network, seed: int, seen: list[Seen]) -> int:
    """How many masks differ from those of a session alone."""
    stream, images, wrong = Stream(network, SIZE), pictures(seed), 0
    for steps, mask, _ in seen:
        results = [stream.step(images[number % PERIOD], time_s=number / FPS) for number in steps]
        wrong += checksum(results[-1].mask) != mask
    return wrong


def measure_memory(network: Network, arguments: argparse.Namespace, folder: Path) -> None:
    """Print the memory that is left behind by sessions that are closed."""
    clip = write_clip(folder / "short.mp4", 8)
    opened, early_mb, early = 0, 0.0, max(AT_ONCE, arguments.opened // 10)
    with Sessions(network, size=SIZE, workers=arguments.workers) as sessions:
        while opened < arguments.opened:
            names = [str(opened + number) for number in range(AT_ONCE)]
            for session in [sessions.open(name, clip, latest=False) for name in names]:
                if session.wait(6, 60.0) is None:
                    raise SystemExit(f"session {session.name} is {session.state}: {session.problem}")
            for name in names:
                sessions.close(name)
            opened += AT_ONCE
            if opened == early:
                early_mb = resident_mb()
    late_mb = resident_mb()
    print(f"\nmemory, sessions of 8 frames, {AT_ONCE} at once\n")
    print(f"| after {early} | after {opened} | growth |")
    print("|--:|--:|--:|")
    print(f"| {early_mb:.1f} MB | {late_mb:.1f} MB | {late_mb / early_mb - 1:+.2%} |")


def resident_mb() -> float:
    """Of this process, MB; on Linux with glibc."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


PARTS: dict[str, Callable[[Network, argparse.Namespace, Path], None]] = {
    "age": measure_age,
    "crowd": measure_crowd,
    "memory": measure_memory,
}


def main() -> None:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="td6-lite0s-camvid")
    parser.add_argument("--runtime", default="auto", choices=("auto", "torch", "onnxruntime", "openvino"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--crowd-seconds", type=float, default=120.0)
    parser.add_argument("--opened", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    with cpu_threads(1), tempfile.TemporaryDirectory() as folder:
        execution = Execution("cpu", arguments.runtime, threads=arguments.workers)
        network = prepare(arguments.model, execution, size=SIZE, workers=arguments.workers)
        torch.set_num_threads(1)
        print(f"tdseg {tdseg.__version__}, {arguments.model} in {network.runtime}, {machine()}")
        for name in arguments.only:
            PARTS[name](network, arguments, Path(folder))


if __name__ == "__main__":
    main()
