from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.fake_camera import FakeCamera, mjpeg, mpegts
from support.small import write_clip
from tdseg.errors import VideoError
from tdseg.video import open_video


def falls_silent(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    mjpeg(3)(camera, connection, before)
    camera.silence()


def test_a_source_knows_whether_it_is_live(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "clip.mp4", 2)) as reader:
        assert not reader.is_live
    for behave in (mjpeg(), mpegts(100)):
        with FakeCamera(behave) as camera, open_video(camera.address()) as reader:
            assert reader.is_live


def test_silence_is_said_to_be_silence() -> None:
    with FakeCamera(falls_silent) as camera, open_video(camera.address(), timeout_s=0.3) as reader:
        assert len(list(reader)) == 3
        assert reader.problem == "reading stopped: nothing came for 0.3 s"


def test_a_host_that_is_not_there_is_named() -> None:
    with pytest.raises(VideoError) as raised:
        open_video("http://me:secret@nowhere.invalid/video")
    assert raised.value.got == "http://nowhere.invalid/video: no host is called nowhere.invalid"
    assert "secret" not in str(raised.value)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(VideoError, match=r"Connection refused(?s:.)*check the address, user and password"):
        open_video(f"http://127.0.0.1:{port}/video")
