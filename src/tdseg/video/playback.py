"""Files, streams, cameras and pipes on their way through the decoder: all of their frames, or a part."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from tdseg.errors import VideoError
from tdseg.video.answers import ENDED
from tdseg.video.container import open_input, start_of, video_stream
from tdseg.video.cut import is_cut
from tdseg.video.decoding import DecodingReport, decode
from tdseg.video.excerpt import Excerpt
from tdseg.video.extent import Extent, counted_extent, declared_extent, display_times
from tdseg.video.frame import Frame, FrameGenerator
from tdseg.video.promised import PromisedTime
from tdseg.video.reader import SourceFacts
from tdseg.video.tap import ByteTap

INDEXED = ("mov", "matroska")  # files that know where their key frames are, and whose clock is never set back
RUN_UP_S = 10.0  # decoded before the start of a part: some encoders call frames key frames that need a run-up


class Playback:
    """A container on its way through the decoder.

    Args:
        container: with the stream.
        stream: to decode.
        path: of a file, which can be counted; None for what can be read only once.
        excerpt: which of its frames.
        tap: of a pipe, from which the container reads.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        path: str | None,
        excerpt: Excerpt,
        tap: ByteTap | None = None,
    ) -> None:
        self._container, self._stream, self._path, self._excerpt, self._tap = container, stream, path, excerpt, tap
        self._ended = False
        self.format = container.format.name
        self._declared = declared_extent(container, stream)
        self._report = DecodingReport()
        self._aspect = Fraction(stream.sample_aspect_ratio or 1)
        self._audio = bool(container.streams.audio)
        self._has_length = container.size > 0
        self._promised: PromisedTime | None = None
        if self.format == "hls" and container.duration:
            self._promised = PromisedTime(container.duration / av.time_base, 1 / self._declared.fps)

    def about(self) -> SourceFacts:
        """What is known of it, after its first frame."""
        aspect = 1 / self._aspect if self._report.is_turned else self._aspect
        return SourceFacts(self._extent(), self._audio, aspect)

    def times(self) -> list[float] | None:
        """When its frames are shown, seconds; see `VideoReader.times`."""
        if self._path is None or not self.format.startswith(INDEXED) or self._is_cut():
            return None
        try:
            return display_times(self._path)
        except (OSError, VideoError):  # gone since
            return None

    def _extent(self) -> Extent:
        """Counted, where that is possible; of a file that is cut off, as declared."""
        if self._path is None or self._is_cut():
            return self._declared
        try:
            return counted_extent(self._path)
        except (OSError, VideoError):  # gone since
            return self._declared

    def _is_cut(self) -> bool:
        if self._tap:
            return self._tap.is_cut(self.format)
        try:
            return self._path is not None and is_cut(self._path, self.format)
        except OSError:
            return False

    def frames(self, deinterlace: bool) -> FrameGenerator:
        """Its frames; closes the container."""
        try:
            return (yield from self._frames(deinterlace))
        except InterruptedError:
            raise (self._tap and self._tap.interrupt) or KeyboardInterrupt from None

    def _frames(self, deinterlace: bool) -> FrameGenerator:
        stream, excerpt = self._stream, self._excerpt
        fps = excerpt.fps or self._declared.fps
        index, time_s, next_s = -1, 0.0, 0.0
        start_s = start_of(stream)
        origin = None if start_s is None else float(start_s)
        with self._container:
            for index, (stamp, image) in enumerate(
                decode(self._container, stream, self._report, self._is_cut, deinterlace=deinterlace)
            ):
                if stamp is None or excerpt.fps:  # raw streams have no clock
                    time_s = next_s
                else:
                    if origin is None or float(stamp) - origin < time_s:  # no start, or the clock was set back
                        origin = float(stamp) - next_s
                    time_s = float(stamp) - origin
                next_s = time_s + 1 / fps
                if self._promised:
                    self._promised.note(time_s)
                if excerpt.ends_before(time_s):
                    self._ended = True
                    break
                yield Frame(index, time_s, image)
            return self._shortfall(index + 1)

    def _shortfall(self, count: int) -> str | None:
        report = self._report
        short = self._path is None and report.packets < len(self._stream.index_entries)
        cut = not self._ended and (short or self._is_cut())
        missing = self._promised.shortfall if self._promised and not self._ended else None
        if not (cut or report.failed or missing or (report.stopped and not self._came_to_its_end(count))):
            return None
        declared = None if self._ended or self._excerpt.start else self._extent().num_frames
        parts = [f"{count} of {declared} declared frames came"] if declared and declared >= count else []
        if report.failed:
            parts.append(f"{report.failed} damaged packet{'s were' if report.failed > 1 else ' was'} skipped")
        if report.stopped:
            parts.append(f"reading stopped: {report.stopped}")
        elif cut:
            parts.append("the file is cut off")
        return "; ".join([*parts, *([missing] if missing else [])])

    def _came_to_its_end(self, count: int) -> bool:
        """Whether a connection ended where the video does; without a length, FFmpeg takes any end for a fault."""
        declared = self._declared.num_frames
        return self._report.stopped == ENDED and not self._has_length and declared is not None and count >= declared


def has_clock(container: InputContainer) -> bool:
    """Whether its frames have times of their own."""
    timeless = bool(container.format.flags & cast(int, Flags.no_timestamps.value))
    return not (timeless or container.format.name.endswith("_pipe"))


def sought(
    name: str, container: InputContainer, stream: VideoStream, start_s: float
) -> tuple[InputContainer, VideoStream]:
    """A file before a time from which decoding gives what decoding all of it gives: well before it, if that can be."""
    if not _seek(container, stream, start_s - RUN_UP_S):
        return container, stream
    if _seek_went_well(container, stream, start_s):
        _seek(container, stream, start_s - RUN_UP_S)
        return container, stream
    container.close()  # from the beginning, then
    container = open_input(name)
    return container, video_stream(container) or stream


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
