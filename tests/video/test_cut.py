"""Files that are cut off say so, wherever they are cut, on a pipe, too; whole ones are whole."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from support.videos import make_clip, moving, packets_of, read
from tdseg.errors import VideoError
from tdseg.video import Frame, VideoReader, open_video

KINDS = {
    "clip.ts": ("libx264", "yuv420p"),
    "clip.flv": ("flv", "yuv420p"),
    "clip.ogv": ("libvpx", "yuv420p"),
    "clip.gif": ("gif", "rgb8"),
    "clip.wmv": ("wmv2", "yuv420p"),
    "clip.mpg": ("mpeg2video", "yuv420p"),
    "clip.mkv": ("libx264", "yuv420p"),
    "clip.avi": ("mpeg4", "yuv420p"),
    "clip.ivf": ("libvpx", "yuv420p"),
    "clip.nut": ("libx264", "yuv420p"),
}


@pytest.mark.parametrize("name", KINDS)
def test_cut_off_is_said(name: str, tmp_path: Path) -> None:
    codec, form = KINDS[name]
    path = make_clip(tmp_path / name, [moving(i) for i in range(12)], codec=codec, pix_fmt=form)
    reader, frames = read(path)
    assert (len(frames), reader.problem) == (12, None)
    data = path.read_bytes()
    for part in (35, 50, 71, 93):
        path.write_bytes(data[: len(data) * part // 100 + 1])
        try:
            reader, frames = read(path)
        except VideoError:  # not even one frame
            continue
        assert len(frames) == 12 or reader.problem is not None, part


def test_playlists_on_disk_open_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", [moving(0)])
    texts = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
        "again.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nagain.m3u8\n",
        "list.ffconcat": "ffconcat version 1.0\nfile clip.ts\n",
        "camera.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        for source in (str(tmp_path / name), f"file://{tmp_path / name}"):
            with pytest.raises(VideoError, match="a playlist, which names other files"):
                open_video(source)


MUXERS = {
    "clip.mkv": {},
    "live.mkv": {"live": "1"},
    "clip.avi": {},
    "clip.ivf": {},
    "clip.nut": {},
    "clip.ogv": {},
    "parts.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "index.mp4": {"movflags": "dash+global_sidx"},
}


def noise(path: Path, muxer: dict[str, str]) -> Path:
    """Twelve pictures that weigh something, each third a key frame."""
    images = list(np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), np.uint8))
    codec = {".avi": "mpeg4", ".ivf": "libvpx", ".ogv": "libvpx"}.get(path.suffix, "libx264")
    return make_clip(path, images, codec=codec, muxer=muxer, options={"g": "3", "bf": "0"})


def piped(data: bytes, pipe: Path) -> tuple[VideoReader, list[Frame]]:
    """What comes of bytes on a named pipe."""

    def write() -> None:
        with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            file.write(data)

    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        return read(str(pipe))
    finally:
        thread.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("name", MUXERS)
def test_between_two_packets_it_is_said_too(name: str, tmp_path: Path) -> None:
    path = noise(tmp_path / name, MUXERS[name])
    data, pipe = path.read_bytes(), tmp_path / "pipe"
    for reader, frames in (read(path), piped(data, pipe)):
        assert (len(frames), reader.problem) == (12, None)
    ends = {position for position, _ in packets_of(path)} | {len(data) - 20}
    for end in sorted(ends)[3:]:
        path.write_bytes(data[:end])
        for reader, frames in (read(path), piped(data[:end], pipe)):
            assert 2 <= len(frames) <= 12
            assert len(frames) == 12 or reader.problem is not None, end


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_parts_that_an_index_tells_of_are_missed(tmp_path: Path) -> None:
    path = noise(tmp_path / "index.mp4", MUXERS["index.mp4"])
    data = path.read_bytes()
    assert b"sidx" in data
    ends = [at - 4 for at in range(len(data)) if data[at : at + 4] == b"moof"]
    assert len(ends) == 12  # a picture each
    for count, end in list(enumerate(ends))[3::3]:
        path.write_bytes(data[:end])
        for reader, frames in (read(path), piped(data[:end], tmp_path / "pipe")):
            assert len(frames) == count
            assert reader.problem is not None


@pytest.mark.parametrize("told", [0, 0xFFFF_FFFF, 12 * 512 - 512, 12 * 512])
def test_a_count_that_is_none_cuts_nothing(told: int, tmp_path: Path) -> None:
    """Live writers leave it open, and old ones give ticks."""
    path = noise(tmp_path / "clip.ivf", {})
    data = bytearray(path.read_bytes())
    assert int.from_bytes(data[24:28], "little") == 12
    data[24:28] = told.to_bytes(4, "little")
    path.write_bytes(data)
    reader, frames = read(path)
    assert (len(frames), reader.problem) == (12, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_an_interrupt_while_a_pipe_is_read_is_not_lost(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    frame = b"FRAME\n" + bytes(48 * 64 * 3 // 2)
    os.write(pipe, b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\n" + 13 * frame)  # no more than it holds
    done = threading.Event()

    def interrupt() -> None:
        while not done.wait(0.5):  # one may come before the pipe is silent
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        with open_video(str(tmp_path / "pipe")) as reader:
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                list(reader)
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
        os.close(pipe)
