"""Few bytes that claim much: pictures and videos that would take all of the memory, or a processor for hours."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from support.serving import is_error, receive, serving, until
from support.small import write_clip
from tdseg.live.encoding import MOST_SCANS, read_jpeg
from tdseg.live.refusal import RequestError
from tdseg.video import VideoWriter, open_video
from tdseg.video.container import MOST_PIXELS

SIDE = 2 + int(MOST_PIXELS**0.5)
CLAIMED = 60_000_000
"""Pictures: FFmpeg takes 4 GB for the index of so many."""


def encoded(side: int, kind: str, *, mode: str = "RGB", progressive: bool = False) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (side, side), 90).save(file, kind, progressive=progressive)
    return file.getvalue()


def growing(path: Path, sides: list[int]) -> Path:
    """A video that says it is small, of frames of these sides."""
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=25, width=sides[0], height=sides[0], pix_fmt="yuvj420p")
        container.start_encoding()
        for index, side in enumerate(sides):
            packet = av.Packet(encoded(side, "JPEG"))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
            container.mux(packet)
    return path


def test_a_jpeg_of_many_scans_is_not_decoded() -> None:
    """Each scan is a pass over all pixels: 8 MB of them are hours."""
    whole = encoded(64, "JPEG", progressive=True)
    assert read_jpeg(whole, MOST_PIXELS).shape == (64, 64, 3)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    with pytest.raises(RequestError, match="scans"):
        read_jpeg(whole[:-2] + MOST_SCANS * last + b"\xff\xd9", MOST_PIXELS)


def test_frames_that_grow_are_not_decoded(tmp_path: Path) -> None:
    path = growing(tmp_path / "grows.avi", [64, 64, SIDE])
    with open_video(path, alone=True) as reader:
        assert [frame.image.shape for frame in reader] == [(64, 64, 3)] * 2
        assert reader.problem
    with open_video(path) as reader:  # one's own are one's own
        assert len(list(reader)) == 3


def test_videos_that_are_too_large_are_not_decoded(tmp_path: Path) -> None:
    with serving() as served:
        large = tmp_path / "large.mp4"
        with VideoWriter(large, size=(SIDE, SIDE), fps=25) as writer:
            writer.write(np.zeros((SIDE, SIDE, 3), np.uint8), 0.0)
        for name, content, problem in (
            ("gif", encoded(SIDE, "GIF", mode="P"), "no frame could be decoded"),
            ("mp4", large.read_bytes(), f"frames of {SIDE}×{SIDE} pixels"),
        ):
            assert served.client.put(f"/sessions/{name}", content=content).status_code == 201
            until(lambda name=name: served.sessions[name].state == "failed")  # type: ignore[misc]
            assert problem in served.client.get(f"/sessions/{name}").json()["problem"]
        served.client.post("/sessions", json={"name": "robot"})
        with served.websocket("robot") as connection:  # and the server is well
            connection.send(encoded(64, "JPEG"))
            receive(connection, "result")


def test_an_index_that_claims_more_than_fits_into_memory(tmp_path: Path) -> None:
    content = bytearray(write_clip(tmp_path / "clip.mp4", 3).read_bytes())
    for box, at, values in ((b"stsz", 8, (1, CLAIMED)), (b"stsc", 16, (CLAIMED,)), (b"stts", 12, (CLAIMED,))):
        struct.pack_into(f">{len(values)}I", content, content.index(box) + at, *values)
    with serving() as served:
        assert is_error(served.client.put("/sessions/bomb", content=bytes(content)), 422)
