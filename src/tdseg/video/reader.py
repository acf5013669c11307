"""Any source as upright RGB frames with their times.

Decoding is FFmpeg's, through PyAV; image files are read by `pictures`. Colours follow the tags of the source (matrix
and range; BT.601 limited where it has none, as in FFmpeg); transparency is dropped, and more than 8 bits are reduced to
8 without tone mapping.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from tdseg.errors import DataError, VideoError
from tdseg.video.address import is_camera, is_pattern, is_url, matching_images, printable
from tdseg.video.animation import animation_of
from tdseg.video.container import open_input, start_of, unreachable, video_stream
from tdseg.video.decoding import DecodingReport, decode
from tdseg.video.extent import FALLBACK_FPS, Extent, counted_extent, declared_extent, is_cut
from tdseg.video.frame import Frame, FrameGenerator, read_animation, read_images
from tdseg.video.pictures import IMAGE_SUFFIXES, images_in, is_image

PIPE = "pipe:0"


@dataclass(frozen=True)
class VideoInfo:
    """A source as it is, rotation applied."""

    source: str
    """As the user gave it, printable: without the user and the password of a URL."""
    height: int
    width: int
    fps: float
    """Average frames per second; 25 where the source knows none."""
    num_frames: int | None
    """Number of frames: of files, counted; of one that is cut off, of pipes and addresses, as declared or estimated
    from the declared duration; None where unknown (camera, live, pipe)."""
    has_audio: bool
    duration_s: float | None = None
    """From the first frame to the end of the last, seconds, where it was counted; the last may stand for long."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, as it is to be shown."""


class _About(NamedTuple):
    """A source as it knows itself when its first frame is there."""

    extent: Extent
    has_audio: bool = False
    pixel_aspect: Fraction = Fraction(1)


