"""Sources that give nothing while they are opened: an interrupt ends the command all the same, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from robustness.servers import is_silent
from support.fake_camera import FakeCamera
from tdseg.cli import INTERRUPTED

PROGRAM = """
import faulthandler, signal, sys
faulthandler.register(signal.SIGUSR1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
print("ready", file=sys.stderr, flush=True)
from tdseg.cli import main
sys.exit(main())
"""
"""The command, which tells on a signal where it is."""
SOURCES = ("http", "a pipe that nobody opens", "a pipe that nobody writes", "stdin")


@contextmanager
def silent_source(kind: str, folder: Path) -> Iterator[tuple[str, int]]:
    """What to segment, and stdin for it."""
    with ExitStack() as stack:
        stdin = os.open(os.devnull, os.O_RDONLY)
        source = str(folder / "pipe")
        if kind == "stdin":
            os.close(stdin)
            stdin, writer = os.pipe()
            stack.callback(os.close, writer)
            source = "-"
        elif "pipe" in kind:
            os.mkfifo(source)
            if kind.endswith("writes"):
                stack.callback(os.close, os.open(source, os.O_RDWR))
        else:
            source = stack.enter_context(FakeCamera(is_silent)).address()
        stack.callback(os.close, stdin)
        yield source, stdin


@pytest.mark.skipif(sys.platform != "linux", reason="pipes and signals as Linux has them")
@pytest.mark.slow
@pytest.mark.parametrize("kind", SOURCES)
def test_an_interrupt_ends_the_opening(tmp_path: Path, kind: str) -> None:
    number = signal.SIGINT if SOURCES.index(kind) % 2 else signal.SIGTERM
    with silent_source(kind, tmp_path) as (source, stdin):
        command = [sys.executable, "-c", PROGRAM, "segment", source, "-o", str(tmp_path / "new" / "result")]
        with subprocess.Popen(command, stdin=stdin, stderr=subprocess.PIPE, bufsize=0) as process:
            assert process.stderr
            assert process.stderr.readline() == b"ready\n"
            process.send_signal(signal.SIGUSR1)
            while b"in open_video" not in process.stderr.read(1 << 16):
                assert process.poll() is None
                time.sleep(0.5)  # the dumps take time, too
                process.send_signal(signal.SIGUSR1)
            process.send_signal(number)
            assert process.wait(60) == INTERRUPTED
            told = process.stderr.read()
    assert told.strip().splitlines()[-1].startswith(b"interrupted")
    assert b"Traceback" not in told
    assert not (tmp_path / "new").exists()
