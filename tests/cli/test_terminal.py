"""What a command prints, and where it cannot; how it ends where the fault is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from support.small import write_clip
from tdseg.cli import BROKEN, DONE, REFUSED, main
from tdseg.inference.pipeline import record
from tdseg.inference.ready import ReadyFor
from tdseg.inference.summary import Summary

COMMAND = f"{sys.executable} -m tdseg"


def run(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("where", ["| true", ">/dev/full", ">&-"])
def test_output_that_nobody_reads_is_no_failure(where: str) -> None:
    done = run(f"{COMMAND} --help {where}")
    assert done.returncode == DONE
    assert "Traceback" not in done.stderr


def test_errors_that_nobody_reads_still_end_as_refused() -> None:
    assert run(f"{COMMAND} segment nothing.mp4 2>/dev/full").returncode == REFUSED


def test_names_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"\x1b[31m\xff\x9b.mp4")
    assert main(["segment", str(tmp_path / name)]) == REFUSED
    shown = capsys.readouterr().err
    assert "\\x1b[31m\\udcff" in shown
    assert "\x1b" not in shown


def test_a_fault_of_its_own_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("the\x1b key")

    monkeypatch.setattr("tdseg.cli.app", broken)
    assert main(["models"]) == BROKEN
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("tdseg failed: KeyError: 'the\\x1b key' (")
    assert "report" in rest[-1]
    assert "Traceback" not in "".join(rest)
    monkeypatch.setenv("TDSEG_DEBUG", "1")
    with pytest.raises(KeyError):
        main(["models"])


def test_a_fault_in_one_of_several_videos_asks_for_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are done all the same."""
    for name in ("a", "b"):
        write_clip(tmp_path / f"{name}.mp4", 2)

    def broken(ready_for: object, source: Path, *order: Any) -> Summary:
        if source.name == "a.mp4":
            raise KeyError("key")
        return record(cast(ReadyFor, ready_for), source, *order)

    monkeypatch.setattr("tdseg.inference.many.record", broken)
    out = tmp_path / "out"
    command = ["segment", str(tmp_path), "-o", str(out), "--runtime", "torch", "--size", "64x96", "--write", "none"]
    assert main([*command, "--quiet"]) == BROKEN
    shown = capsys.readouterr().err
    assert "a.mp4\ntdseg failed: KeyError: 'key'" in shown
    assert "1 of 2 failed" in shown
    assert (out / "b" / "summary.json").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "out of memory"), (FileExistsError(17, "File exists", "/some/place"), "/some/place: File exists")],
)
def test_what_the_machine_lacks_is_refused(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tdseg.cli.app", failing)
    assert main(["models"]) == REFUSED
    assert said in capsys.readouterr().err


def test_null_bytes_and_long_values_are_refused_shortly(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["segment", "a\0b"], ["segment", "x" * 70_000], ["models", "--" + "y" * 70_000]):
        assert main(arguments) == REFUSED
        assert len(capsys.readouterr().err) < 4000
