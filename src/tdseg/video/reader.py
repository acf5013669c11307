"""Any source as upright RGB frames with their times.

Decoding is FFmpeg's, through PyAV; image files are read by `pictures`. Colours follow the tags of the source (matrix
and range; BT.601 limited where it has none, as in FFmpeg); transparency is dropped, and more than 8 bits are reduced to
8 without tone mapping.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tdseg.errors import DataError, VideoError
from tdseg.video.animation import animation_of
from tdseg.video.frame import Frame, FrameGenerator, read_animation, read_images
from tdseg.video.pictures import IMAGE_SUFFIXES, RGB, images_in, is_image

FALLBACK_FPS = 25.0  # of sources that know none, such as folders of images
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
URL_TIMEOUT_S = 20.0  # how long a network source may stay silent


@dataclass(frozen=True)
class VideoInfo:
    """A source as it declares itself, rotation applied."""

    source: str
    """As the user gave it, printable."""
    height: int
    width: int
    fps: float
    """Average frames per second; 25 where the source knows none."""
    num_frames: int | None
    """Declared number of frames, or an estimate from the declared duration; None where unknown (camera, live, pipe)."""
    has_audio: bool


class VideoReader:
    """The frames of one source, once through; made by :func:`open_video`.

    A context manager. Close it, or let its iterator end, in the thread that iterates.

    Attributes:
        info: the source as it declares itself; height and width are those of the first frame.
        problem: after the last frame, why fewer came than were declared (cut off, damaged), else None.
        names: of the images that the frames so far are, all different; None where they are no images of a folder.
    """

    def __init__(
        self,
        frames: FrameGenerator,
        *,
        source: str,
        fps: float,
        num_frames: int | None,
        audio: bool,
        names: list[str] | None = None,
    ) -> None:
        self.problem: str | None = None
        self.names = names
        self._frames = frames
        try:
            first = next(frames)
        except StopIteration as end:
            raise VideoError(
                f"{source}: no frame could be decoded" + (f" ({end.value})" if end.value else ""),
                expected="a video with at least one whole frame",
                do="play it in another program to see whether it is damaged",
            ) from None
        height, width = first.image.shape[:2]
        self.info = VideoInfo(source, height, width, fps, num_frames, audio)
        self._iterator = self._iterate(first)

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


def open_video(source: str | Path | int) -> VideoReader:
    """Open a video and decode its first frame.

    Args:
        source: a video or image file, animated or a still; a folder of images, played in natural order (2 before 10),
            of animated ones the first picture; a camera index (an int or digits; Linux V4L2); a URL (http, rtsp, …); or
            ``-``: any video, or images one after the other, on stdin.

    Raises:
        VideoError: the source is missing, unreadable, not a video, or holds no picture.
    """
    name = str(source)
    if not isinstance(source, Path):
        if name == "-":
            return _open_container("stdin", "pipe:0")
        if name.isdecimal():
            return _open_container(f"camera {name}", f"/dev/video{name}", "v4l2")
        if URL.match(name):
            return _open_container(name)
    path = Path(name)
    if os.path.isdir(path):  # unlike Path.is_dir, False where it may not look
        try:
            return _open_images(name, images_in(path))
        except OSError as error:
            raise _unreachable(name, error) from error
    return _open_picture(name, path) if is_image(path) else _open_container(name)


# --- files, streams, cameras, pipes ---------------------------------------------------------------------------------


@dataclass
class _Packets:
    """The packets of a stream, and what ended it early."""

    packets: int = 0
    failed: int = 0
    stopped: str | None = None


def open_input(name: str, address: str | None = None, format: str | None = None) -> InputContainer:
    """Open a path or URL, or what FFmpeg calls ``address``, for which errors say ``name``.

    Raises:
        VideoError: it is missing, unreadable or no video.
    """
    if address is None:  # FFmpeg takes a:b.mp4 for a protocol, unless it is marked as a file
        address = name if URL.match(name) else f"file:{name}"
    timeout = URL_TIMEOUT_S if URL.match(address) else None
    try:
        return av.open(address, "r", format=format, timeout=timeout, metadata_errors="replace")
    except OSError as error:  # missing, no permission, no such camera, no answer
        raise _unreachable(name, error) from error
    except av.FFmpegError as error:
        raise VideoError(
            f"{name}: {error.strerror}",
            expected="a video that FFmpeg can read",
            do="check that the file is a video; one cut off while being recorded lacks its index and needs repair",
        ) from error


def _unreachable(name: str, error: OSError) -> VideoError:
    return VideoError(
        f"{name}: {error.strerror}",
        expected="a source that exists and may be read",
        do="check the path, its permissions or the address",
    )


def video_stream(container: InputContainer) -> VideoStream | None:
    """The largest picture stream, as FFmpeg chooses; cover art of music is none."""
    streams = [s for s in container.streams.video if s.codec_context and not s.disposition & Disposition.attached_pic]
    return max(streams, key=lambda s: s.width * s.height, default=None)


def start_of(stream: VideoStream) -> Fraction | None:
    """The source's clock, in seconds, at the start of the video, where :attr:`Frame.time_s` is 0."""
    return None if stream.start_time is None or stream.time_base is None else stream.start_time * stream.time_base


