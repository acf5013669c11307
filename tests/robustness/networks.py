"""Broken networks for `tdseg segment URL`: PYTHONPATH=tests python -m robustness networks [--only NAME …]."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Self

from robustness.clips import COUNT, make_clips
from robustness.ways import Way, make_ways
from support.fake_camera import FakeCamera
from support.forked import Ended, Forked

TIMEOUT_S = 2.0
"""That an address may stay silent here."""
AT_ONCE = 4
OPTIONS = ["--write", "masks", "--runtime", "onnxruntime", "--memory", "0", "--threads", "1", "--no-latest"]
"""Of every command."""


def impatient(arguments: Sequence[str]) -> int:
    """The command, for which an address may stay silent for TIMEOUT_S only."""
    import tdseg.inference.selection
    from tdseg.cli import main
    from tdseg.video import container

    vars(tdseg.inference.selection)["URL_TIMEOUT_S"] = TIMEOUT_S
    assert container.open_input.__kwdefaults__
    container.open_input.__kwdefaults__["timeout_s"] = TIMEOUT_S  # of sound, which is read again
    return main(arguments)


class Commands:
    """Runs it, AT_ONCE at once, from any thread. A context manager."""

    def __init__(self, place: Path) -> None:
        self._places = [place / f"run {number}" for number in range(AT_ONCE)]
        self._free: SimpleQueue[Forked] = SimpleQueue()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for place in self._places:
            self._free.put(self._open.enter_context(Forked(place, ["tdseg.cli.segment", "onnxruntime"])))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def run(self, arguments: Sequence[str]) -> Ended:
        """A command from its start to its end."""
        forked = self._free.get()
        try:
            return forked.run(*arguments, call=f"{__name__}:{impatient.__name__}")
        finally:
            self._free.put(forked)


class Outcome(NamedTuple):
    """What became of a command."""

    name: str
    fault: str
    """What is not as it should be; "" for nothing."""
    code: int | None
    frames: int
    seconds: float
    told: str


def run_ways(place: Path, names: Collection[str] = ()) -> Iterator[Outcome]:
    """Segment what servers send in all ways, or in those of some names.

    Args:
        place: folder for clips and results; the clips may be there already.
        names: of ways.
    """
    clips = make_clips(place / "clips")
    shutil.rmtree(place / "results", ignore_errors=True)
    (place / "results").mkdir()
    ways = make_ways(clips)
    chosen = {name: way for name, way in ways.items() if not names or name in names}
    wanted = sorted({way.clip for way in chosen.values() if way.clip})
    with Commands(place) as commands, ThreadPoolExecutor(AT_ONCE) as pool:
        whole = dict(zip(wanted, pool.map(lambda name: _whole(commands, place, name), wanted), strict=True))
        yield from pool.map(lambda item: _outcome(commands, place, whole, *item), chosen.items())


def _whole(commands: Commands, place: Path, clip: str) -> list[bytes]:
    """The masks of a clip that is played from the disk; no two are the same."""
    code, told, folder = _run(commands, place, clip, [str(place / "clips" / clip)])
    masks = _masks(folder)
    assert (code, len(set(masks))) == (0, COUNT), f"{clip}: {code}, {told}"
    return masks


def _outcome(commands: Commands, place: Path, whole: dict[str, list[bytes]], name: str, way: Way) -> Outcome:
    begun = time.monotonic()
    with FakeCamera(way.behave) as camera:
        code, told, folder = _run(commands, place, name, [way.address.format(port=camera.port), *way.options])
    masks = _masks(folder)
    fault = _fault(way, code, told, masks, whole.get(way.clip, []), folder)
    return Outcome(name, fault, code, len(masks), round(time.monotonic() - begun, 1), told)


def _run(commands: Commands, place: Path, name: str, arguments: list[str]) -> tuple[int | None, str, Path]:
    """Its exit code, what it says, and the folder of its result."""
    folder = place / "results" / re.sub(r"[/:{}%.]+", " ", name).strip()
    command = ["segment", *arguments, "--model", str(place / "clips/network.onnx"), "-o", str(folder), *OPTIONS]
    ended = commands.run(command)
    return ended.code, ended.told, folder


def _masks(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "masks").glob("*.png"))]


def _fault(way: Way, code: int | None, told: str, masks: list[bytes], whole: list[bytes], folder: Path) -> str:
    """What is not as it should be."""
    if code is None or code < 0:
        return "hang" if code is None else f"crash, signal {-code}"
    if "Traceback" in told or code != way.code:
        return f"code {code}, not {way.code}"
    if way.says not in told:
        return f"does not say {way.says!r}"
    if not way.least <= len(masks) <= way.most:
        return f"{len(masks)} frames, not {way.least} to {way.most}"
    sent = iter(whole)
    if wrong := [index for index, mask in enumerate(masks) if mask not in sent]:  # an iterator: in their order
        return f"of {len(masks)} frames, from {wrong[0]} on, some are not those that were sent"
    if code == 2:
        return f"{folder.name} is left" if folder.exists() else ""
    summary = json.loads((folder / "summary.json").read_text())
    if summary["complete"] != (code == 0) or (code == 1 and way.says not in summary["problem"]):
        return f"the summary says complete: {summary['complete']}, {summary['problem']}"
    return ""


def main(arguments: list[str]) -> int:
    """0 if every way ends as it should."""
    parser = argparse.ArgumentParser(prog="robustness networks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these ways alone, told whole")
    parser.add_argument("--place", type=Path, default=Path("out/networks"), help="folder for clips and results")
    given = parser.parse_args(arguments)
    begun, codes, faults = time.monotonic(), Counter[int | None](), 0
    for outcome in run_ways(given.place.resolve(), given.only):
        codes[outcome.code] += 1
        faults += bool(outcome.fault)
        if outcome.fault or given.only:
            print(f"{outcome.name}: {outcome.fault or 'right'}; {outcome.frames} frames, {outcome.seconds} s")
            print("    " + outcome.told.strip().replace("\n", "\n    "), flush=True)
    passed = time.monotonic() - begun
    print(f"{sum(codes.values())} ways, {faults} end wrongly; codes {dict(codes)}; {passed:.0f} s")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
