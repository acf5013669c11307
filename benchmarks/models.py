"""What every architecture costs, as a page of tables.

python benchmarks/models.py [--models NAME ...] [--sizes 360x480 769x1537] [--frames N] [--threads N]
                            [-o docs/models.md] [--json FILE]
    Parameters, multiply-adds and state are counted. Time is that of the network alone on the CPU, in float32, as
    `model.fuse(winograd=True)`. A model with several paths and its per-frame twin (td4-psp18 and psp18) take turns, so
    that they meet the same noise.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from tdseg.cli.terminal import parse_size
from tdseg.errors import ConfigError, TdsegError
from tdseg.files import check_target, write_whole
from tdseg.measure import cost
from tdseg.models.propagation import TDNetState
from tdseg.runtime.network import check_size
from tdseg.system import cpu_threads, machine
from tdseg.zoo import catalog

ROUNDS = 3


@dataclass(frozen=True)
class Spread:
    """Median of several measurements, and how far they lie apart."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Rounded to 0.001."""
        return cls(*(round(value, 3) for value in (statistics.median(values), min(values), max(values))))

    def __str__(self) -> str:
        digits = 2 if self.median < 10 else 1 if self.median < 100 else 0
        return f"{self.median:.{digits}f} ({self.min:.{digits}f}–{self.max:.{digits}f})"


@dataclass(frozen=True)
class Row:
    """One model at one size."""

    model: str
    size: tuple[int, int]
    """(height, width) of the input, pixels."""
    paths: int
    parameters: int
    multiply_adds_per_frame: int
    merging_multiply_adds: int
    """Of them, those of queries, keys, values and propagation."""
    ms_per_frame: Spread
    over_twin: Spread | None
    """Time per frame over that of the per-frame twin in the same round; None: it has none, or is one."""
    state_mb: float
    """MB of 2**20 bytes."""


class Runner:
    """An untrained, fused model that steps through noise."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        plain = catalog.create_model(name)
        self.name, self.size = name, check_size(size, plain.config.size)
        self.multiply_adds_per_frame = round(statistics.fmean(cost.multiply_adds(plain, size)))
        self.merging_multiply_adds = cost.merging_multiply_adds(plain, size)
        self.parameters = cost.parameters(plain)
        self.model = plain.fuse(winograd=True)
        self.paths = plain.config.paths
        self.rounds: list[list[float]] = []
        """Milliseconds of each frame, round by round."""
        self._x = torch.randn(1, 3, *self.size, generator=torch.Generator().manual_seed(0))
        self._state = TDNetState()

    @torch.inference_mode()
    def run(self, frames: int) -> list[float]:
        """Milliseconds of each of the next frames."""
        times = []
        for _ in range(frames):
            start = time.perf_counter()
            encoded = self.model.encode(self._x, self._state.path)
            _, self._state = self.model.advance(encoded, self._state)
            times.append((time.perf_counter() - start) * 1e3)
        return times

    def row(self, twin: Runner | None) -> Row:
        """The figures; twin: the per-frame model that took turns with this one."""
        ratios = (
            [sum(ours) / sum(theirs) for ours, theirs in zip(self.rounds, twin.rounds, strict=True)] if twin else []
        )
        return Row(
            model=self.name,
            size=self.size,
            paths=self.paths,
            parameters=self.parameters,
            multiply_adds_per_frame=self.multiply_adds_per_frame,
            merging_multiply_adds=self.merging_multiply_adds,
            ms_per_frame=Spread.of([ms for times in self.rounds for ms in times]),
            over_twin=Spread.of(ratios) if ratios else None,
            state_mb=round(cost.bytes_of(self._state) / 2**20, 3),
        )


def main() -> None:
    """Measure, and write the page, and the figures to a file where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=catalog.architectures(), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", default=["360x480", "769x1537"], metavar="HxW")
    parser.add_argument("--frames", type=int, help=f"of each model, at least; by default {ROUNDS} times its paths")
    parser.add_argument("--threads", type=int, help="by default all cores")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/models.md"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        run(arguments)
    except TdsegError as error:
        parser.exit(2, f"{error}\n")


