"""Cases run through the command, one after the other in a child: what ends or hangs it is found, and the rest goes on.

As a program, `python -m robustness.running MATERIALS PLACE`: reads cases from stdin, a line each, and prints what came.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from robustness.cases import Case
from support.places import ROOT

HANG_S = 60.0
"""Of the processor a case may take so long, and four times that by the clock, as others work here, too."""
MEMORY = 6 << 30
"""Bytes of data that a child may have."""
ROOM = 1536
"""MB that a case may take beyond what the child had before it."""
CODES = {0, 1, 2, 130}
"""How a command may end."""
LONGEST = 6000
"""Characters of an error message."""
_KEPT = ("HOME", "PATH", "LANG", "VIRTUAL_ENV")


class Finding(NamedTuple):
    """The end of one case."""

    case: str
    fault: str
    """traceback, hang, crash, memory, message, or "" for none."""
    code: int | None
    seconds: float
    memory_mb: float
    """Peak, beyond what there was before."""
    command: list[str]
    told: str
    """The end of what it printed, or of the traceback."""


def run_cases(cases: list[Case], materials: Path, place: Path) -> Iterator[Finding]:
    """Run cases; each is told as it ends."""
    left = deque(cases)
    while left:
        yield from _batch(left, materials, place)


def _batch(left: deque[Case], materials: Path, place: Path) -> Iterator[Finding]:
    """Cases until one ends the child, or all are done."""
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "robustness.running", str(materials), str(place)]
    environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
    environment |= {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment |= {"TDSEG_CACHE": str(place / "cache"), "COLUMNS": "160", "PYTHONFAULTHANDLER": ""}
    errors = (place / "stderr.txt").open("wb")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
    child = subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)  # type: ignore[call-overload]
    try:
        while left:
            child.stdin.write(f"{left[0]}\n".encode())
            child.stdin.flush()
            begun = time.monotonic()
            ready, _, _ = select.select([child.stdout], [], [], 4 * HANG_S)
            line = child.stdout.readline() if ready else b""
            case = left.popleft()
            if line:
                yield Finding(**json.loads(line))
                continue
            passed = time.monotonic() - begun
            child.kill()
            code = child.wait()
            errors.flush()
            told = (place / "stderr.txt").read_text("utf-8", "replace")[-1500:]
            fault = "hang" if not ready else "crash"
            yield Finding(str(case), fault, code, passed, 0.0, _command(place), told)
            return
    except BrokenPipeError:  # it did not even begin
        yield Finding(
            str(left.popleft()), "crash", child.wait(), 0.0, 0.0, [], (place / "stderr.txt").read_text()[-1500:]
        )
    finally:
        child.kill()
        child.wait()
        errors.close()
        shutil.rmtree(place / "case", ignore_errors=True)


def _command(place: Path) -> list[str]:
    with contextlib.suppress(OSError, ValueError):
        return list(json.loads((place / "command.json").read_text()))
    return []


def run_case(case: Case, materials: Path, place: Path) -> Finding:
    """Run one case here."""
    from tdseg.cli import main

    folder = place / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    arguments = case.make(materials, folder)
    (place / "command.json").write_text(json.dumps(arguments))
    Path("/proc/self/clear_refs").write_text("5")
    before, begun = _resident("VmRSS"), time.monotonic()
    printed, code, fault, told = io.StringIO(), None, "", ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), contextlib.chdir(folder):
        signal.setitimer(signal.ITIMER_PROF, HANG_S)
        try:
            code = main(arguments)
        except _TooLongError:
            fault, told = "hang", traceback.format_exc()
        except BaseException:
            fault, told = "traceback", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    memory = _resident("VmHWM") - before
    text = printed.getvalue()
    if not fault:
        told = text
        fault = _judge(code, text, memory)
    shutil.rmtree(folder, ignore_errors=True)
    return Finding(str(case), fault, code, round(time.monotonic() - begun, 2), round(memory), arguments, told[-3000:])


def _judge(code: int | None, text: str, memory_mb: float) -> str:
    """What is wrong with how a command ended."""
    if code not in CODES or "Traceback (most recent call last)" in text:
        return "traceback"
    if memory_mb > ROOM:
        return "memory"
    if (code and len(text) > LONGEST) or re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text):
        return "message"
    return ""


class _TooLongError(BaseException):
    pass


def _alarm(*_: Any) -> None:
    raise _TooLongError


def _resident(name: str) -> float:
    """MB of this process, now or at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _child() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _alarm)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    import torch

    torch.set_num_threads(1)
    for line in sys.stdin:
        finding = run_case(Case.of(line.strip()), Path(sys.argv[1]), Path(sys.argv[2]))
        out.write(json.dumps(finding._asdict()) + "\n")
        out.flush()


if __name__ == "__main__":
    _child()
