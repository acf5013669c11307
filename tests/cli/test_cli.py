from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.small import write_clip
from tdseg.cli import DONE, IN_PART, INTERRUPTED, REFUSED, completed, main
from tdseg.system import __version__
from tdseg.video import open_video
from tdseg.zoo import catalog


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 12)


def segment(source: object, folder: Path, *options: object) -> int:
    return main(["segment", str(source), "-o", str(folder), *map(str, options)])


def test_segment(clip: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = segment(clip, tmp_path, "--model", weights, "--size", "72x80", "--write", "overlay", "--runtime", "torch")
    assert code == DONE
    assert {file.name for file in tmp_path.iterdir()} == {"overlay.mp4", "classes.txt", "legend.png", "summary.json"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["size"], summary["model"]) == ([72, 80], str(weights))
    shown = capsys.readouterr()
    assert "12 frames" in shown.out
    assert shown.err == ""  # the bar is for terminals


def test_quiet(clip: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(clip, tmp_path, "--model", weights, "--quiet", "--write", "masks") == DONE
    assert capsys.readouterr() == ("", "")
    assert {file.name for file in tmp_path.iterdir()} == {"masks", "classes.txt", "legend.png", "summary.json"}


def test_incomplete_source_is_done_in_part(
    clip: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = tmp_path / "frames"
    assert segment(clip, tmp_path / "first", "--model", weights, "--write", "masks") == DONE
    (tmp_path / "first/masks").rename(frames)
    (frames / "000003.png").write_bytes(b"no image")
    assert segment(frames, tmp_path / "result", "--model", weights) == IN_PART
    assert "11 of 12 images" in capsys.readouterr().err
    assert len(list((tmp_path / "result/masks").iterdir())) == 11


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """As on a full disk, no file grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk(clip: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file_size_limit(600):  # not even a mask
        code = segment(clip, tmp_path / "result", "--model", weights)
    assert code == REFUSED
    assert "do this:" in capsys.readouterr().err
    assert not (tmp_path / "result/summary.json").exists()


class Code:
    """What a pickle could do when opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("executed"),))


def test_refused(
    clip: Path,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    packaged = catalog.PACKAGED["td4-lite0-camvid"]._replace(path=weights, sha256=sha256)
    monkeypatch.setitem(catalog.PACKAGED, "td4-lite0-camvid", packaged)
    Path("text.mp4").write_text("This is a text, and no video.\n" * 50)
    Path("empty.mp4").touch()
    Path("frames").mkdir()
    Path("pickled.pt").write_bytes(pickle.dumps(Code()))
    Path("damaged.safetensors").write_bytes(weights.read_bytes()[:1000])
    Path("used").mkdir()
    Path("used/thesis.txt").touch()
    cases = {
        "missing.mp4": ["segment", "missing.mp4"],
        "text.mp4": ["segment", "text.mp4"],
        "empty.mp4": ["segment", "empty.mp4"],
        "frames": ["segment", "frames"],
        "did you mean td4-lite0-camvid": ["segment", str(clip), "--model", "td4-lite-camvid"],
        "model td4-psp18, an architecture": ["segment", str(clip), "--model", "td4-psp18"],
        "not opened": ["segment", str(clip), "--model", "pickled.pt"],
        "damaged.safetensors": ["segment", str(clip), "--model", "damaged.safetensors"],
        "no CUDA GPU": ["segment", str(clip), "--model", str(weights), "--device", "cuda"],
        "--overwrite": ["segment", str(clip), "--model", str(weights), "-o", "used"],
        "a smaller --size": ["segment", str(clip), "--size", "1000000000x1000000000"],
        "HxW": ["segment", str(clip), "--size", "480"],
        "1 or more": ["segment", str(clip), "--model", str(weights), "--threads", "0"],
        "unknown option --colour": ["segment", str(clip), "--colour"],
        "did you mean --threads": ["segment", "--thread", "x"],
        "an end after the start": ["segment", str(clip), "--start", "1:00", "--end", "59.5"],
        "expected: masks, overlay": ["segment", str(clip), "--write", "masks,jpg"],
        "Unknown command": ["segmnet", str(clip)],
        "requires an argument": ["segment"],
        "thesis.txt": ["demo", "-o", "used"],
    }
    before = sorted(tmp_path.rglob("*"))
    for message, arguments in cases.items():
        assert main(arguments) == REFUSED, arguments
        shown = capsys.readouterr()
        assert message in shown.err, arguments
        assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_what_was_done(weights: Path, tmp_path: Path, number: signal.Signals) -> None:
    long = write_clip(tmp_path / "long.mp4", 3000)
    result = tmp_path / "result"
    process = subprocess.Popen(
        [sys.executable, "-m", "tdseg.cli", "segment", str(long), "-o", str(result), "--model", str(weights)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # background jobs ignore it
    )
    while not any(result.glob(".partial/parts/.*/masks/000003.png")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == INTERRUPTED
    assert stderr.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in stderr
    summary = json.loads((result / "summary.json").read_text())
    assert summary["complete"] is False
    assert 4 <= summary["frames"] < 3000
    assert len(list((result / "masks").iterdir())) == summary["frames"]
    with open_video(result / "overlay.mp4") as reader:
        assert sum(1 for _ in reader) == summary["frames"]
    assert not (result / ".partial").exists()


def test_a_signal_that_is_sent_twice_ends_the_command_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `timeout` does, which sends it to the process and to its group."""

    def terminate(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("tdseg.cli.app", terminate)
    monkeypatch.setattr("tdseg.cli.warn", terminate)  # it comes again when the first is told of
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["segment", "none"]) == INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_is_to_be_ignored_stays_so() -> None:
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["--version"]) == DONE
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_stdin(clip: Path, weights: Path, tmp_path: Path) -> None:
    with clip.open("rb") as stdin:
        command = [sys.executable, "-m", "tdseg.cli", "segment", "-", "-o", str(tmp_path), "--model", str(weights)]
        subprocess.run(command, stdin=stdin, check=True)
    assert json.loads((tmp_path / "summary.json").read_text())["frames"] == 12


def test_what_is_survived_is_told_as_a_note(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    for index in range(2):
        dark = np.tile(np.arange(80, dtype=np.uint16), (72, 1)) + np.uint16(index)
        Image.fromarray(dark).save(tmp_path / "i" / f"{index}.png")
    for options, told in ([], True), (["--quiet"], False):
        command = [sys.executable, "-m", "tdseg", "segment", "i", "-o", "o", "--overwrite", "--size", "72x80", *options]
        done = subprocess.run(
            [*command, "--model", str(weights), "--runtime", "torch"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == DONE
        assert "Warning" not in done.stderr
        assert done.stderr.startswith("note: i/0.png: values 0 … 79 of 65535 come out almost black") == told
        assert len(done.stderr.splitlines()) == told


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == DONE
    assert capsys.readouterr().out.strip() == __version__
    assert main(["--help"]) == DONE
    shown = capsys.readouterr().out
    verbs = ("segment", "demo", "bench", "eval", "flicker", "convert", "models", "doctor")
    assert all(verb in shown for verb in verbs)


def test_models_and_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == DONE
    assert "td4-lite0" in capsys.readouterr().out
    main(["doctor"])
    shown = capsys.readouterr().out
    assert all(what in shown for what in ("python", "torch", "cpu", "cuda"))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["segment", "a", "--ray"], ["segment", "a", "--ray", "auto"]),
        (["segment", "a", "--ray", "--quiet"], ["segment", "a", "--ray", "auto", "--quiet"]),
        (["segment", "--ray", "ray://host:1", "a"], ["segment", "--ray", "ray://host:1", "a"]),
    ],
)
def test_a_cluster_without_an_address_is_that_of_this_machine(given: list[str], taken: list[str]) -> None:
    assert completed(given) == taken
