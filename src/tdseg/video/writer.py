"""An mp4 that keeps the times of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from tdseg.errors import ConfigError
from tdseg.files import unwritable
from tdseg.video.pictures import RGB


class _Codec(NamedTuple):
    """Settings of a codec."""

    name: Literal["libx264", "mpeg4"]
    ticks_per_s: int
    options: dict[str, str]
    largest: int
    """Of a side, pixels."""


# Encoding shares the processor with the network, so speed comes first: on 960×540 dashcam video superfast takes 2.5
# times the encoder time of ultrafast for files a quarter smaller. 120,000 ticks keep the usual rates (24000/1001,
# 30000/1001, 25, …) and milliseconds exactly, all else within 1/240,000 s, and MAX_TICKS are 4.6 hours; MPEG-4 part 2
# allows 65,535.
CODECS = (
    _Codec("libx264", 120_000, {"preset": "ultrafast", "crf": "23"}, 16384),
    _Codec(
        "mpeg4", 60_000, {"flags": "+qscale", "global_quality": str(4 * 118)}, 8190
    ),  # 118: FFmpeg's lambda per step
)
MAX_TICKS = 2_000_000_000  # from frame to frame: from 2**31 on FFmpeg's mp4 loses all later times
BT709 = 1  # H.273's code for its matrix, primaries and transfer alike


class VideoWriter:
    """Write frames as H.264 (MPEG-4 part 2 where PyAV lacks x264), yuv420p, tagged BT.709 limited range, in an mp4.

    A context manager. The video is playable after :meth:`close`, however few frames were written.

    Args:
        path: the file to write, taken as it is: its suffix does not choose the format.
        size: (height, width) of the video. An odd side is padded by one row or column that repeats the edge.
        fps: average frames per second; gives the duration of the last frame.
        bit_rate: a small file, of so many bits per second at most, in twice the time; None: quality and speed first.
        pixel_aspect: width of a pixel over its height, for players.

    Raises:
        ConfigError: frames larger than the codec takes, 16384 pixels a side (8190 without x264).
        OutputError: the file cannot be written (here, and in every method).
    """

    def __init__(
        self,
        path: Path,
        *,
        size: tuple[int, int],
        fps: float,
        bit_rate: int | None = None,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        height, width = size
        self._path, self._size = path, size
        self._reformatter = VideoReformatter()
        codec = next(codec for codec in CODECS if codec.name in av.codecs_available)
        if max(size) > codec.largest:  # which FFmpeg calls a "generic error"
            raise ConfigError(
                f"a video of {width}x{height} pixels",
                expected=f"at most {codec.largest} pixels a side, all that {codec.name} encodes",
                do="leave the overlay out, as with --write masks, or make the frames smaller",
            )
        self._ticks_per_s = codec.ticks_per_s
        fps = max(fps, codec.ticks_per_s / MAX_TICKS)
        self._duration = max(1, round(codec.ticks_per_s / fps))
        self._last_pts: int | None = None
        self._open = True
        with self._output_errors():
            self._container = av.open(f"file:{path}", "w", format="mp4")
            self._video = self._container.add_stream(
                codec.name,
                rate=Fraction(fps).limit_denominator(codec.ticks_per_s),
                options=codec.options if bit_rate is None else _small(codec, bit_rate),
                time_base=Fraction(1, codec.ticks_per_s),
                width=width + width % 2,
                height=height + height % 2,
                pix_fmt="yuv420p",
            )
            self._video.codec_context.thread_count = 2
            self._video.codec_context.flags |= Flags.frame_duration
            self._video.codec_context.sample_aspect_ratio = pixel_aspect
            self._video.colorspace = self._video.color_primaries = self._video.color_trc = BT709
            self._video.color_range = ColorRange.MPEG
            self._container.start_encoding()

    def write(self, image: RGB, time_s: float, *, duration_s: float | None = None) -> None:
        """Append a frame.

        Args:
            image: uint8 (H, W, 3) RGB. Of another size than the writer's, it is scaled to fit and centred on black.
            time_s: presentation time in seconds; at or before the previous frame's, the frame follows that one at once.
                One over 4 hours after it may come too early; the times are right again in a few frames.
            duration_s: how long it stands if it is the last; None: as `fps` says.
        """
        pts = round(time_s * self._ticks_per_s)
        if self._last_pts is not None:
            pts = min(max(pts, self._last_pts + 1), self._last_pts + MAX_TICKS)
        self._last_pts = pts
        duration = self._duration
        if duration_s is not None:
            duration = min(max(1, round(duration_s * self._ticks_per_s)), MAX_TICKS)
        frame = self._yuv420(image)
        frame.pts, frame.duration, frame.time_base = pts, duration, self._video.time_base
        with self._output_errors():
            self._container.mux(self._video.encode(frame))

    def _yuv420(self, image: RGB) -> av.VideoFrame:
        height, width = self._size
        if image.shape[:2] != self._size:
            image = _letterbox(image, self._size)
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image)),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    @contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            raise unwritable(self._path, error) from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        with self._output_errors(), self._container:
            self._container.mux(self._video.encode(None))


def _small(codec: _Codec, bit_rate: int) -> dict[str, str]:
    """Options for few bits: on panels of overlays a fifth of what speed first takes."""
    rate = {"maxrate": str(bit_rate), "bufsize": str(2 * bit_rate)}
    return {"preset": "veryfast", "crf": "27", **rate} if codec.name == "libx264" else {**codec.options, **rate}


def _letterbox(image: RGB, size: tuple[int, int]) -> RGB:
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image))
    canvas = np.zeros((*size, 3), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    canvas[top : top + height, left : left + width] = frame.reformat(width, height).to_ndarray()
    return canvas
