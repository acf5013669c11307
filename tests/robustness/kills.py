"""Kills while a result takes the place of a former one: whoever looks next finds all of either, and can go on."""

from __future__ import annotations

import argparse
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from robustness.materials import make_materials
from robustness.victims import MODULES, VICTIMS, clear, make_sources, seen
from support.aimed import PUBLISHING
from support.forked import Forked
from tdseg.errors import TdsegError
from tdseg.files.publishing import MARK, STAGING

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""In turn."""
CODES = {0, 130, -signal.SIGKILL}
"""How a run ends that was asked to: it is killed, breaks off, or is so far that it ends as it should."""


class Kill(NamedTuple):
    """What became of a former result when the run that was to replace it got a signal."""

    victim: str
    number: int
    call: int
    """Of those that change files while the run publishes."""
    signal: str
    code: int | None
    halfway: bool
    """When it ended, some files were in their places, and others not."""
    found: str
    """By whoever looked next: old, new, or what is neither."""
    fault: str
    """neither, ended, again, or "" for none."""
    told: str

    def __str__(self) -> str:
        return f"{self.victim}:{self.number} ({self.signal} at call {self.call}, ended by {self.code})"


def kill_runs(
    names: list[str], numbers: list[int], seed: int, materials: Path, place: Path, forked: Forked
) -> Iterator[Kill]:
    """Kill runs of some victims; each kill is told when its end is known.

    Args:
        names: of victims.
        numbers: of the kills of each; the seed says at which call each is.
        seed: of the calls.
        materials: of all attacks.
        place: folder for the results.
        forked: runs them.
    """
    make_sources(materials)
    for name in names:
        yield from _kill_one(name, numbers, seed, materials, place / name, forked)


def _kill_one(name: str, numbers: list[int], seed: int, materials: Path, place: Path, forked: Forked) -> Iterator[Kill]:
    victim = VICTIMS[name]
    former, result = (place / part / f"result{victim.suffix}" for part in ("former", "work"))
    command = victim.command(materials, result)
    clear(former)
    _must_end(forked, victim.former(materials, former))
    old = seen(victim, former)
    _restore(former, result)
    calls = _must_end(forked, command)
    new = seen(victim, result)
    assert old != new
    order = [*range(calls)]
    Random(f"{name}:{seed}").shuffle(order)
    for number in numbers:
        call, chosen = order[number % calls], SIGNALS[number % len(SIGNALS)]
        _restore(former, result)
        ended = forked.run(*command, at=call, number=chosen, within=PUBLISHING)
        halfway = (result / STAGING / MARK).exists()
        fault, told = "", ended.told
        try:
            after = seen(victim, result)
            found = "old" if after == old else "new" if after == new else _differences(after, old, new)
        except (TdsegError, OSError, AssertionError, ValueError) as error:
            found = f"cannot be opened: {error}"
        if found not in ("old", "new"):
            fault = "neither"
        elif ended.code not in CODES or "Traceback" in told:
            fault = "ended"
        else:
            again = forked.run(*command)
            try:
                whole = again.code == 0 and seen(victim, result) == new and not _left(result)
            except (TdsegError, OSError, AssertionError, ValueError) as error:
                whole, again = False, again._replace(told=f"{again.told}\n{error}")
            if not whole:
                fault, told = "again", f"{again.code}: {again.told} {_left(result)}"
        yield Kill(name, number, call, chosen.name, ended.code, halfway, found, fault, told)


def _must_end(forked: Forked, command: list[str]) -> int:
    """Run what nothing disturbs; gives how often it changes files while it publishes."""
    ended = forked.run(*command, within=PUBLISHING)
    assert ended.code == 0, ended.told
    assert ended.calls
    return ended.calls


def _restore(former: Path, result: Path) -> None:
    clear(result)
    (shutil.copytree if former.is_dir() else shutil.copy2)(former, result)


def _left(result: Path) -> list[str]:
    """Hidden files that a run has not removed."""
    return sorted(str(path) for path in result.parent.rglob("*") if path.name.endswith(STAGING))


def _differences(after: dict[str, str], old: dict[str, str], new: dict[str, str]) -> str:
    """Which files are of which result."""
    kinds = {
        name: "both" if old.get(name) == after.get(name) == new.get(name) else
        "old" if old.get(name) == after.get(name) else "new" if new.get(name) == after.get(name) else "neither"
        for name in sorted({*after, *old, *new})
    }  # fmt: skip
    return ", ".join(f"{name} {kind}" + ("" if name in after else " (gone)") for name, kind in kinds.items())


def main(arguments: list[str]) -> int:
    """0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="robustness kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=1, help="says at which calls")
    parser.add_argument("--commands", nargs="+", choices=[*VICTIMS], default=[*VICTIMS])
    parser.add_argument("--only", nargs="+", type=int, metavar="NUMBER", help="these kills alone, told whole")
    parser.add_argument("--place", type=Path, default=Path("out/robustness"), help="folder for inputs and results")
    given = parser.parse_args(arguments)
    place, counts, halfway = given.place.resolve(), Counter[tuple[str, str]](), 0
    materials, numbers = make_materials(place / "materials"), given.only or [*range(given.kills)]
    with Forked(place / "kills", MODULES) as forked:
        for one in kill_runs(given.commands, numbers, given.seed, materials, place / "kills", forked):
            counts[one.victim, one.fault or one.found] += 1
            halfway += one.halfway
            if one.fault or given.only:
                print(f"{one.fault or 'right'} {one}: {one.found}\n    {one.told[-1500:].strip()}", flush=True)
    for name in given.commands:
        print(
            f"{name}: " + ", ".join(f"{what} {count}" for (who, what), count in sorted(counts.items()) if who == name)
        )
    total, bad = len(numbers) * len(given.commands), Counter(what for _, what in counts.elements())
    print(
        f"{total} kills, seed {given.seed}, {halfway} of them halfway; neither old nor new: {bad['neither']} of {total}"
    )
    print(f"ended otherwise: {bad['ended']}; the command did not work again: {bad['again']}")
    return int(bad["neither"] + bad["ended"] + bad["again"] > 0)
