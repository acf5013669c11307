"""Memory over a long run: python benchmarks/soak.py [--frames 1000000] [--model NAME].

One Stream segments small made-up pictures, a camera that never ends. The memory of the process at 10 % of the frames is
held against that at their end; what grows by more than 1 % leaks. A million frames take some hours on a laptop's CPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tdseg.inference.stream import Stream
from tdseg.runtime.network import Execution
from tdseg.zoo.load import prepare

SIZE = (64, 96)
ALLOWED = 0.01
"""Growth of memory, as a share."""
TOLD = 20
"""Lines of progress."""


def pictures() -> Iterator[NDArray[np.uint8]]:
    """Frames that move and change, without end."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    while True:
        for shift in range(SIZE[1]):
            yield np.ascontiguousarray(np.roll(ground, shift, axis=1))
        ground = rng.integers(0, 256, (*SIZE, 3), np.uint8)


def resident_mb() -> float:
    """Memory of this process, MB of 2**20 bytes; of Linux."""
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def soak(frames: int, model: str, runtime: str) -> dict[str, float]:
    """Memory in MB at a tenth of the frames and at their end, and its growth as a share."""
    network = prepare(model, Execution("cpu", runtime=runtime, threads=1), size=SIZE)  # type: ignore[arg-type]
    stream, begun, at_tenth = Stream(network, size=SIZE), time.monotonic(), 0.0
    for number, picture in zip(range(1, frames + 1), pictures(), strict=False):
        mask = stream.step(picture).mask
        assert mask.shape == SIZE
        if number % 1000 == 0:  # a cut, and the next video
            stream.reset()
        if number == max(1, frames // 10):
            at_tenth = resident_mb()
        if number % max(1, frames // TOLD) == 0:
            print(
                f"{number} frames, {number / (time.monotonic() - begun):.0f} a second, {resident_mb():.1f} MB",
                flush=True,
            )
    end = resident_mb()
    return {"frames": frames, "mb_at_tenth": at_tenth, "mb_at_end": end, "growth": end / at_tenth - 1}


def main() -> int:
    """0 if memory stays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--model", default="td6-lite0s-camvid")
    parser.add_argument("--runtime", default="auto")
    given = parser.parse_args()
    torch.set_num_threads(1)
    figures = soak(given.frames, given.model, given.runtime)
    print(json.dumps(figures, indent=2))
    return int(figures["growth"] > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