class VideoReader:
    """The frames of one source, once through; made by :func:`open_video`.

    A context manager. Close it, or let its iterator end, in the thread that iterates.

    Attributes:
        size: (height, width) of the first frame.
        problem: after the last frame, why fewer came than there are (cut off, damaged), else None.
        names: of the images that the frames so far are, all different; None where they are no images of a folder.
    """

    def __init__(
        self, frames: FrameGenerator, source: str, about: Callable[[], _About], names: list[str] | None = None
    ) -> None:
        self.problem: str | None = None
        self.names = names
        self._frames, self._source, self._about = frames, source, about
        try:
            first = next(frames)
        except StopIteration as end:
            raise VideoError(
                f"{source}: no frame could be decoded" + (f" ({end.value})" if end.value else ""),
                expected="a video with at least one whole frame",
                do="open it in another program to see whether it is damaged",
            ) from None
        self.size = first.image.shape[0], first.image.shape[1]
        self._iterator = self._iterate(first)

    @cached_property
    def info(self) -> VideoInfo:
        """The source as it is; height and width are those of the first frame. The frames of a file are counted for it,
        once in a process, which reads the file without decoding it."""
        (num_frames, fps, duration_s), has_audio, aspect = self._about()
        return VideoInfo(self._source, *self.size, fps, num_frames, has_audio, duration_s, aspect)

    def _iterate(self, first: Frame) -> Iterator[Frame]:
        yield first
        del first
        self.problem = yield from self._frames

    def __iter__(self) -> Iterator[Frame]:
        return self._iterator

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the source; frames not yet read are lost."""
        self._frames.close()


def open_video(source: str | Path | int, *, deinterlace: bool = True) -> VideoReader:
    """Open a video and decode its first frame.

    Args:
        source: a video or image file, animated or a still; a folder of images, played in natural order (2 before 10),
            of animated ones the first picture; a pattern of images, ``frames/%05d.png`` or ``frames/*.png``; a camera
            index (an int, or digits that are no file or folder; Linux V4L2); a URL (http, rtsp, …); or ``-``: any
            video, or images one after the other, on stdin.
        deinterlace: make frames whole that are flagged as interlaced.

    Raises:
        VideoError: the source is missing, unreadable, not a video, or holds no picture.
    """
    name = str(source)
    if is_camera(source):
        return _open_container(f"camera {name}", f"/dev/video{name}", "v4l2", deinterlace=deinterlace)
    if not isinstance(source, Path):
        if name == "-":
            return _open_container("stdin", PIPE, deinterlace=deinterlace)
        if is_url(name):
            return _open_container(name, deinterlace=deinterlace)
    path = Path(name)
    try:
        if os.path.isdir(path):  # unlike Path.is_dir, False where it may not look
            return _open_images(name, images_in(path))
        if is_pattern(source):
            return _open_images(name, matching_images(name))
        if is_image(path):
            os.stat(path)
            return _open_picture(name, path)
    except OSError as error:
        raise unreachable(name, error) from error
    return _open_container(name, deinterlace=deinterlace)


# --- files, streams, cameras, pipes ---------------------------------------------------------------------------------


def _open_container(
    name: str, address: str | None = None, format: str | None = None, *, deinterlace: bool
) -> VideoReader:
    container = open_input(name, address, format)
    stream = video_stream(container)
    if stream is not None and stream.disposition & Disposition.dependent:  # which FFmpeg decodes one by one
        count = len(container.streams.video)
        container.close()
        raise VideoError(
            f"{name}: a picture in tiles, {count} parts",
            expected="a picture in one piece, such as PNG, JPEG or AVIF",
            do="save it as one of these",
        )
    if stream is None or container.format.name == "tty":  # FFmpeg draws text files as videos of a terminal
        container.close()
        raise VideoError(
            f"{printable(name)}: no video in it",
            expected="a file or address with a video stream; sound, cover art and text are none",
            do="check that this is the right source",
        )
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(4, os.cpu_count() or 1)  # the network needs the rest
    source = _Source(container, stream, name if address is None and os.path.isfile(name) else None)
    try:
        return VideoReader(source.frames(deinterlace), printable(name), source.about)
    except VideoError:
        if address == PIPE and "mp4" in source.format:
            raise VideoError(
                f"{name}: an mp4 with its index at the end, which a pipe gives too late",
                expected="the file itself, or on a pipe an mp4 that begins with its index",
                do="give the path, or move the index: ffmpeg -i in.mp4 -c copy -movflags +faststart out.mp4",
            ) from None
        raise


class _Source:
    """A container on its way through the decoder.

    Args:
        container: with the stream.
        stream: to decode.
        path: of a file, which can be counted; None for what can be read only once.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, path: str | None) -> None:
        self._container, self._stream, self._path = container, stream, path
        self.format = container.format.name
        self._declared = declared_extent(container, stream)
        self._report = DecodingReport()
        self._aspect = Fraction(stream.sample_aspect_ratio or 1)
        self._audio = bool(container.streams.audio)

    def about(self) -> _About:
        """What is known of it, after its first frame."""
        aspect = 1 / self._aspect if self._report.is_turned else self._aspect
        return _About(self._extent(), self._audio, aspect)

    def _extent(self) -> Extent:
        """Counted, where that is possible; of a file that is cut off, as declared."""
        if self._path is None or self._is_cut():
            return self._declared
        try:
            return counted_extent(self._path)
        except (OSError, VideoError):  # gone since
            return self._declared

    def _is_cut(self) -> bool:
        try:
            return self._path is not None and is_cut(self._path, self.format)
        except OSError:
            return False

    def frames(self, deinterlace: bool) -> FrameGenerator:
        """Its frames; closes the container."""
        stream, fps = self._stream, self._declared.fps
        index, time_s, next_s = -1, 0.0, 0.0
        start_s = start_of(stream)
        origin = None if start_s is None else float(start_s)
        with self._container:
            for index, (stamp, image) in enumerate(
                decode(self._container, stream, self._report, deinterlace=deinterlace)
            ):
                if stamp is None:  # raw streams have no clock
                    time_s = next_s
                else:
                    if origin is None or float(stamp) - origin < time_s:  # no start, or the clock was set back
                        origin = float(stamp) - next_s
                    time_s = float(stamp) - origin
                next_s = time_s + 1 / fps
                yield Frame(index, time_s, image)
            return self._shortfall(index + 1)

    def _shortfall(self, count: int) -> str | None:
        report = self._report
        cut = self._is_cut() or (self._path is None and report.packets < len(self._stream.index_entries))
        if not (cut or report.failed or report.stopped):
            return None
        declared = self._extent().num_frames
        parts = [f"{count} of {declared} declared frames came" if declared else f"{count} frames came"]
        if report.failed:
            parts.append(f"{report.failed} damaged packet{'s were' if report.failed > 1 else ' was'} skipped")
        if report.stopped:
            parts.append(f"reading stopped: {report.stopped}")
        elif cut:
            parts.append("the file is cut off")
        return "; ".join(parts)


# --- images ---------------------------------------------------------------------------------------------------------


def _open_images(name: str, paths: list[Path]) -> VideoReader:
    if not paths:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        if is_pattern(name):
            raise VideoError(
                f"{name}: no image matches this pattern",
                expected=f"images ({suffixes}) with such names",
                do="check the folder and the names; put a pattern with * in quotes",
            )
        raise VideoError(
            f"{name}: a folder without images",
            expected=f"a folder of frames ({suffixes})",
            do="give the folder that holds the frames themselves, or a video file",
        )
    extent = Extent(len(paths), FALLBACK_FPS, len(paths) / FALLBACK_FPS)
    names = list[str]()
    return VideoReader(read_images(paths, names, FALLBACK_FPS), name, lambda: _About(extent), names)


def _open_picture(name: str, path: Path) -> VideoReader:
    try:
        places, durations = animation_of(path)
    except DataError as error:
        raise VideoError(error.got, expected=error.expected, do=error.do) from None
    fps = FALLBACK_FPS if durations is None else len(durations) / sum(durations)
    times = durations or [1 / fps] * len(places)
    extent = Extent(len(places), fps, sum(times))
    return VideoReader(read_animation(path, places, times), name, lambda: _About(extent))
