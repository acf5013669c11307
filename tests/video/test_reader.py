"""Files, pipes, cameras and addresses as frames."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from support.videos import (
    CORNERS,
    RGB,
    SIZE,
    assert_close,
    corners,
    make_clip,
    moving,
    quadrants,
    read,
    through_stdin,
    turned,
)
from tdseg.errors import VideoError
from tdseg.video import open_video


def test_file_gives_every_frame_with_time_and_colours(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", sound=("aac", 44100, 1.2))
    reader, frames = read(path)
    assert (reader.info.source, reader.info.height, reader.info.width) == (str(path), *SIZE)
    assert (reader.info.fps, reader.info.num_frames, reader.info.has_audio) == (25.0, 30, True)
    assert reader.problem is None
    assert [f.index for f in frames] == list(range(30))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(30)], abs=1e-9)
    assert_close(quadrants(frames[0].image), quadrants(moving(0)))


def test_source_may_be_text_or_path_and_is_read_once(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    reader = open_video(str(path))
    assert len(list(reader)) == 30
    assert list(reader) == []
    reader.close()
    reader.close()


def test_reader_closed_early_releases_the_file(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    with open_video(path) as reader:
        assert next(iter(reader)).index == 0
        assert next(iter(reader)).index == 1
    assert list(reader) == []
    assert not [fd for fd in Path("/proc/self/fd").glob("*") if fd.exists() and fd.resolve() == path]


@pytest.mark.parametrize("name", ["a:b.mp4", "100%03d.mp4", "-x.mp4", "ü ö#?.mp4", "7"])
def test_odd_file_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "clip.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(read(Path(name))[1]) == 30


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        ((0,), CORNERS),
        ((90,), np.rot90(CORNERS, 1)),
        ((180,), np.rot90(CORNERS, 2)),
        ((-90,), np.rot90(CORNERS, -1)),
        ((0, True, False), CORNERS[:, ::-1]),
        ((0, False, True), CORNERS[::-1]),
        ((90, True, False), np.rot90(CORNERS, 1)[:, ::-1]),
        ((90, False, True), np.rot90(CORNERS, 1)[::-1]),
    ],
)
def test_rotation_and_flips_are_applied(tmp_path: Path, rotation: tuple[Any, ...], expected: RGB) -> None:
    reader, frames = read(make_clip(tmp_path / "clip.mp4", [corners()] * 3, rotation=rotation))
    assert (reader.info.height, reader.info.width) == frames[0].image.shape[:2]
    assert frames[0].image.shape[:2] == (SIZE if rotation[0] in (0, 180) else SIZE[::-1])
    assert_close(quadrants(frames[0].image), expected)


def test_variable_frame_rate_keeps_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.08, 0.5, 0.54, 1.25]
    _, frames = read(make_clip(tmp_path / "vfr.mp4", [corners()] * 6, times=times))
    assert [f.time_s for f in frames] == pytest.approx(times, abs=1e-9)


def test_time_starts_with_the_video(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "late.ts", shift_s=7.0, sound=("aac", 48000, 1.2))
    assert [f.time_s for f in read(path)[1]] == pytest.approx([i / 25 for i in range(30)], abs=2e-5)


def test_times_never_go_back_when_the_clock_is_set_back(tmp_path: Path) -> None:
    first, second = make_clip(tmp_path / "a.ts", shift_s=7.0), make_clip(tmp_path / "b.ts")
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    _, frames = read(both)
    assert len(frames) == 60
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(60)], abs=2e-3)


def test_raw_stream_without_clock_is_timed_by_its_rate(tmp_path: Path) -> None:
    reader, frames = read(make_clip(tmp_path / "raw.h264"))
    assert (reader.info.num_frames, reader.info.duration_s) == (30, 1.2)
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(30)])


@pytest.mark.parametrize("size", [(47, 63), (33, 50), (50, 33), (1, 1), (241, 417)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    image = corners(size) if min(size) > 1 else np.full((1, 1, 3), 128, np.uint8)
    _, frames = read(make_clip(tmp_path / "odd.mkv", [image], codec="ffv1", pix_fmt="yuv444p"))
    assert frames[0].image.shape == (*size, 3)
    assert_close(frames[0].image, image)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le"])
def test_grayscale(tmp_path: Path, pix_fmt: str) -> None:
    image = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None].repeat(48, 0), 3, 2)
    _, frames = read(make_clip(tmp_path / "gray.mkv", [image], codec="ffv1", pix_fmt=pix_fmt, colour=(1, 2)))
    assert_close(frames[0].image, image, 2)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("ffv1", "yuva420p"), ("ffv1", "bgra"), ("ffv1", "rgb48le"), ("libx264", "yuv420p10le"), ("libx264", "yuv444p")],
)
def test_alpha_and_deep_colour_become_8_bit_rgb(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    _, frames = read(make_clip(tmp_path / "clip.mkv", [corners()] * 2, codec=codec, pix_fmt=pix_fmt))
    assert_close(quadrants(frames[0].image), CORNERS)


@pytest.mark.parametrize("colour", [(m, r) for m in (1, 5, 9) for r in (1, 2)])  # BT.709, 601, 2020; limited, full
def test_colour_tags_are_honoured(tmp_path: Path, colour: tuple[int, int]) -> None:
    _, frames = read(make_clip(tmp_path / "clip.mp4", [corners()] * 2, colour=colour, options={"crf": "4"}))
    assert_close(quadrants(frames[0].image), CORNERS, 4)


def test_untagged_video_is_read_as_bt601(tmp_path: Path) -> None:
    image = av.VideoFrame.from_ndarray(corners()).reformat(format="yuv420p", dst_colorspace=Colorspace.ITU601)
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=image.width, height=image.height, pix_fmt="yuv420p")
        container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    assert_close(quadrants(read(path)[1][0].image), CORNERS, 4)


def test_frame_size_may_change_in_mid_stream(tmp_path: Path) -> None:
    both = tmp_path / "both.ts"
    parts = [make_clip(tmp_path / f"{i}.ts", [corners(s)] * 5) for i, s in enumerate([(48, 64), (96, 80)])]
    both.write_bytes(b"".join(p.read_bytes() for p in parts))
    assert [f.image.shape[:2] for f in read(both)[1]] == [(48, 64)] * 5 + [(96, 80)] * 5


# --- stdin, cameras, addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mkv", "mjpeg", "h264", "y4m"])
def test_video_on_stdin(tmp_path: Path, kind: str) -> None:
    codec = {"mjpeg": "mjpeg", "y4m": "wrapped_avframe"}.get(kind, "libx264")
    path = make_clip(tmp_path / f"clip.{kind}", codec=codec, pix_fmt="yuvj420p" if kind == "mjpeg" else "yuv420p")
    assert through_stdin(path.read_bytes()).stdout.decode().strip() == "stdin 30 1.16 (48, 64, 3) None"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images_one_after_the_other_on_stdin(tmp_path: Path, kind: str) -> None:
    for index in range(12):
        Image.fromarray(np.rot90(moving(index))).save(tmp_path / f"{index:02}", kind, exif=turned())
    data = b"".join(p.read_bytes() for p in sorted(tmp_path.iterdir()))
    assert through_stdin(data).stdout.decode().strip() == "stdin 12 0.44 (48, 64, 3) None"


def test_nothing_on_stdin() -> None:
    done = through_stdin(b"")
    assert b"VideoError: stdin" in done.stderr


@pytest.mark.parametrize("camera", [97, "97"])
def test_missing_camera(camera: int | str) -> None:
    with pytest.raises(VideoError, match="camera 97"):
        open_video(camera)


def test_url(tmp_path: Path) -> None:
    data = make_clip(tmp_path / "clip.mkv").read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        reader, frames = read(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert reader.info.source.startswith("tcp://")
    assert len(frames) == 30


def test_url_without_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(VideoError, match="Connection refused"):
        open_video(f"http://127.0.0.1:{port}/clip.mp4")
