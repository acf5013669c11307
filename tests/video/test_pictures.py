"""Picture files as frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from support.videos import CORNERS, SIZE, assert_close, corners, moving, quadrants, read, turned
from tdseg.errors import VideoError
from tdseg.video import open_video


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
    "turned.jpg": lambda p: Image.fromarray(np.rot90(corners(), 1)).save(p, quality=95, exif=turned()),
}


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
