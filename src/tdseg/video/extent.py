"""How many frames a video has and how long it is: as it declares itself, or counted, which is right for every file."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from tdseg.video.container import has_display_times, open_input, start_of, video_stream
from tdseg.video.excerpt import CLOSE_S

FALLBACK_FPS = 25.0  # of sources that know none, such as folders of images
_DECLARED_RATE = 0.01
"""Relative difference up to which a declared rate is taken for what was counted: times are often rounded to ms."""


class Extent(NamedTuple):
    """The length of a video."""

    num_frames: int | None
    """Frames that are shown; None where unknown."""
    fps: float
    """Average frames per second; 25 where unknown."""
    duration_s: float | None
    """From the first frame to the end of the last, seconds; None where unknown."""


def declared_extent(container: InputContainer, stream: VideoStream) -> Extent:
    """The length by the headers alone; the number of frames may be an estimate."""
    fps = float(stream.average_rate or stream.guessed_rate or FALLBACK_FPS)
    duration_s = _declared_duration(container, stream) or (container.duration or 0) / av.time_base
    return Extent(stream.frames or round(duration_s * fps) or None, fps, None)


def counted_extent(path: str) -> Extent:
    """The length of a file by its packets, which are read but not decoded; counted once as long as it is the same.

    Raises:
        VideoError: it cannot be opened, or holds no video.
        OSError: it is not there any more.
    """
    stat = os.stat(path)
    return _count(os.path.realpath(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(1024)
def _count(path: str, size: int, mtime_ns: int) -> Extent:
    with open_input(path) as container:
        stream = video_stream(container)
        if stream is None or stream.time_base is None:
            return Extent(None, FALLBACK_FPS, None)
        shown = _shown(container, stream)
        declared = declared_extent(container, stream)
        known = [(stamp, duration) for stamp, duration in shown if stamp is not None]
        if len(known) < len(shown) or not shown:  # raw streams have no clock
            fps = declared.fps
            return Extent(len(shown) or None, fps, len(shown) / fps or None)
        first, last = min(known)[0], max(known)[0]
        fps = _rate(len(shown), (last - first) * stream.time_base, declared.fps)
        start = start_of(stream)
        start = first * stream.time_base if start is None else start
        usual = Fraction(1 / fps) / stream.time_base
        end_s = float(max(stamp + (duration or usual) for stamp, duration in known) * stream.time_base - start)
        return Extent(len(shown), fps, max(end_s, _declared_duration(container, stream) or 0.0))


def display_times(path: str) -> list[float] | None:
    """When each frame of a file is shown, in seconds from its start, in order; None where two share a time, or one has
    none or comes before the start.

    Raises:
        VideoError: it cannot be opened, or holds no video.
    """
    with open_input(path) as container:
        stream = video_stream(container)
        start = None if stream is None else start_of(stream)
        if stream is None or stream.time_base is None or start is None:
            return None
        stamps = sorted(stamp for stamp, _ in _shown(container, stream) if stamp is not None)
        times = [float(stamp * stream.time_base) - float(start) for stamp in stamps]
    apart = all(later - earlier > 2 * CLOSE_S for earlier, later in pairwise(times))
    return times if times and times[0] >= 0 and apart else None


def _shown(container: InputContainer, stream: VideoStream) -> list[tuple[int | None, int]]:
    """(time, duration), in units of the stream, of each packet that gives a frame.

    Edit lists hide some; VP8 has pictures that others are only made from; and what needs a key frame that is not there,
    at the start of a recording, cannot be decoded.
    """
    by_display, packets = has_display_times(container, stream), list[tuple[int | None, int]]()
    key: int | None = None
    is_vp8, begun = stream.codec_context.name == "vp8", False
    before = list[tuple[int | None, int]]()
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            stamp = packet.pts if by_display and packet.pts is not None else packet.dts
            if packet.is_keyframe and not begun:
                begun, key = True, stamp if by_display else None
            hidden = packet.is_discard or (is_vp8 and not memoryview(packet)[0] & 0x10)
            early = not begun or (key is not None and stamp is not None and stamp < key)
            if not hidden:
                (before if early else packets).append((stamp, packet.duration or 0))
    except av.FFmpegError:
        pass  # the rest is damaged, and the reader will say so
    return packets or before  # where no packet is marked as one, all are


def _rate(frames: int, span_s: Fraction, declared: float) -> float:
    """Average frames per second, from the first time to the last."""
    if frames < 2 or not span_s:
        return declared
    fps = float((frames - 1) / span_s)
    return declared if abs(fps - declared) <= _DECLARED_RATE * fps else fps


def _declared_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds of the stream, by what does not count the sound as the duration of a container does."""
    if container.format.name == "avi" and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None
