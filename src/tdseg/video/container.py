"""Files, streams, cameras and pipes as frames; FFmpeg decodes them, through PyAV."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tdseg.errors import ConfigError, VideoError
from tdseg.video.excerpt import Excerpt
from tdseg.video.pictures import RGB
from tdseg.video.reader import FALLBACK_FPS, Frame, FrameGenerator, VideoReader, part_of
from tdseg.video.shortfall import Packets, shortfall, tagged_duration

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
URL_TIMEOUT_S = 20.0  # how long a network source may stay silent
INDEXED = ("mov", "matroska")  # files that know where their key frames are, and whose clock is never set back
RUN_UP_S = 10.0  # decoded before the start of a part: some encoders call frames key frames that need a run-up


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
        raise unreachable(name, error) from error
    except av.FFmpegError as error:
        raise VideoError(
            f"{name}: {error.strerror}",
            expected="a video that FFmpeg can read",
            do="check that the file is a video; one cut off while being recorded lacks its index and needs repair",
        ) from error


def unreachable(name: str, error: OSError) -> VideoError:
    """The error for a source that is not there, or not for us."""
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


def open_container(name: str, excerpt: Excerpt, address: str | None = None, format: str | None = None) -> VideoReader:
    """The reader of a part of what FFmpeg opens; arguments and errors as of `open_input` and `open_video`."""
    container = open_input(name, address, format)
    stream = video_stream(container)
    if stream is None or container.format.name == "tty":  # FFmpeg draws text files as videos of a terminal
        container.close()
        raise VideoError(
            f"{name}: no video in it",
            expected="a file or address with a video stream; sound, cover art and text are none",
            do="check that this is the right source",
        )
    timeless = bool(container.format.flags & cast(int, Flags.no_timestamps.value)) or container.format.name.endswith(
        "_pipe"
    )
    if excerpt.fps is not None and not timeless:
        container.close()
        raise ConfigError(
            f"fps {excerpt.fps:g} for {name}, whose frames have their times",
            expected="--fps for sources without a clock, such as folders of frames",
            do="leave --fps out; --every takes fewer frames",
        )
    counts = Packets()
    if address is None and not URL.match(name) and _seek(container, stream, excerpt.start_s - RUN_UP_S):
        if _seek_went_well(container, stream, excerpt.start_s):
            _seek(container, stream, excerpt.start_s - RUN_UP_S)
            counts.skipped = True
        else:  # from the beginning, then
            container.close()
            container = open_input(name)
            stream = video_stream(container) or stream
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(4, os.cpu_count() or 1)  # the network needs the rest
    fps = excerpt.fps or float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
    duration_s = tagged_duration(stream) or (container.duration or 0) / av.time_base
    num_frames = stream.frames or round(duration_s * fps) or None
    frames, audio = _read_container(container, stream, fps, excerpt, counts), bool(container.streams.audio)
    return part_of(frames, name, fps, num_frames, audio, excerpt)


def _seek(container: InputContainer, stream: VideoStream, time_s: float) -> bool:
    """Go to the key frame before a time of the video, if the file knows where that is."""
    start_s = start_of(stream)
    if time_s <= 0 or start_s is None or not container.format.name.startswith(INDEXED):
        return False
    assert stream.time_base is not None, "a stream with a start has one"
    with suppress(av.FFmpegError):
        container.seek(int((float(start_s) + time_s) / stream.time_base), stream=stream)
    return True


def _seek_went_well(container: InputContainer, stream: VideoStream, time_s: float) -> bool:
    """Whether the next packet is of a key frame at or before that time."""
    start_s = float(start_of(stream) or 0)
    try:
        packet = next(iter(container.demux(stream)))
    except (av.FFmpegError, StopIteration):
        return False
    if not packet.size or packet.pts is None or packet.time_base is None:
        return False
    return packet.is_keyframe and float(packet.pts * packet.time_base) - start_s <= time_s


def _read_container(
    container: InputContainer, stream: VideoStream, fps: float, excerpt: Excerpt, counts: Packets
) -> FrameGenerator:
    decoded, count, time_s, next_s = 0, 0, 0.0, 0.0
    start_s = start_of(stream)
    origin = None if start_s is None else float(start_s)
    is_chosen = excerpt.picker()
    # Kept, for it builds its tables once. Its fast path rounds down, about one level in 255; exact flags cost ten times
    # the time.
    reformatter = VideoReformatter()
    with container:
        for frame in _decode(container, stream, counts):
            decoded += 1
            stamp = None if excerpt.fps else frame.time
            if stamp is None:  # raw streams have no clock
                time_s = next_s
            else:
                if origin is None or stamp - origin < time_s:  # no start, or the clock was set back: go on from here
                    origin = stamp - next_s
                time_s = stamp - origin
            next_s = time_s + 1 / fps
            if excerpt.ends_before(time_s):
                counts.ended = True
                break
            if is_chosen(time_s):
                yield Frame(count, time_s, _upright(frame, reformatter))
                count += 1
        return shortfall(stream, counts, decoded, next_s, fps)


def _decode(container: InputContainer, stream: VideoStream, counts: Packets) -> Iterator[av.VideoFrame]:
    for packet in _demux(container, stream, counts):
        counts.packets += bool(packet and packet.size)
        try:
            yield from stream.decode(packet)
        except av.FFmpegError:
            counts.failed += 1


def _demux(container: InputContainer, stream: VideoStream, counts: Packets) -> Iterator[av.Packet[VideoStream] | None]:
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
