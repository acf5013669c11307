"""Addresses that give less than a video: what came whole are frames, what did not is none, and it is said."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from robustness.servers import by_path, file, is_silent
from support.fake_camera import Behaviour, FakeCamera
from support.videos import make_clip, moving, packets_of, read
from tdseg.errors import VideoError
from tdseg.video import Frame, VideoReader, open_video

COUNT = 30
KINDS = {"clip.mp4": "libx264", "clip.ts": "libx264", "clip.avi": "mpeg4", "clip.flv": "flv"}


def clip(path: Path, codec: str = "libx264", fps: int = 25) -> Path:
    muxer = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    options = {} if codec == "libx264" else {"b": "2000000"}
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, 48, 64, 3), np.uint8)  # every packet has some weight
    return make_clip(path, list(noise), codec=codec, options=options, muxer=muxer, fps=fps)


def played(behave: Behaviour, path: str = "video", timeout_s: float = 5.0) -> tuple[VideoReader, list[Frame]]:
    with FakeCamera(behave) as camera, open_video(f"http://127.0.0.1:{camera.port}/{path}", timeout_s=timeout_s) as one:
        return one, list(one)


def assert_of(frames: list[Frame], whole: list[Frame]) -> None:
    """They are frames of the video, each at its time."""
    by_time = {round(frame.time_s, 3): frame.image for frame in whole}
    for frame in frames:
        assert np.array_equal(frame.image, by_time[round(frame.time_s, 3)]), frame.index


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("remote", [True, False])
def test_a_picture_that_the_end_tears_is_none(tmp_path: Path, name: str, remote: bool) -> None:
    path = clip(tmp_path / name, KINDS[name])
    whole, data = read(path)[1], path.read_bytes()
    starts = [position for position, _ in packets_of(path)]
    for last in (9, 17):
        cut = starts[last] + (starts[last + 1] - starts[last]) // 2
        if remote:
            reader, frames = played(file(data, cut / len(data)))
        else:
            path.write_bytes(data[:cut])
            reader, frames = read(path)
        assert_of(frames, whole)
        assert len(frames) == last
        assert reader.problem is not None
        assert "damaged" in reader.problem or "cut off" in reader.problem or "ended" in reader.problem


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_the_end_of_what_has_no_length_is_no_fault(tmp_path: Path, name: str) -> None:
    path = clip(tmp_path / name)
    data = path.read_bytes()
    reader, frames = played(file(data, length=None))
    assert (len(frames), reader.problem) == (COUNT, None)
    reader, frames = played(file(data, 0.6, length=None))
    assert reader.problem is not None
    assert f"{len(frames)} of {COUNT} declared frames came" in reader.problem
    assert "the connection ended" in reader.problem


def pieces_of(path: Path) -> dict[str, Behaviour]:
    """A playlist of three pieces, two seconds each."""
    make_clip(path / "clip.ts", [moving(i) for i in range(COUNT)], fps=5, options={"g": "10"})
    options = {"hls_time": "1", "hls_segment_filename": str(path / "piece%d.ts")}
    with av.open(str(path / "clip.ts")) as whole, av.open(str(path / "list.m3u8"), "w", "hls", options) as playlist:
        stream = playlist.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream, packet.duration = stream, 18_000
                playlist.mux(packet)
    return {name: file((path / f"{name}.ts").read_bytes()) for name in ("piece0", "piece1", "piece2")} | {
        "list": file((path / "list.m3u8").read_bytes(), kind="application/vnd.apple.mpegurl")
    }


def test_pieces_of_a_playlist_that_are_missing_are_missed(tmp_path: Path) -> None:
    served = pieces_of(tmp_path)
    reader, frames = played(by_path(**served), "list.m3u8")
    assert (len(frames), reader.problem) == (COUNT, None)
    for name in ("piece1", "piece2"):
        for instead in (None, file(b"no video" * 1000)):
            others = {key: value for key, value in served.items() if key != name}
            reader, frames = played(by_path(**others, **({name: instead} if instead else {})), "list.m3u8")
            assert len(frames) == 20
            assert reader.problem is not None
            assert "2.0 of 6.0 s are missing" in reader.problem


@pytest.mark.parametrize("scheme", ["https", "rtsp", "rtmp", "tcp"])
def test_silence_is_called_that_in_every_protocol(scheme: str) -> None:
    with FakeCamera(is_silent) as camera, pytest.raises(VideoError, match=r"no answer for 0\.5 s"):
        open_video(camera.address(scheme), timeout_s=0.5)
