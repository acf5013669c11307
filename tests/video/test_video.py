from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from PIL import Image

from tdseg.errors import OutputError, VideoError
from tdseg.video import Frame, VideoReader, VideoWriter, open_video, writer

RGB = NDArray[np.uint8]
SIZE = (48, 64)
CORNERS = np.array([[(230, 20, 20), (20, 220, 20)], [(20, 20, 230), (235, 235, 235)]], np.uint8)


def corners(size: tuple[int, int] = SIZE) -> RGB:
    """Red, green / blue, white: tells every rotation and flip from the others."""
    height, width = size
    image = np.empty((height, width, 3), np.uint8)
    for row, column in np.ndindex(2, 2):
        rows = slice(0, height // 2) if row == 0 else slice(height // 2, None)
        columns = slice(0, width // 2) if column == 0 else slice(width // 2, None)
        image[rows, columns] = CORNERS[row, column]
    return image


def quadrants(image: RGB) -> RGB:
    """The colour in the middle of each quarter, (2, 2, 3)."""
    height, width = image.shape[:2]
    return image[height // 4 :: height // 2, width // 4 :: width // 2][:2, :2]


def assert_close(got: RGB, expected: RGB, tolerance: int = 6) -> None:
    assert np.abs(got.astype(int) - expected.astype(int)).max() <= tolerance


def moving(index: int, size: tuple[int, int] = SIZE) -> RGB:
    image = corners(size)
    # Noise, for every packet to have some weight; not where quadrants() looks, in this size and twice it.
    image[40:48, 20:44] = np.random.default_rng(index).integers(0, 256, (8, 24, 3), np.uint8)
    return image


def make_clip(
    path: Path,
    images: Iterable[RGB] | None = None,
    *,
    codec: Any = "libx264",
    pix_fmt: str = "yuv420p",
    times: Sequence[float] | None = None,
    fps: int = 25,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    rotation: tuple[Any, ...] | None = None,
    colour: tuple[int, int] | None = None,
    shift_s: float = 0.0,
    sound: tuple[Any, int, float] | None = None,
) -> Path:
    """A video file. ``colour``: (matrix, range); ``sound``: (codec, rate, seconds); ``shift_s`` delays the pictures."""
    images = [moving(i) for i in range(30)] if images is None else list(images)
    time_base = Fraction(1, fps if path.suffix in {".avi", ".y4m"} else 12800)  # those two count frames
    with av.open(str(path), "w", container_options=muxer or {}) as container:
        height, width = images[0].shape[:2]
        stream = container.add_stream(
            codec, rate=fps, width=width, height=height, pix_fmt=pix_fmt, time_base=time_base, options=options or {}
        )
        if rotation:
            stream.set_display_rotation(*rotation)
        if colour:
            stream.colorspace, stream.color_range = colour
        audio = container.add_stream(sound[0], rate=sound[1], layout="stereo") if sound else None
        for index, image in enumerate(images):
            matrix, range_ = colour or (None, None)
            frame = av.VideoFrame.from_ndarray(image).reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range=range_
            )
            time_s = (times[index] if times else index / fps) + shift_s
            frame.pts, frame.time_base = round(time_s / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound and audio:
            _, rate, seconds = sound
            samples = np.sin(np.arange(int(rate * seconds)) * 440 * 2 * np.pi / rate).astype(np.float32) / 4
            for start in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(np.tile(samples[start : start + 1024], (2, 1)), "fltp", "stereo")
                block.sample_rate, block.time_base = rate, Fraction(1, rate)
                block.pts = start
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def read(source: str | Path | int) -> tuple[VideoReader, list[Frame]]:
    with open_video(source) as reader:
        frames = list(reader)
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert frame.image.flags.writeable  # torch.from_numpy warns of others
    return reader, frames


def packets_of(path: Path) -> list[tuple[int, int]]:
    """(position, size) of the packets of the video stream."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos is not None]


# --- files ----------------------------------------------------------------------------------------------------------


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
    assert reader.info.num_frames is None
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


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_cut_off_file_gives_what_decodes_and_says_so(tmp_path: Path, suffix: str) -> None:
    muxer = {"movflags": "faststart"} if suffix == ".mp4" else {}
    path = make_clip(tmp_path / f"clip{suffix}", muxer=muxer)
    path.write_bytes(path.read_bytes()[: packets_of(path)[15][0] + 20])
    reader, frames = read(path)
    assert 8 < len(frames) < 17
    assert reader.info.num_frames == 30
    assert reader.problem is not None
    assert f"{len(frames)} of 30 declared frames came" in reader.problem


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_damaged_packets_are_skipped_and_counted(tmp_path: Path, codec: str) -> None:
    path = make_clip(tmp_path / "clip.mp4", codec=codec)
    data = bytearray(path.read_bytes())
    for position, size in packets_of(path)[10:14]:
        data[position : position + size] = bytes(size)
    path.write_bytes(data)
    reader, frames = read(path)
    assert len(frames) == 26
    assert frames[-1].time_s == pytest.approx(29 / 25)
    assert reader.problem == "26 of 30 declared frames came; 4 damaged packets were skipped"


def test_frames_hidden_by_an_edit_list_are_not_missed(tmp_path: Path) -> None:
    muxer = {"avoid_negative_ts": "disabled"}  # with it the muxer hides what lies before 0
    path = make_clip(tmp_path / "clip.mp4", shift_s=-0.4, options={"bf": "0"}, muxer=muxer)
    reader, frames = read(path)
    assert len(frames) == 20
    assert frames[0].time_s == 0
    assert reader.problem is None


@pytest.mark.parametrize(
    ("name", "content"), [("text.mp4", b"not a video\n" * 99), ("notes.txt", b"words\n" * 99), ("empty.mp4", b"")]
)
def test_text_is_no_video(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=name):
        open_video(tmp_path / name)


def test_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")  # its index is at the end
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        open_video(path)


def test_file_cut_before_its_first_frame_is_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: packets_of(path)[0][0] + 20])
    with pytest.raises(VideoError, match="no "):
        open_video(path)


@pytest.mark.parametrize("name", ["none.mp4", "none.png", "folder/none.mkv"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoError, match="No such file"):
        open_video(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="sets the user as Linux does")
@pytest.mark.parametrize("locked", ["file", "folder above", "folder of images"])
def test_source_without_permission(locked: str) -> None:
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as top:  # tmp_path is closed to all users but one
        os.chmod(top, 0o755)
        folder = Path(top, "folder")
        folder.mkdir()
        path = make_clip(folder / "clip.mp4")
        (path if locked == "file" else folder).chmod(0)
        if user == 0:  # root may read everything, so be nobody for a moment
            os.seteuid(65534)
        try:
            with pytest.raises(VideoError, match="Permission denied"):
                open_video(folder if locked == "folder of images" else path)
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_sound_alone_is_refused_even_with_a_cover(tmp_path: Path) -> None:
    path = tmp_path / "song.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="stereo")
        block = av.AudioFrame.from_ndarray(np.zeros((2, 4096), np.float32), "fltp", "stereo")
        block.sample_rate = 48000
        cover = tmp_path / "cover.png"
        Image.fromarray(corners()).save(cover)
        container.add_attachment("cover.png", "image/png", cover.read_bytes())
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video in it"):
        open_video(path)


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as container:
        container.add_stream("libx264", rate=25, width=64, height=48)
        container.start_encoding()
    with pytest.raises(VideoError, match=r"none\.mkv"):
        open_video(path)


# --- images ---------------------------------------------------------------------------------------------------------


def test_folder_plays_in_natural_order(tmp_path: Path) -> None:
    for index in (1, 2, 10, 9, 100):
        Image.fromarray(np.full((*SIZE, 3), index, np.uint8)).save(tmp_path / f"frame{index}.png")
    (tmp_path / "labels.txt").write_text("no frame")
    (tmp_path / "._frame1.png").write_bytes(b"no image")
    reader, frames = read(tmp_path)
    assert [int(f.image[0, 0, 0]) for f in frames] == [1, 2, 9, 10, 100]
    assert [f.time_s for f in frames] == [i / 25 for i in range(5)]
    assert (reader.info.fps, reader.info.num_frames, reader.info.has_audio) == (25.0, 5, False)
    assert reader.problem is None


IMAGES: dict[str, Callable[[Path], None]] = {
    "rgb.png": lambda p: Image.fromarray(corners()).save(p),
    "rgba.png": lambda p: Image.fromarray(np.dstack([corners(), np.full(SIZE, 7, np.uint8)])).save(p),
    "palette.png": lambda p: Image.fromarray(corners()).quantize(8).save(p),
    "rgb.jpg": lambda p: Image.fromarray(corners()).save(p, quality=95),
    "rgb.tiff": lambda p: Image.fromarray(corners()).save(p),
    "rgb.webp": lambda p: Image.fromarray(corners()).save(p, lossless=True),
    "rgb48.png": lambda p: av.VideoFrame.from_ndarray(corners()).reformat(format="rgb48be").save(p, pred="none"),
    "cmyk.jpg": lambda p: Image.fromarray(corners()).convert("CMYK").save(p, quality=95),
    "turned.jpg": lambda p: Image.fromarray(np.rot90(corners(), 1)).save(p, quality=95, exif=_turned()),
}


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be shown turned clockwise
    return exif


@pytest.mark.parametrize("name", IMAGES)
def test_images_become_upright_8_bit_rgb(tmp_path: Path, name: str) -> None:
    IMAGES[name](tmp_path / name)
    for source in (tmp_path, tmp_path / name):
        _, frames = read(source)
        assert frames[0].image.shape == (*SIZE, 3)
        assert_close(quadrants(frames[0].image), CORNERS)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257), (bool, 0)], ids=["8 bit", "16 bit", "1 bit"]
)
def test_grayscale_images_keep_their_brightness(tmp_path: Path, dtype: type, scale: int) -> None:
    ramp = np.arange(0, 256, 4)[None].repeat(48, 0)
    expected = ramp if scale else (ramp > 127) * 255
    Image.fromarray((ramp * scale if scale else ramp > 127).astype(dtype)).save(tmp_path / "gray.png")
    assert_close(read(tmp_path)[1][0].image, np.repeat(expected[..., None], 3, 2).astype(np.uint8), 1)


def test_unreadable_image_is_skipped_and_named(tmp_path: Path) -> None:
    for index in range(4):
        Image.fromarray(moving(index)).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes(b"nothing")
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[: len(whole) // 2])
    reader, frames = read(tmp_path)
    assert [(f.index, f.time_s) for f in frames] == [(0, 0.0), (1, 3 / 25)]
    assert reader.problem == "2 of 4 images came; the first that did not is 1.png: not a readable image"


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="folder without images"):
        open_video(tmp_path)


def test_folder_of_broken_images(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"0 of 1 images came.*1\.png"):
        open_video(tmp_path)


# --- stdin, cameras, addresses --------------------------------------------------------------------------------------


def through_stdin(data: bytes) -> subprocess.CompletedProcess[bytes]:
    program = "from tdseg.video import open_video\nr = open_video('-')\nn = [(f.time_s, f.image.shape) for f in r]\n"
    program += "print(r.info.source, len(n), round(n[-1][0], 3), n[0][1], r.problem)"
    return subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=False)


@pytest.mark.parametrize("kind", ["mkv", "mjpeg", "h264", "y4m"])
def test_video_on_stdin(tmp_path: Path, kind: str) -> None:
    codec = {"mjpeg": "mjpeg", "y4m": "wrapped_avframe"}.get(kind, "libx264")
    path = make_clip(tmp_path / f"clip.{kind}", codec=codec, pix_fmt="yuvj420p" if kind == "mjpeg" else "yuv420p")
    assert through_stdin(path.read_bytes()).stdout.decode().strip() == "stdin 30 1.16 (48, 64, 3) None"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images_one_after_the_other_on_stdin(tmp_path: Path, kind: str) -> None:
    for index in range(12):
        Image.fromarray(np.rot90(moving(index))).save(tmp_path / f"{index:02}", kind, exif=_turned())
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


# --- writing --------------------------------------------------------------------------------------------------------


def write(path: Path, images: Sequence[RGB], times: Sequence[float], **options: Any) -> Path:
    with VideoWriter(path, **{"size": images[0].shape[:2], "fps": 25.0, **options}) as video:
        for image, time_s in zip(images, times, strict=True):
            video.write(image, time_s)
    return path


def stamps(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [(f.pts or 0) * (f.time_base or Fraction(0)) for f in container.decode(video=0)]


def test_round_trip_keeps_frames_times_and_colours(tmp_path: Path) -> None:
    path = tmp_path / ".overlay.mp4.partial"  # the suffix does not choose the format
    images = [moving(i, (96, 128)) for i in range(40)]
    write(path, images, [i / 25 for i in range(40)])
    reader, frames = read(path)
    assert (reader.info.num_frames, reader.info.fps, reader.info.has_audio) == (40, 25.0, False)
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(40)], abs=1e-9)
    for frame, image in zip(frames, images, strict=True):
        assert_close(quadrants(frame.image), quadrants(image), 4)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        tags = stream.colorspace, stream.color_primaries, stream.color_trc, stream.color_range
        assert tags == (1, 1, 1, 1)  # BT.709, limited range
        assert container.format.name.startswith("mov,mp4")


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25)])
def test_common_rates_are_kept_exactly(tmp_path: Path, fps: Fraction) -> None:
    path = write(tmp_path / "clip.mp4", [corners()] * 30, [float(i / fps) for i in range(30)], fps=float(fps))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == fps
    assert stamps(path) == [i / fps for i in range(30)]


@pytest.mark.parametrize("unit", [Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 12800), Fraction(1, 15360)])
def test_variable_times_are_kept(tmp_path: Path, unit: Fraction) -> None:
    ticks = [0, 41, 83, 500, 541, 1250]
    path = write(
        tmp_path / "clip.mp4", [corners()] * 6, [float(tick * unit) for tick in ticks], fps=float(5 / 1250 / unit)
    )
    assert [float(s) for s in stamps(path)] == pytest.approx([float(t * unit) for t in ticks], abs=1 / 240_000 + 1e-9)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize(
    ("gap_s", "late"),
    [(400, 0), (4 * 3600, 0), (24 * 3600, 5)],  # a day is longer than an mp4 can tell: five frames come early
)
def test_times_after_a_gap_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, gap_s: int, late: int
) -> None:
    monkeypatch.setattr(writer, "CODECS", [e for e in writer.CODECS if e.name == codec])
    times = [0, 0.1, *(gap_s + i / 10 for i in range(8))]
    got = [f.time_s for f in read(write(tmp_path / "clip.mp4", [corners()] * len(times), times))[1]]
    assert got[:2] + got[2 + late :] == pytest.approx(times[:2] + times[2 + late :], abs=1e-5)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("fps", [0.002, 0.0004, 0.0001])
def test_slow_rates_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, fps: float) -> None:
    monkeypatch.setattr(writer, "CODECS", [e for e in writer.CODECS if e.name == codec])
    path = write(tmp_path / "clip.mp4", [corners()] * 3, [i / fps for i in range(3)], fps=fps)
    reader, frames = read(path)
    assert [f.time_s for f in frames] == pytest.approx([i / fps for i in range(3)], abs=1e-5)
    assert reader.info.fps == pytest.approx(fps)


def test_equal_and_falling_times_still_give_every_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", [corners()] * 5, [0, 0.04, 0.04, 0.02, 0.08])
    assert [f.time_s for f in read(path)[1]] == pytest.approx([0, 0.04, 0.04, 0.04, 0.08], abs=2e-5)


def test_duration_includes_the_last_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", [corners()] * 5, [0, 0.04, 0.5, 0.54, 1.0])
    with av.open(str(path)) as container:
        assert container.duration == 1_040_000


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64)])
def test_odd_sizes_are_padded_with_the_edge(tmp_path: Path, size: tuple[int, int]) -> None:
    _, frames = read(write(tmp_path / "clip.mp4", [corners(size)] * 3, [0, 0.04, 0.08]))
    assert frames[0].image.shape == (48, 64, 3)
    assert_close(quadrants(frames[0].image), CORNERS, 4)
    assert_close(frames[0].image[-1, -1], CORNERS[1, 1], 8)


@pytest.mark.parametrize(("size", "box"), [((96, 128), (0, 48, 0, 64)), ((96, 64), (0, 48, 16, 48))])
def test_frames_of_another_size_are_fitted(
    tmp_path: Path, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    _, frames = read(write(tmp_path / "clip.mp4", [corners(), corners(size)], [0, 0.04], size=SIZE))
    top, bottom, left, right = box
    assert_close(quadrants(frames[1].image[top:bottom, left:right]), CORNERS, 8)
    if left:
        assert frames[1].image[:, : left - 2].max() < 20


def test_every_other_row_of_a_larger_array_may_be_written(tmp_path: Path) -> None:
    image = np.repeat(corners(), 2, 0)[::2]
    assert not image.flags.c_contiguous
    assert_close(quadrants(read(write(tmp_path / "clip.mp4", [image], [0]))[1][0].image), CORNERS, 4)


def audio_of(path: Path) -> tuple[str, list[float], float]:
    """Codec, start of each packet and the end of the last, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.time_base
        packets = [p for p in container.demux(stream) if p.size]
        starts = [float((p.pts or 0) * stream.time_base) for p in packets]
        end = starts[-1] + float((packets[-1].duration or 0) * stream.time_base)
        return stream.codec_context.codec.canonical_name, starts, end


@pytest.mark.parametrize(
    ("name", "codec", "written"),
    [
        ("a.mp4", "aac", "aac"),
        ("a.ts", "aac", "aac"),  # ADTS: has to be repackaged
        ("a.ts", "ac3", "ac3"),
        ("a.mkv", "flac", "flac"),
        ("a.mkv", "libopus", "opus"),
        ("a.avi", "libmp3lame", "mp3"),
        ("a.mkv", "mp2", "aac"),
        ("a.avi", "pcm_s16le", "aac"),
    ],
)
def test_sound_is_kept_in_time(tmp_path: Path, name: str, codec: str, written: str) -> None:
    source = make_clip(tmp_path / name, sound=(codec, 48000, 1.2))
    reader, frames = read(source)
    assert reader.info.has_audio
    path = write(tmp_path / "out.mp4", [f.image for f in frames], [f.time_s for f in frames], audio_from=source)
    kind, starts, end = audio_of(path)
    assert kind == written
    assert abs(starts[0]) < 0.06
    assert end == pytest.approx(1.2, abs=0.1)
    assert len(read(path)[1]) == 30
    with av.open(str(path)) as container:
        loud = [np.abs(f.to_ndarray().astype(np.float32)).max() for f in container.decode(audio=0)]
    assert np.median(loud) > 0.1


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_follows_the_start_of_the_pictures(tmp_path: Path, codec: str) -> None:
    """Pictures that start 2 s after the sound: what comes before them is dropped."""
    path = make_clip(tmp_path / "late.mkv", shift_s=2.0, sound=(codec, 48000, 3.2))
    _, frames = read(path)
    assert frames[0].time_s == 0
    out = write(tmp_path / "out.mp4", [f.image for f in frames], [f.time_s for f in frames], audio_from=path)
    _, starts, end = audio_of(out)
    assert abs(starts[0]) < 0.06
    assert end == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_ends_with_the_frames_of_an_interrupted_video(tmp_path: Path, codec: str) -> None:
    source = make_clip(tmp_path / "a.mov", sound=(codec, 48000, 1.2))

    def interrupted() -> None:
        with VideoWriter(tmp_path / "o.mp4", size=SIZE, fps=25, audio_from=source) as video:
            for index in range(10):
                video.write(moving(index), index / 25)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(read(tmp_path / "o.mp4")[1]) == 10
    assert audio_of(tmp_path / "o.mp4")[2] == pytest.approx(0.4, abs=0.05)


def test_source_without_sound_gives_none(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4")
    path = write(tmp_path / "o.mp4", [corners()] * 3, [0, 0.04, 0.08], audio_from=source)
    assert not read(path)[0].info.has_audio


def test_cut_off_sound_does_not_spoil_the_video(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", sound=("aac", 48000, 1.2), muxer={"movflags": "faststart"})
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.6)])
    path = write(tmp_path / "o.mp4", [moving(i) for i in range(30)], [i / 25 for i in range(30)], audio_from=source)
    reader, frames = read(path)
    assert (len(frames), reader.problem) == (30, None)


def test_missing_sound_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No such file"):
        VideoWriter(tmp_path / "o.mp4", size=SIZE, fps=25, audio_from=tmp_path / "none.mp4")
    assert not (tmp_path / "o.mp4").exists()


def test_writer_without_x264_uses_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CODECS", writer.CODECS[1:])
    path = write(tmp_path / "clip.mp4", [moving(i) for i in range(30)], [i / 25 for i in range(30)])
    reader, frames = read(path)
    assert reader.info.fps == 25
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(30)], abs=1e-9)
    assert_close(quadrants(frames[0].image), quadrants(moving(0)), 8)


def test_writer_closes_twice_and_without_frames(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "o.mp4", size=SIZE, fps=25)
    video.close()
    video.close()
    assert (tmp_path / "o.mp4").exists()


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        VideoWriter(tmp_path / "none" / "o.mp4", size=SIZE, fps=25)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk(tmp_path: Path) -> None:
    (tmp_path / "o.mp4").symlink_to("/dev/full")
    noise = np.random.default_rng(0).integers(0, 255, (30, 240, 320, 3), np.uint8)
    with pytest.raises(OutputError, match=os.strerror(errno.ENOSPC)):
        write(tmp_path / "o.mp4", list(noise), [i / 25 for i in range(30)])