def _open_container(name: str, address: str | None = None, format: str | None = None) -> VideoReader:
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
            f"{name}: no video in it",
            expected="a file or address with a video stream; sound, cover art and text are none",
            do="check that this is the right source",
        )
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(4, os.cpu_count() or 1)  # the network needs the rest
    fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
    duration_s = _tagged_duration(stream) or (container.duration or 0) / av.time_base
    num_frames = stream.frames or round(duration_s * fps) or None
    frames, audio = _read_container(container, stream, fps), bool(container.streams.audio)
    return VideoReader(frames, source=name, fps=fps, num_frames=num_frames, audio=audio)


def _read_container(container: InputContainer, stream: VideoStream, fps: float) -> FrameGenerator:
    counts = _Packets()
    index, time_s, next_s = -1, 0.0, 0.0
    start_s = start_of(stream)
    origin = None if start_s is None else float(start_s)
    with container:
        for index, (stamp, image) in enumerate(_decode(container, stream, counts)):
            if stamp is None:  # raw streams have no clock
                time_s = next_s
            else:
                if origin is None or stamp - origin < time_s:  # no start, or the clock was set back: go on from here
                    origin = stamp - next_s
                time_s = stamp - origin
            next_s = time_s + 1 / fps
            yield Frame(index, time_s, image)
        return _shortfall(stream, counts, index + 1, next_s, fps)


def _decode(container: InputContainer, stream: VideoStream, counts: _Packets) -> Iterator[tuple[float | None, RGB]]:
    # Kept, for it builds its tables once. Its fast path rounds down, about one level in 255; exact flags cost ten times
    # the time.
    reformatter = VideoReformatter()
    for packet in _demux(container, stream, counts):
        counts.packets += bool(packet and packet.size)
        try:
            for frame in stream.decode(packet):
                yield frame.time, _upright(frame, reformatter)
        except av.FFmpegError:
            counts.failed += 1


def _demux(container: InputContainer, stream: VideoStream, counts: _Packets) -> Iterator[av.Packet[VideoStream] | None]:
    try:
        yield from container.demux(stream)  # the last packet is empty and flushes the decoder
    except av.FFmpegError as error:
        counts.stopped = error.strerror
        yield None  # flushes likewise


def _upright(frame: av.VideoFrame, reformatter: VideoReformatter) -> RGB:
    image = np.asarray(reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)
    try:
        a, b, _, c, d = np.frombuffer(frame.side_data["DISPLAYMATRIX"], np.int32)[:5]  # type: ignore[typeddict-item]
    except KeyError:
        pass
    except ValueError:  # PyAV cannot name the side data of pictures with EXIF, nor anything beside it
        image = np.rot90(image, round(frame.rotation / 90))
    else:  # the pixel at (x, y) is shown at (ax + cy, bx + dy), up to a shift
        if abs(b) > abs(a):
            image = image.swapaxes(0, 1)
            a, d = c, b
        image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def _tagged_duration(stream: VideoStream) -> float | None:
    """Seconds of the stream by Matroska's tag, which does not count the audio as the container's duration does."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None


def _shortfall(stream: VideoStream, counts: _Packets, count: int, end_s: float, fps: float) -> str | None:
    # Packets, not frames, are held against the declared count: edit lists hide frames of whole files.
    # Half a second is the leave for a duration that is not a count.
    duration_s = _tagged_duration(stream) or 0.0
    cut = counts.packets < stream.frames or end_s + 0.5 < duration_s
    if not (cut or counts.failed or counts.stopped):
        return None
    declared = stream.frames or round(duration_s * fps)
    parts = [f"{count} of {declared} declared frames came" if declared else f"{count} frames came"]
    if counts.failed:
        parts.append(f"{counts.failed} damaged packet{'s were' if counts.failed > 1 else ' was'} skipped")
    if counts.stopped:
        parts.append(f"reading stopped: {counts.stopped}")
    elif cut:
        parts.append("the file is cut off")
    return "; ".join(parts)


# --- images ---------------------------------------------------------------------------------------------------------


def _open_images(name: str, paths: list[Path]) -> VideoReader:
    if not paths:
        raise VideoError(
            f"{name}: a folder without images",
            expected=f"a folder of frames ({', '.join(sorted(IMAGE_SUFFIXES))})",
            do="give the folder that holds the frames themselves, or a video file",
        )
    names = list[str]()
    frames, count = read_images(paths, names, FALLBACK_FPS), len(paths)
    return VideoReader(frames, source=name, fps=FALLBACK_FPS, num_frames=count, audio=False, names=names)


def _open_picture(name: str, path: Path) -> VideoReader:
    try:
        places, durations = animation_of(path)
    except DataError as error:
        raise VideoError(error.got, expected=error.expected, do=error.do) from None
    fps = FALLBACK_FPS if durations is None else len(durations) / sum(durations)
    frames = read_animation(path, places, durations or [1 / fps] * len(places))
    return VideoReader(frames, source=name, fps=fps, num_frames=len(places), audio=False)
