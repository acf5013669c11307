"""Videos as they are written."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from support.videos import CORNERS, RGB, SIZE, assert_close, corners, make_clip, moving, quadrants, read
from tdseg.errors import ConfigError, OutputError, VideoError
from tdseg.video import VideoWriter, writer
from tdseg.video.joining import join_videos


def write(path: Path, images: Sequence[RGB], times: Sequence[float], **options: Any) -> Path:
    """A video of all; with `audio_from`, of a piece for each half of them."""
    if source := options.pop("audio_from", None):
        half = len(images) // 2
        pieces = [path.with_name("first.mp4"), path.with_name("second.mp4")]
        write(pieces[0], images[:half], times[:half], **options)
        write(pieces[1], images[half:], [time_s - times[half] for time_s in times[half:]], **options)
        join_videos(list(zip(pieces, (0.0, times[half]), strict=True)), path, audio_from=source)
        return path
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

    times = [index / 25 for index in range(10)]
    write(tmp_path / "o.mp4", [moving(index) for index in range(10)], times, audio_from=source)
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
        write(tmp_path / "o.mp4", [corners()] * 2, [0, 0.04], audio_from=tmp_path / "none.mp4")
    assert not (tmp_path / "o.mp4").exists()


def test_writer_without_x264_uses_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CODECS", writer.CODECS[1:])
    path = write(tmp_path / "clip.mp4", [moving(i) for i in range(30)], [i / 25 for i in range(30)])
    reader, frames = read(path)
    assert reader.info.fps == 25
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(30)], abs=1e-9)
    assert_close(quadrants(frames[0].image), quadrants(moving(0)), 8)


@pytest.mark.parametrize("size", [(16, 16386), (16386, 16)])
def test_frames_beyond_the_encoder_are_named(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(
        ConfigError, match=rf"^a video of {size[1]}x{size[0]} pixels\n[^\n]*at most 16384 pixels a side"
    ):
        VideoWriter(tmp_path / "o.mp4", size=size, fps=25)
    assert list(tmp_path.iterdir()) == []


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
