"""Two runs into one folder, the second begun at many moments of the first: one is refused, or both are right.

At every other moment the first claims the folder, or publishes, and stands still there until the second has ended; at
the others it goes on, wherever it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from robustness.materials import make_materials
from robustness.victims import MODULES, clear, make_sources
from support.aimed import PUBLISHING
from support.forked import Ended, Forked
from support.results import RUN, files
from tdseg.files.publishing import STAGING
from tdseg.inference.summary import SUMMARY, read_summary

WAYS: dict[str, tuple[str, ...]] = {
    "new": (),
    "overwrite": ("--overwrite",),
    "resume": ("--resume",),
    "resume-same": ("--resume",),
}
"""Options of both runs, which are of different videos but for the last; for the second a former result is there."""
NAMED = "in use by process"
"""What a refusal says where the other run still works."""
HELD = ("in use", "is of another run", "holds an interrupted run")
"""What a refusal says where the other has ended."""


class Pair(NamedTuple):
    """What became of two runs."""

    way: str
    moment: int
    call: int
    """Where the second began: of those that change files, of the first or of its publishing."""
    waits: bool
    """The first stood still until the second had ended."""
    codes: tuple[int | None, int | None]
    holds: str
    """Whose result the folder holds: first, second, or what is of neither."""
    fault: str
    """mixed, refused, ended, or "" for none."""
    told: str

    def __str__(self) -> str:
        how = "stands still" if self.waits else "goes on"
        return f"{self.way}:{self.moment} (second at call {self.call} of the first, which {how}; codes {self.codes})"


def run_pairs(
    ways: list[str], moments: list[int], count: int, materials: Path, place: Path, forked: tuple[Forked, Forked]
) -> Iterator[Pair]:
    """Run pairs; each is told when both have ended.

    Args:
        ways: of WAYS.
        moments: which of them.
        count: of the moments that the first run is cut into.
        materials: of all attacks.
        place: folder for the results.
        forked: one for each of both.
    """
    make_sources(materials)
    for way in ways:
        result = place / way / "result"
        commands = [_command(materials, clip, result, way) for clip in ("clip.mp4", "other.mp4")]
        if way == "resume-same":
            commands[1] = commands[0]
        right, calls = [], list[int]()
        for command, within in zip((commands[1], *commands[:1] * 2), (None, None, PUBLISHING), strict=True):
            clear(result)
            ended = forked[0].run(*command, within=within)
            assert ended.code == 0, ended.told
            assert ended.calls
            right.append(held(result))
            calls.append(ended.calls)
        right = [right[1], right[0]]
        for moment in moments:
            clear(result)
            if way == "overwrite":
                former = forked[1].run(*_command(materials, "short.mp4", result, "new"))
                assert former.code == 0, former.told
            waits = moment % 2 == 0
            call = moment * calls[2 if waits else 1] // count
            yield _pair(way, moment, call, waits, commands, right, result, forked)


def _pair(
    way: str,
    moment: int,
    call: int,
    waits: bool,
    commands: list[list[str]],
    right: list[dict[str, str]],
    result: Path,
    forked: tuple[Forked, Forked],
) -> Pair:
    first, second = forked
    go = result.parent / "go"
    first.start(*commands[0], at=call, within=PUBLISHING if waits else None, until=go if waits else None)
    first.reached()
    other = second.run(*commands[1])
    go.touch()
    ends = (first.end(), other)
    after = held(result)
    holds = next((name for name, one in zip(("first", "second"), right, strict=True) if one == after), "neither")
    fault = _judge(ends, holds, result)
    told = "\n".join(end.told.strip() for end in ends) + (f"\n{sorted(after)}" if fault else "")
    return Pair(way, moment, call, waits, (ends[0].code, ends[1].code), holds, fault, told)


def _judge(ends: tuple[Ended, Ended], holds: str, result: Path) -> str:
    """What is wrong with the end of a pair."""
    codes = [end.code for end in ends]
    if any(code not in (0, 2) for code in codes) or any("Traceback" in end.told for end in ends):
        return "ended"
    if 0 not in codes:
        return "refused"
    if any(end.code == 2 and not any(words in end.told for words in (NAMED, *HELD)) for end in ends):
        return "refused"
    whose = {"first": 0, "second": 1}.get(holds)
    if whose is None or codes[whose] != 0 or (result / STAGING).exists():
        return "mixed"
    return ""


def held(result: Path) -> dict[str, str]:
    """What is in a folder, but for what two runs do not have in common."""
    if not (result / SUMMARY).exists():
        return {}
    summary = {key: value for key, value in read_summary(result).items() if key not in RUN}
    return {name: sha256(data).hexdigest() for name, data in files(result).items()} | {SUMMARY: json.dumps(summary)}


def _command(materials: Path, clip: str, result: Path, way: str) -> list[str]:
    network = ["--model", str(materials / "lite0s.safetensors"), "--runtime", "torch", "--threads", "1"]
    return ["segment", str(materials / clip), *network, "--write", "masks,csv", "-o", str(result), *WAYS[way]]


def main(arguments: list[str]) -> int:
    """0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="robustness pairs", description=__doc__)
    parser.add_argument("--moments", type=int, default=20, help="of the first run, for each way")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS])
    parser.add_argument("--only", nargs="+", type=int, metavar="MOMENT", help="these alone, told whole")
    parser.add_argument("--place", type=Path, default=Path("out/robustness"), help="folder for inputs and results")
    given = parser.parse_args(arguments)
    place = given.place.resolve()
    materials, moments = make_materials(place / "materials"), given.only or [*range(given.moments)]
    right = dict.fromkeys(given.ways, 0)
    ends = {way: dict[str, int]() for way in given.ways}
    with Forked(place / "pairs" / "a", MODULES[:1]) as first, Forked(place / "pairs" / "b", MODULES[:1]) as second:
        for pair in run_pairs(given.ways, moments, given.moments, materials, place / "pairs", (first, second)):
            right[pair.way] += not pair.fault
            kind = f"{pair.codes}, of the {pair.holds}"
            ends[pair.way][kind] = ends[pair.way].get(kind, 0) + 1
            if pair.fault or given.only:
                print(f"{pair.fault or 'right'} {pair}: {pair.holds}\n    {pair.told[-1500:].strip()}", flush=True)
    shutil.rmtree(place / "pairs", ignore_errors=True)
    for way, count in right.items():
        kinds = "; ".join(f"{kind} {number}" for kind, number in sorted(ends[way].items()))
        print(f"{way}: right {count} of {len(moments)}: codes {kinds}")
    return int(any(count < len(moments) for count in right.values()))
