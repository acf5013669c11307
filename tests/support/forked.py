"""Runs in children of a process that has loaded all that takes long: a run begins at once, and can be killed.

As a program, `python -m support.forked MODULE ...` loads these, reads runs from stdin, a line of JSON each, and forks a
child for one after the other.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from support.aimed import Aim
from support.places import ROOT

COMMAND = "tdseg.cli:main"
LONGEST_S = 300.0
"""By the clock: what takes longer hangs."""
FAILED = 99
"""Exit code of a function that raised."""
_KEPT = ("HOME", "PATH", "LANG", "VIRTUAL_ENV")


class Ended(NamedTuple):
    """The end of a run."""

    code: int | None
    """What the function returned, -N if signal N ended it, None if it hung."""
    told: str
    """What it printed."""
    calls: int | None
    """Those that change files, if it came to its end."""


class Forked:
    """A process that forks runs, one at a time. A context manager.

    Args:
        place: folder for what they print and keep.
        modules: to load before the first.
    """

    def __init__(self, place: Path, modules: Sequence[str]) -> None:
        self._place, self._modules, self._heard = place, modules, dict[str, Any]()

    def __enter__(self) -> Self:
        self._place.mkdir(parents=True, exist_ok=True)
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        kept |= {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        kept |= {"TDSEG_CACHE": str(self._place / "cache"), "COLUMNS": "160"}
        command = [sys.executable, "-m", "support.forked", *self._modules]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # Without buffers: what is read ahead would not be waited for again.
        self._process = subprocess.Popen(command, env=kept, cwd=self._place, bufsize=0, **pipes)  # type: ignore[call-overload]
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def run(self, *args: str, **aim: Any) -> Ended:
        """A run from its start to its end; arguments as of `start`."""
        self.start(*args, **aim)
        return self.end()

    def start(
        self,
        *args: str,
        call: str = COMMAND,
        at: int | None = None,
        number: int | None = None,
        within: Sequence[str] | None = None,
        until: Path | None = None,
    ) -> None:
        """Begin a run.

        Args:
            args: of the function; of the command those of its line.
            call: the function, MODULE:NAME, which gives an exit code.
            at, within: as of `Aim`: where something happens.
            number: of the signal that the run sends itself there; None: it tells that it is there, see `reached`.
            until: having told, it waits until this file exists.
        """
        run: dict[str, Any] = {"call": call, "args": args, "at": at, "number": number, "within": within}
        run |= {"until": until and str(until), "printed": str(self._place / "printed.txt")}
        self._process.stdin.write(json.dumps(run).encode() + b"\n")
        self._pid = self._hear()["pid"]

    def reached(self) -> bool:
        """Wait until the run is where it was to tell; False if it ended before."""
        self._heard = self._hear()
        return "code" not in self._heard

    def end(self) -> Ended:
        """Wait for the end of the run."""
        while "code" not in self._heard:
            self._heard = self._hear()
        heard, self._heard = self._heard, {}
        return Ended(heard["code"], (self._place / "printed.txt").read_text("utf-8", "replace"), heard["calls"])

    def _hear(self) -> dict[str, Any]:
        """The next line of the process; a run that hangs is killed."""
        if not select.select([self._process.stdout], [], [], LONGEST_S)[0]:
            os.kill(self._pid, signal.SIGKILL)
            self._process.stdout.readline()
            return {"code": None, "calls": None}
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks runs has ended; see what it printed")
        heard: dict[str, Any] = json.loads(line)
        return heard


def _serve() -> None:
    """Fork a child for every line, and tell of its start and end."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    for module in sys.argv[1:]:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)
    for line in sys.stdin:
        run, (reader, writer) = json.loads(line), os.pipe()
        if not (pid := os.fork()):
            os.close(reader)
            _run(run, answers, writer)
        os.close(writer)
        _answer(answers, {"pid": pid})
        status = os.waitpid(pid, 0)[1]
        with open(reader) as pipe:
            calls = pipe.read()
        _answer(answers, {"code": os.waitstatus_to_exitcode(status), "calls": int(calls) if calls else None})


def _answer(answers: int, fields: dict[str, Any]) -> None:
    os.write(answers, (json.dumps(fields) + "\n").encode())


def _run(run: dict[str, Any], answers: int, writer: int) -> None:
    """The child: it ends here."""

    def act() -> None:
        if run["number"]:
            os.kill(os.getpid(), run["number"])
            return
        _answer(answers, {"reached": run["at"]})
        while run["until"] and not os.path.exists(run["until"]):
            time.sleep(0.002)

    printed = os.open(run["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    aim, code = Aim(run["at"], act, run["within"]), FAILED
    try:
        module, _, name = run["call"].partition(":")
        function = getattr(importlib.import_module(module), name)
        aim.take()
        code = function(run["args"]) or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(writer, str(aim.calls).encode())
    os._exit(code)


if __name__ == "__main__":
    _serve()
