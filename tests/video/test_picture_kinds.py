"""Pictures that move, that have more than 8 bits, that are in tiles, and what is no picture."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from support.tiled import save_tiled_avif
from support.videos import CORNERS, assert_close, corners, quadrants, read, turned
from tdseg.cli import REFUSED, main
from tdseg.errors import DataError, VideoError
from tdseg.video import Excerpt, open_video
from tdseg.video.pictures import read_image

LEVELS = range(0, 240, 20)
STEPS_MS = [80, 80, 40] * 4
RAMP = np.tile(np.arange(256), (16, 1))


def save_animation(path: Path, **options: Any) -> Path:
    first, *rest = (Image.fromarray(np.full((96, 128, 3), level, np.uint8)) for level in LEVELS)
    first.save(path, save_all=True, append_images=rest, **options)
    return path


@pytest.mark.parametrize("suffix", ["webp", "png", "apng", "gif", "avif"])
def test_animated_pictures_are_videos(tmp_path: Path, suffix: str) -> None:
    reader, frames = read(save_animation(tmp_path / f"a.{suffix}", duration=STEPS_MS))
    assert_close(np.array([f.image[0, 0, 0] for f in frames]), np.array(LEVELS), 2)
    assert [f.time_s for f in frames] == pytest.approx(np.cumsum([0, *STEPS_MS[:-1]]) / 1000, abs=1e-6)
    assert (reader.info.num_frames, reader.problem) == (12, None)
    assert reader.info.fps == pytest.approx(15, abs=2)  # an estimate of GIF


def test_the_pages_of_a_tiff_are_frames_but_not_its_small_copies(tmp_path: Path) -> None:
    reader, frames = read(save_animation(tmp_path / "a.tif"))
    assert [int(f.image[0, 0, 0]) for f in frames] == [*LEVELS]
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(12)])
    assert (reader.info.fps, reader.info.num_frames) == (25, 12)
    copy = Image.fromarray(corners((24, 32)))
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    Image.fromarray(corners()).save(tmp_path / "b.tif", save_all=True, append_images=[copy])
    _, (frame,) = read(tmp_path / "b.tif")
    assert_close(quadrants(frame.image), CORNERS)


def test_a_picture_for_those_who_cannot_play_an_apng_is_no_frame(tmp_path: Path) -> None:
    path = save_animation(tmp_path / "a.png", duration=100, default_image=True)
    assert [int(f.image[0, 0, 0]) for f in read(path)[1]] == [*LEVELS][1:]


def test_the_previews_of_a_photo_are_no_frames(tmp_path: Path) -> None:
    Image.fromarray(corners()).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.fromarray(corners((24, 32)))], quality=95
    )
    _, (frame,) = read(tmp_path / "a.jpg")
    assert_close(quadrants(frame.image), CORNERS)


def test_a_folder_of_animated_pictures_plays_their_first(tmp_path: Path) -> None:
    for index in range(2):
        save_animation(tmp_path / f"{index}.webp", duration=40)
    assert len(read(tmp_path)[1]) == 2


@pytest.mark.parametrize("suffix", ["webp", "png", "avif"])
def test_an_animation_that_is_cut_off_says_so(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)
    path = tmp_path / f"a.{suffix}"
    first, *rest = map(Image.fromarray, noise)
    first.save(path, save_all=True, append_images=rest, duration=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    try:
        reader, frames = read(path)
    except VideoError as error:
        assert str(path) in error.got  # noqa: PT017 - some decoders give nothing of a part
    else:
        assert 1 <= len(frames) < 6
        assert reader.problem is not None
        assert f"{len(frames)} of 6 pictures came" in reader.problem


# --- more than 8 bits -----------------------------------------------------------------------------------------------


def deep_tiff(path: Path, values: NDArray[Any], tags: dict[int, int]) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    Image.fromarray(values).save(path, tiffinfo=info)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a.png", (RAMP * 257).astype(np.uint16)),
        ("a.tif", (RAMP * 257).astype(np.uint16)),
        ("big-endian.tif", (RAMP * 257).astype(">u2")),
        ("signed-32-bits.tif", (RAMP * 257).astype(np.int32)),
        ("float.tif", (RAMP / 255).astype(np.float32)),
        ("a.pgm", (RAMP * 257).astype(np.uint16)),
    ],
)
def test_more_than_8_bits_keep_their_brightness(tmp_path: Path, name: str, values: NDArray[Any]) -> None:
    Image.fromarray(values).save(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_image(tmp_path / name), np.repeat(RAMP[..., None], 3, 2))
        np.testing.assert_array_equal(read(tmp_path / name)[1][0].image, read_image(tmp_path / name))


def test_white_may_be_0(tmp_path: Path) -> None:
    deep_tiff(tmp_path / "a.tif", (RAMP * 257).astype(np.uint16), {262: 0})
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], 255 - RAMP)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("a.png", (RAMP * 16).astype(np.uint16), "0 … 4080 of 65535"),
        ("a.tif", (RAMP * 16 + 1).astype(np.uint16), "1 … 4081 of 65535"),
        ("b.tif", RAMP.astype(np.int32), "0 … 255 of 65535"),
        ("c.tif", (RAMP / 255 / 20).astype(np.float32), "0 … 0.05 of 1"),
    ],
)
def test_what_comes_out_black_is_said_once(tmp_path: Path, name: str, values: NDArray[Any], said: str) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        Image.fromarray(values).save(tmp_path / folder / name)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        read(tmp_path / "one" / name)
        read_image(tmp_path / "one" / name)
        read(tmp_path / "two")
    assert len(told) == 2
    assert f"one/{name}: values {said} come out almost black" in str(told[0].message)


def save_deep_colours(path: Path, image: NDArray[np.uint16]) -> None:
    """A PNG of 16 bits in three channels, which Pillow does not write."""
    height, width = image.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks.items())
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_colours_of_12_in_16_bits_are_said(tmp_path: Path) -> None:
    save_deep_colours(tmp_path / "a.png", corners().astype(np.uint16) * 257)
    assert_close(quadrants(read(tmp_path)[1][0].image), CORNERS)
    save_deep_colours(tmp_path / "a.png", corners().astype(np.uint16) * 16)
    with pytest.warns(UserWarning, match=r"a\.png: values up to 3839 of 65535 come out almost black"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("values", "got", "expected"),
    [
        (RAMP.astype(np.float32), "0 … 255", "floats from 0, black, to 1, white"),
        (np.where(RAMP, RAMP / 255, np.nan).astype(np.float32), "nan … nan", "floats"),
        ((RAMP - 1).astype(np.int32), "-1 … 254", "integers from 0, black, to 65535, white"),
        ((RAMP << 20).astype(np.int32), "0 … 267386880", "integers"),
    ],
)
def test_what_is_out_of_range_is_refused(tmp_path: Path, values: NDArray[Any], got: str, expected: str) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=f"values {got}\n  expected: {expected}"):
        read_image(tmp_path / "a.tif")
    for source in (tmp_path / "a.tif", tmp_path):
        with pytest.raises(VideoError, match=f"values {got}\n  expected: {expected}.*\n  do this:  scale the values"):
            open_video(source, Excerpt(start=0))


@pytest.mark.parametrize("mode", ["LA", "P", "CMYK", "RGBA", "1", "YCbCr"])
def test_every_mode_is_read_alike(tmp_path: Path, mode: str) -> None:
    """As its colours are, whatever is transparent; turned as EXIF says."""
    image = Image.fromarray(corners())
    image = image.quantize(8) if mode == "P" else image.convert(mode, dither=Image.Dither.NONE)
    if mode in ("LA", "RGBA"):
        image.putalpha(9)
    path = tmp_path / f"a.{'tif' if mode in ('CMYK', 'YCbCr') else 'png'}"
    image.save(path, exif=turned())
    _, (frame,) = read(path)
    assert_close(quadrants(frame.image), np.rot90(quadrants(np.asarray(image.convert("RGB"))), -1))
    np.testing.assert_array_equal(frame.image, read_image(path))


# --- tiles, and what is no picture ----------------------------------------------------------------------------------


def test_tiles_are_joined_or_refused(tmp_path: Path) -> None:
    image = corners((128, 256))
    assert_close(quadrants(read(save_tiled_avif(tmp_path / "a.avif", image))[1][0].image), CORNERS)
    with pytest.raises(VideoError, match=r"a\.heic: a picture in tiles, 4 parts"):
        open_video(save_tiled_avif(tmp_path / "a.heic", image))
    Image.fromarray(image).save(tmp_path / "b.avif")
    assert_close(quadrants(read((tmp_path / "b.avif").rename(tmp_path / "b.heic"))[1][0].image), CORNERS)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(made) (w) file closefile\nshowpage\n"


def test_postscript_reaches_no_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file is called: a program that stands where Ghostscript would be is never started."""
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    for name in ("a.png", "a.tif", "a.jpg"):
        (tmp_path / name).write_bytes(POSTSCRIPT)
        with pytest.raises(DataError, match="not a readable image"):
            read_image(tmp_path / name)
        with pytest.raises(VideoError, match="not a readable image"):
            open_video(tmp_path / name)
    assert not (tmp_path / "started").exists()


def test_a_picture_that_is_not_there_or_too_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("1", (20000, 10000)).save(tmp_path / "big.png")
    for name, said in (("big.png", "200000000 pixels"), ("none.png", "No such file")):
        assert main(["segment", str(tmp_path / name), "-o", str(tmp_path / "out")]) == REFUSED
        shown = capsys.readouterr().err
        assert said in shown
        assert "damaged" not in shown
