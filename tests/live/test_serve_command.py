"""The command, from its first line to its end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.serving import packaged_model, until
from support.small import SIZE, write_clip
from tdseg.cli import REFUSED, main
from tdseg.errors import ConfigError
from tdseg.live.server import serve, strides_of
from tdseg.video import open_video


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the first line that it prints."""
    line = [sys.executable, "-m", "tdseg", "serve", "--port", "0", "--runtime", "torch", "--size", "64x96", *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_from_start_to_end(tmp_path: Path, signum: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    monkeypatch.setenv("TMPDIR", str(uploads))
    clip = write_clip(tmp_path / "clip.mp4", 40)
    kept = tmp_path / "kept"
    sources = ["--source", f"road={clip}", "--source", str(clip), "--every", "road=4"]
    with command(*sources, "--record", str(kept)) as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        listed = httpx.get(f"{address}sessions").json()
        assert [one["name"] for one in listed["sessions"]] == ["road", "clip"]
        assert listed["model"] == "td6-lite0s-camvid"
        until(lambda: httpx.get(f"{address}sessions/road/mask.png").status_code == 200)
        port = httpx.URL(address).port
        with (
            socket.create_connection(("127.0.0.1", port or 0)) as upload,
            httpx.stream("GET", f"{address}sessions/road/stream.mjpg") as stream,
        ):
            upload.sendall(b"PUT /sessions/sent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
            next(stream.iter_raw())
            until(lambda: list(uploads.glob("*/*")))
            process.send_signal(signum)  # with a stream open, and an upload on its way
            assert process.wait(20) == 130
        assert process.stderr
        assert process.stderr.read().strip() == "interrupted"
    assert not list(uploads.iterdir())
    assert sorted(path.name for path in kept.iterdir()) == ["clip.mp4", "road.mp4"]
    for path in kept.iterdir():
        with open_video(path) as reader:
            assert len(list(reader)) > 0
            assert reader.problem is None


@pytest.mark.slow
def test_other_addresses_need_a_token() -> None:
    with command("--host", "0.0.0.0", "--quiet") as (process, address):
        match = re.fullmatch(r"http://.+:(\d+)/#token=(\S{20,})", address)
        assert match
        port, token = match.groups()
        local = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{local}/sessions").status_code == 401
        assert httpx.get(f"{local}/sessions", params={"token": token}).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 130


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["serve", "--port", str(other.getsockname()[1])]) == REFUSED
    shown = capsys.readouterr().err
    assert "in use" in shown
    assert "choose another --port" in shown


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--host no.such.host.invalid", "--host no.such.host.invalid"),
        ("--port 70000", "--port 70000"),
        ("--port=-1", "--port -1"),
        ("--source =video.mp4", "--source =video.mp4"),
        ("--source <b>=video.mp4", "--source"),
        ("--every door=2", "--every door=2"),
        ("--every 2.5", "--every 2.5"),
        ("--source a=0 --every a=0", "every 0"),
        ("--allow rtsp://*", "--allow rtsp://*"),
        ("--most-sessions 0", "--most-sessions 0"),
        ("--requests-per-s -1", "--requests-per-s -1"),
        ("--most-upload-mb nan", "--most-upload-mb nan"),
        ("--most-frame-mb inf", "--most-frame-mb inf"),
        ("--port 0 --model nothing-like-it", "nothing-like-it"),
    ],
)
def test_what_cannot_be_is_named(arguments: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--runtime", "torch", *arguments.split()]) == REFUSED
    shown = capsys.readouterr().err
    assert named in shown
    assert "do this:" in shown


@pytest.mark.parametrize("token", ["", " ", "a b\n", "ä", "tab\t"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        serve(token=token)


@pytest.mark.parametrize(
    ("every", "strides"),
    [([], (1, 1)), (["3"], (3, 3)), (["b=5", "2"], (2, 5)), (["a=2", "b=4"], (2, 4))],
)
def test_each_source_has_its_stride(every: list[str], strides: tuple[int, int]) -> None:
    assert tuple(strides_of(every, ["a", "b"]).values()) == strides


def test_two_sources_of_one_name(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    with pytest.raises(ConfigError, match="'a'"):
        serve(source=[f"a={clip}", f"a={clip}"], port=0, model=packaged_model(), size=SIZE)
