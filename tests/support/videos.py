"""Small videos and pictures of known content, and how they are read back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg.video import Frame, VideoReader, open_video

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
    time_base = Fraction(1, fps if path.suffix in {".avi", ".mpg", ".vob", ".y4m"} else 12800)  # those two count frames
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


def turned() -> Image.Exif:
    """EXIF of a picture that is to be shown turned clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    return exif


def through_stdin(data: bytes) -> subprocess.CompletedProcess[bytes]:
    """A process that reads them there, and prints what came."""
    program = "from tdseg.video import open_video\nr = open_video('-')\nn = [(f.time_s, f.image.shape) for f in r]\n"
    program += "print(r.info.source, len(n), round(n[-1][0], 3), n[0][1], r.problem)"
    return subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=False)