def run(arguments: argparse.Namespace) -> None:
    """What `main` was asked for."""
    for target in filter(None, (arguments.output, arguments.json)):
        check_target(target)
    if arguments.frames is not None and arguments.frames < 1:
        raise ConfigError(f"frames {arguments.frames}", expected="1 or more", do="choose a larger --frames")
    sizes = [parse_size(size) for size in arguments.sizes]
    with cpu_threads(arguments.threads):
        where = machine()
        rows = [
            row
            for size in sizes
            for family in _families(arguments.models)
            for row in measure(family, size, arguments.frames)
        ]
    write_whole(arguments.output, page(rows, where))
    if arguments.json:
        figures = {"machine": where, "models": [dataclasses.asdict(row) for row in rows]}
        write_whole(arguments.json, json.dumps(figures, indent=2) + "\n")


def measure(family: list[str], size: tuple[int, int], frames: int | None) -> list[Row]:
    """Rows of models that share a sub-network, run in turns.

    A turn is as many frames as the largest of them has paths, so that each runs all its paths equally often. The
    first turn warms up and fills the memory.
    """
    runners = [Runner(name, size) for name in family]
    turn = max(runner.paths for runner in runners)
    for runner in runners:
        runner.run(turn)
    for _ in range(-(-(frames or ROUNDS * turn) // turn)):
        for runner in runners:
            runner.rounds.append(runner.run(turn))
    twin = next((runner for runner in runners if runner.name == _twin(runner.name)), None)
    rows = [runner.row(None if runner is twin else twin) for runner in runners]
    for row in rows:
        print(f"{row.model} at {_by(row.size)}: {row.ms_per_frame} ms", flush=True)
    return rows


def page(rows: list[Row], where: dict[str, str | int | None]) -> str:
    """The page in Markdown."""
    command = shlex.join(["python", "benchmarks/models.py", *sys.argv[1:]])
    parts = [
        "# Models",
        f"The untrained architectures, by `{command}`, on {where['processor']}, {where['cores']} cores, "
        f"threads: {where['threads']}, torch {where['torch']}.",
        "*Multiply-adds*: of convolutions and matrix products, mean of the paths, with a full memory, before what "
        "Winograd's method saves; *merging*: those of queries, keys, values and propagation among them. *ms per "
        "frame*: of the network alone, `model.fuse(winograd=True)`, float32; median of the frames (fastest–slowest). "
        "*Over its twin*: time per frame over that of the per-frame model with the same sub-network, median (range) "
        "of rounds in which they took turns. *State*: what is remembered from frame to frame, MB of 2²⁰ bytes.",
    ]
    for size in dict.fromkeys(row.size for row in rows):
        parts += [f"## {_by(size)}, height × width", _table([row for row in rows if row.size == size])]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[Row]) -> str:
    lines = [
        "| model | paths | parameters, M | multiply-adds, G | merging, G | ms per frame | over its twin | state, MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = (
            f"`{row.model}`",
            row.paths,
            f"{row.parameters / 1e6:.1f}",
            f"{row.multiply_adds_per_frame / 1e9:.2f}",
            f"{row.merging_multiply_adds / 1e9:.2f}" if row.paths > 1 else "",
            row.ms_per_frame,
            row.over_twin or "",
            f"{row.state_mb:.2f}" if row.paths > 1 else "",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _families(names: list[str]) -> list[list[str]]:
    """Models by sub-network, the per-frame one first."""
    families: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (name != _twin(name), name)):
        families.setdefault(_twin(name), []).append(name)
    return list(families.values())


def _twin(name: str) -> str:
    return re.sub(r"^td\d+-", "", name)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


if __name__ == "__main__":
    main()
