"""Commands in processes of their own, several at once, which need not load their modules: all are forked from one.

As a program, python -m robustness.forking: reads orders from stdin, a line of JSON each, and prints how each ended.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from support.places import ROOT

HANG_S = 60.0
"""After so many seconds a command is killed."""


class Commands:
    """Runs `tdseg`; from any thread. A context manager.

    Args:
        timeout_s: that an address may stay silent.
    """

    def __init__(self, timeout_s: float) -> None:
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'src'}", "OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "robustness.forking", str(timeout_s)]
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT, text=True
        )
        self._ends: dict[str, Future[int | None]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def run(self, arguments: list[str], told: Path) -> int | None:
        """The exit code of a command, below 0 for a signal, None if it hung; what it prints goes to the file."""
        end = self._ends[str(told)] = Future[int | None]()
        with self._lock:
            assert self._process.stdin
            self._process.stdin.write(json.dumps({"arguments": arguments, "told": str(told)}) + "\n")
            self._process.stdin.flush()
        return end.result(2 * HANG_S)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            told, code = json.loads(line)
            self._ends[told].set_result(code)

    def __enter__(self) -> Commands:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def _serve(timeout_s: float) -> None:
    """Fork for each order; tell of each that ended."""
    _prepare(timeout_s)
    orders, running, more = io.FileIO(0), dict[int, tuple[str, float]](), True
    while more or running:
        if more and select.select([orders], [], [], 0.02)[0]:
            line = orders.readline()
            more = bool(line)
            if line:
                order = json.loads(line)
                pid = os.fork() or _run(order["arguments"], order["told"])
                running[pid] = order["told"], time.monotonic() + HANG_S
        for pid, (told, end_s) in list(running.items()):
            hangs = time.monotonic() > end_s
            if hangs:
                os.kill(pid, signal.SIGKILL)
            ended, status = os.waitpid(pid, 0 if hangs else os.WNOHANG)
            if ended:
                del running[pid]
                print(json.dumps([told, None if hangs else os.waitstatus_to_exitcode(status)]), flush=True)
        if not more:
            time.sleep(0.02)


def _prepare(timeout_s: float) -> None:
    """Import what a command needs, and make it less patient with addresses."""
    import onnxruntime  # noqa: F401 - imported once for all
    import torch

    import tdseg.cli.segment  # noqa: F401
    from tdseg.video import container, opening

    torch.set_num_threads(1)
    for function in (container.open_input, opening.open_video, opening._open_container):
        assert function.__kwdefaults__
        function.__kwdefaults__["timeout_s"] = timeout_s


def _run(arguments: list[str], told: str) -> Any:
    """Run a command as this process, and end it."""
    code = 70
    with contextlib.suppress(BaseException):
        for stream, name, flags in ((0, os.devnull, os.O_RDONLY), (1, told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
            os.dup2(os.open(name, flags), stream)
        os.dup2(1, 2)
        from tdseg.cli import main

        code = main(arguments)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(float(sys.argv[1]))
