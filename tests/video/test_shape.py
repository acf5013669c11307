"""Pixels that are not square, and frames of two fields."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from support.small import small_model
from support.videos import RGB, corners, read
from tdseg.inference.pipeline import segment_to
from tdseg.video import VideoWriter, open_video


def encoded(path: Path, images: list[RGB], *, aspect: Fraction = Fraction(1), turn: int = 0, x264: str = "") -> Path:
    """An H.264 video with pixels of an aspect, shown turned."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=25,
            width=width,
            height=height,
            pix_fmt="yuv420p",
            options={"crf": "10", "x264-params": x264},
        )
        stream.codec_context.sample_aspect_ratio = aspect
        if turn:
            stream.set_display_rotation(turn)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    return path


def aspects(path: Path) -> tuple[Any, Any]:
    """Of a pixel and of the picture, as players show them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.sample_aspect_ratio, stream.display_aspect_ratio


@pytest.mark.parametrize(("turn", "expected"), [(0, Fraction(64, 45)), (90, Fraction(45, 64))])
def test_overlay_has_the_pixels_of_its_source(tmp_path: Path, turn: int, expected: Fraction) -> None:
    source = encoded(tmp_path / "a.mp4", [corners((144, 180))] * 2, aspect=Fraction(64, 45), turn=turn)
    with open_video(source) as reader:
        assert reader.info.pixel_aspect == expected
    segment_to(source, tmp_path / "o", model=small_model(), write=("overlay",))
    assert aspects(tmp_path / "o/overlay.mp4") == (expected, Fraction(16, 9) if not turn else Fraction(9, 16))


def test_square_pixels_stay_square(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", size=(48, 64), fps=25) as video:
        video.write(corners(), 0)
    assert aspects(tmp_path / "a.mp4")[0] in (None, Fraction(1))
    with open_video(tmp_path / "a.mp4") as reader:
        assert reader.info.pixel_aspect == 1


def bar(at: int) -> RGB:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:, at : at + 16] = 255
    return image


def fields(count: int) -> list[RGB]:
    """A bar that moves from field to field, so that every frame has a comb at its edges."""
    images = [bar(8 * index) for index in range(count)]
    for index, image in enumerate(images):
        image[1::2] = bar(8 * index + 4)[1::2]
    return images


def comb(image: RGB) -> float:
    """How much rows differ from their neighbours on both sides."""
    grey = image[..., 0].astype(int)
    return float(np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean())


def test_interlaced_frames_are_made_whole_one_for_one(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", fields(12), x264="tff=1")
    _, whole = read(path)
    with open_video(path, deinterlace=False) as reader:
        kept = list(reader)
    assert [frame.time_s for frame in whole] == [frame.time_s for frame in kept]
    assert len(whole) == 12
    assert min(comb(frame.image) for frame in kept) > 20
    assert max(comb(frame.image) for frame in whole) < 3


def test_progressive_frames_are_left_alone(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", fields(4))
    with open_video(path, deinterlace=False) as reader:
        kept = [frame.image for frame in reader]
    for frame, image in zip(read(path)[1], kept, strict=True):
        assert np.array_equal(frame.image, image)


def test_interlaced_frames_may_change_their_size_and_be_turned(tmp_path: Path) -> None:
    both = tmp_path / "both.ts"
    parts = [
        encoded(tmp_path / f"{index}.ts", [image[: 96 - 32 * index] for image in fields(6)], x264="tff=1")
        for index in range(2)
    ]
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert [frame.image.shape[:2] for frame in read(both)[1]] == [(96, 128)] * 6 + [(64, 128)] * 6
    turned = read(encoded(tmp_path / "t.mp4", fields(6), turn=90, x264="tff=1"))[1]
    assert [frame.image.shape[:2] for frame in turned] == [(128, 96)] * 6
