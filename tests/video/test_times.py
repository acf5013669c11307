"""How long videos are and when their frames are shown, whatever their containers say."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from support.videos import make_clip, moving, packets_of, read
from tdseg.video import open_video

PLAIN = {"bf": "0", "g": "10"}
IMAGES = [moving(index) for index in range(30)]


def some(path: Path, indices: list[int], **options: Any) -> Path:
    """A video of these images alone, each at its time."""
    return make_clip(path, [IMAGES[i] for i in indices], times=[i / 25 for i in indices], **options)


def remuxed(source: Path, target: Path, *, last_s: float | None = None, without: int = 0) -> Path:
    """The packets of a video in another container; the last one stands for so long, the first ones are left out."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        packets = [packet for packet in given.demux(stream) if packet.size][without:]
        if last_s:
            packets[-1].duration = round(last_s / packets[-1].time_base)
        for packet in packets:
            packet.stream = copy
            made.mux(packet)
    return target


def trimmed(path: Path, share: float) -> Path:
    """An MP4 of which the edit list shows the beginning only."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    (length,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", data, at, round(length * share))
    path.write_bytes(data)
    return path


def hidden_vp8(path: Path) -> Path:
    """A VP8 video two packets of which are not to be shown."""
    make_clip(path, IMAGES, codec="libvpx", options={"auto-alt-ref": "0", "b": "200k"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for packet in (packets[5], packets[9]):
        data[data.index(packet)] &= 0xEF
    path.write_bytes(data)
    return path


def late_start(path: Path) -> Path:
    """A recording that begins in the middle of a group of pictures."""
    make_clip(path, IMAGES, options={"g": "10", "bf": "2"})
    packets = packets_of(path)
    path.write_bytes(path.read_bytes()[packets[4][0] :])
    return path


WHOLE: dict[str, tuple[Callable[[Path], Path], list[int], float]] = {
    "B-frames in AVI": (lambda p: make_clip(p / "a.avi", IMAGES, options={"bf": "3"}), list(range(30)), 1.2),
    "B-frames in AVI, MPEG-4": (
        lambda p: make_clip(p / "a.avi", IMAGES, codec="mpeg4", options={"bf": "2"}),
        list(range(30)),
        1.2,
    ),
    "frames dropped in AVI": (
        lambda p: some(p / "a.avi", [*range(10), *range(15, 30)], codec="mjpeg", pix_fmt="yuvj420p"),
        [*range(10), *range(15, 30)],
        1.2,
    ),
    "edit list": (lambda p: trimmed(make_clip(p / "a.mp4", IMAGES, options=PLAIN), 0.5), list(range(15)), 0.6),
    "edit list, B-frames": (
        lambda p: trimmed(make_clip(p / "a.mp4", IMAGES, options={"bf": "2"}), 0.5),
        list(range(15)),
        0.6,
    ),
    "last picture stands, MP4": (
        lambda p: remuxed(make_clip(p / "a.mp4", IMAGES, options=PLAIN), p / "b.mp4", last_s=3),
        list(range(30)),
        29 / 25 + 3,
    ),
    "last picture stands, Matroska": (
        lambda p: remuxed(remuxed(make_clip(p / "a.mp4", IMAGES, options=PLAIN), p / "b.mp4", last_s=3), p / "c.mkv"),
        list(range(30)),
        29 / 25 + 3,
    ),
    "variable rate": (lambda p: some(p / "a.mkv", [0, 1, 2, 10, 11, 20]), [0, 1, 2, 10, 11, 20], 0.84),
    "no duration": (lambda p: make_clip(p / "a.mkv", IMAGES, muxer={"live": "1"}), list(range(30)), 1.2),
    "fragments": (
        lambda p: make_clip(p / "a.mp4", IMAGES, muxer={"movflags": "frag_keyframe+empty_moov"}, options={"g": "5"}),
        list(range(30)),
        1.2,
    ),
    "program stream": (lambda p: make_clip(p / "a.mpg", IMAGES, codec="mpeg2video"), list(range(30)), 1.2),
    "Flash": (lambda p: make_clip(p / "a.flv", IMAGES), list(range(30)), 1.2),
    "hidden pictures": (lambda p: hidden_vp8(p / "a.webm"), [i for i in range(30) if i not in (5, 9)], 1.2),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_file_has_its_frames_at_their_times(tmp_path: Path, kind: str) -> None:
    make, shown, duration_s = WHOLE[kind]
    reader, frames = read(make(tmp_path))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 25 for i in shown], abs=1e-3)
    assert reader.info.num_frames == len(shown)
    assert reader.info.duration_s == pytest.approx(duration_s, abs=2e-3)
    assert reader.info.fps == pytest.approx((len(shown) - 1) / (shown[-1] / 25), rel=0.011)
    assert reader.problem is None


def test_recording_that_begins_between_key_frames_is_counted_as_it_decodes(tmp_path: Path) -> None:
    reader, frames = read(late_start(tmp_path / "a.ts"))
    assert 15 < len(frames) < 26
    assert reader.info.num_frames == len(frames)


def test_count_follows_a_file_that_changes(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", IMAGES)
    assert open_video(path).info.num_frames == 30
    make_clip(path, IMAGES[:12])
    assert open_video(path).info.num_frames == 12


@pytest.mark.parametrize("muxer", [{"movflags": "frag_keyframe+empty_moov"}, {"movflags": "faststart"}])
def test_mp4_cut_in_its_media_is_told(tmp_path: Path, muxer: dict[str, str]) -> None:
    path = make_clip(tmp_path / "a.mp4", IMAGES, muxer=muxer, options={"g": "5"})
    path.write_bytes(path.read_bytes()[:-200] if "frag" in str(muxer) else path.read_bytes()[: packets_of(path)[20][0]])
    assert str(read(path)[0].problem).endswith("the file is cut off")


def test_bytes_after_an_mp4_do_not_make_it_cut(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", IMAGES)
    path.write_bytes(path.read_bytes() + b"\xff\xee\xdd\xccmore" * 5)
    reader, frames = read(path)
    assert (len(frames), reader.problem) == (30, None)


def test_camera_without_times_has_those_at_which_pictures_come(tmp_path: Path) -> None:
    """MJPEG over HTTP counts 25 a second, whatever the camera gives: here 10."""
    with av.open(str(make_clip(tmp_path / "a.avi", IMAGES[:8], codec="mjpeg", pix_fmt="yuvj420p"))) as container:
        pictures = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=cut\r\n\r\n"

    def serve(server: socket.socket) -> None:
        for _ in range(2):  # it is asked once for what it is, and once for its pictures
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                try:
                    connection.sendall(head)
                    for picture in pictures:
                        part = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                        connection.sendall(part.encode() + picture + b"\r\n")
                        time.sleep(0.1)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        _, frames = read(f"http://127.0.0.1:{server.getsockname()[1]}/camera")
        thread.join()
    assert len(frames) >= 7
    assert frames[-1].time_s == pytest.approx((len(frames) - 1) / 10, abs=0.15)
