"""Videos of one value a pixel, without loss: masks and scores."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from tdseg.errors import DataError
from tdseg.files import unwritable
from tdseg.video.container import open_input, video_stream

TICKS_PER_S = 1000  # all that Matroska keeps
LOSSLESS = ("ffv1", "png", "rawvideo")


class GreyWriter:
    """Write pictures of bytes, (H, W), as FFV1 in Matroska. A context manager.

    Args:
        path: the file to write.
        size: (height, width) of the video; pictures of another size are scaled to it, values kept as they are.
        fps: average frames per second.

    Raises:
        OutputError: the file cannot be written (here, and in every method).
    """

    def __init__(self, path: Path, *, size: tuple[int, int], fps: float) -> None:
        self._path, self._size, self._last = path, size, -1
        try:
            self._container = av.open(f"file:{path}", "w", format="matroska")
            self._video = self._container.add_stream(
                "ffv1",
                rate=Fraction(max(fps, 1 / TICKS_PER_S)).limit_denominator(TICKS_PER_S),
                time_base=Fraction(1, TICKS_PER_S),
                width=size[1],
                height=size[0],
                pix_fmt="gray",
                options={"level": "3", "g": "1"},  # each picture stands for itself: damage stays in one
            )
            self._video.color_range = ColorRange.JPEG  # all 256 values
        except av.FFmpegError as error:
            raise unwritable(path, error) from error

    def write(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Append a picture, (H, W), with its time in seconds; at or before the last one's, it follows that at once."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(fitted(picture, self._size)), format="gray")
        frame.color_range = ColorRange.JPEG
        self._last = frame.pts = max(round(time_s * TICKS_PER_S), self._last + 1)
        frame.time_base = Fraction(1, TICKS_PER_S)
        self._mux(frame)

    def close(self) -> None:
        """Finish the file."""
        try:
            self._mux(None)
        finally:
            self._container.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._video.encode(frame))
        except av.FFmpegError as error:
            raise unwritable(self._path, error) from error

    def __enter__(self) -> GreyWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fitted(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture of values, (H, W), of another size, (height, width): each pixel that of the nearest."""
    if picture.shape == size:
        return picture
    rows, columns = ((np.arange(new) * old) // new for new, old in zip(size, picture.shape, strict=True))
    scaled: NDArray[np.uint8] = picture[rows[:, None], columns]
    return scaled


def grey_times(path: Path) -> list[float]:
    """The time of each picture of such a video, seconds of its own clock.

    Raises:
        VideoError: it cannot be opened.
        DataError: its values are not those that were written.
    """
    with open_input(str(path)) as container:
        stream = video_stream(container)
        if stream is None or stream.codec_context.pix_fmt != "gray" or stream.codec_context.name not in LOSSLESS:
            got = f"{stream.codec_context.name}, {stream.codec_context.pix_fmt}" if stream else "no video"
            raise DataError(
                f"{path}: {got}",
                expected="a lossless grey video, FFV1",
                do="save the masks by tdseg segment --write video, or as PNGs",
            )
        return [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.size]  # type: ignore[operator]


def read_grey(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The pictures of such a video, (H, W), one after the other.

    Raises:
        VideoError: it cannot be opened.
        DataError: it is damaged.
    """
    with open_input(str(path)) as container:
        try:
            stream = video_stream(container)
            if stream is None:
                return
            for frame in container.decode(stream):
                yield np.asarray(frame.to_ndarray(), np.uint8)
        except av.FFmpegError as error:
            raise DataError(
                f"{path}: {error.strerror}", expected="a whole video", do="copy or make the file again"
            ) from error
