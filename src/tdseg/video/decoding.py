"""The frames of a picture stream: each upright, whole and at its time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from time import monotonic
from typing import NamedTuple

import av
import numpy as np
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tdseg.video.answers import breaking_off
from tdseg.video.container import has_display_times
from tdseg.video.pictures import RGB

_TELLING = frozenset({"avi", "flv", "ivf", "mov,mp4,m4a,3gp,3g2,mj2"})
"""Containers that say how long a packet is: of these, FFmpeg marks one that is not whole."""
_UNTOLD = frozenset({"mpeg", "mpegts", "nut"})
"""Of these it does not, and the marks of the decoder's pictures come too late where it has threads of whole frames."""
_ONE_FOR_ONE = "mode=send_frame:parity=auto:deint=interlaced"
"""Of FFmpeg's bwdif: a frame for each frame, and those that are not interlaced as they are."""


@dataclass
class DecodingReport:
    """How the decoding of a stream went so far."""

    packets: int = 0
    failed: int = 0
    """Packets that could not be decoded, or that the end has torn."""
    stopped: str | None = None
    """What ended it early."""
    is_turned: bool = False
    """Frames were turned by a quarter, so that what was their width is their height."""


class _Orientation:
    """How a frame lies: the rotation and flips that its source asks for."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._matrix: tuple[int, int, int, int] | None = None
        self._turns = 0
        try:
            a, b, _, c, d = np.frombuffer(frame.side_data["DISPLAYMATRIX"], np.int32)[:5]  # type: ignore[typeddict-item]
        except KeyError:
            pass
        except ValueError:  # PyAV cannot name the side data of pictures with EXIF, nor anything beside it
            self._turns = round(frame.rotation / 90)
        else:
            self._matrix = int(a), int(b), int(c), int(d)

    @property
    def is_turned(self) -> bool:
        """By a quarter, one way or the other."""
        return self._turns % 2 == 1 or (self._matrix is not None and abs(self._matrix[1]) > abs(self._matrix[0]))

    def apply(self, image: NDArray[np.uint8]) -> RGB:
        """The picture, upright."""
        if self._matrix:  # the pixel at (x, y) is shown at (ax + cy, bx + dy), up to a shift
            a, b, c, d = self._matrix
            if abs(b) > abs(a):
                image = image.swapaxes(0, 1)
                a, d = c, b
            image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
        return np.ascontiguousarray(np.rot90(image, self._turns))


class _Shown(NamedTuple):
    """A frame as it was decoded."""

    time: Fraction | None
    """Seconds of the source's clock."""
    orientation: _Orientation
    frame: av.VideoFrame


class _Clock:
    """When the frames are shown, in seconds of the source's clock.

    Where packets have no such times, frames have those of their order: the n-th that is shown the n-th that is sent.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._stream = stream
        self._by_display = has_display_times(container, stream)
        self._sent: list[int] = []

    def send(self, packet: av.Packet[VideoStream]) -> None:
        """Note a packet that goes to the decoder."""
        if not self._by_display and packet.dts is not None:
            heapq.heappush(self._sent, packet.dts)

    def time(self, frame: av.VideoFrame) -> Fraction | None:
        """The time of the next frame that was decoded; None for raw streams."""
        base = frame.time_base or self._stream.time_base
        if self._by_display or base is None:
            return None if frame.pts is None or base is None else frame.pts * base
        if frame.dts is not None:  # of frames that were lost the times are left over
            waiting = sum(stamp <= frame.dts for stamp in self._sent) - 1 - self._stream.codec_context.reorder_depth
            for _ in range(waiting):
                heapq.heappop(self._sent)
        return heapq.heappop(self._sent) * base if self._sent else None


class _Deinterlacer:
    """Frames of two fields made whole, one for one."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self.form = _form(frame)
        self._graph = graph = av.filter.Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
        )
        graph.link_nodes(source, graph.add("bwdif", _ONE_FOR_ONE), graph.add("buffersink")).configure()
        self._count = 0
        self._inside: deque[_Shown] = deque()

    def push(self, shown: _Shown | None) -> Iterator[_Shown]:
        """Those that are ready, in order, after another or, for None, after the last."""
        if shown is not None:
            shown.frame.pts, self._count = self._count, self._count + 1
            self._inside.append(shown)
        self._graph.vpush(shown and shown.frame)
        while True:
            try:
                whole = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield self._inside.popleft()._replace(frame=whole)


def _form(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _whole(frames: Iterable[_Shown]) -> Iterator[_Shown]:
    """The frames, those deinterlaced that are flagged as interlaced, and what follows them."""
    fields: _Deinterlacer | None = None
    for shown in frames:
        if fields and fields.form != _form(shown.frame):
            yield from fields.push(None)
            fields = None
        if fields is None and shown.frame.interlaced_frame:
            fields = _Deinterlacer(shown.frame)
        if fields:
            yield from fields.push(shown)
        else:
            yield shown
    if fields:
        yield from fields.push(None)


def decode(
    container: InputContainer,
    stream: VideoStream,
    report: DecodingReport,
    is_cut: Callable[[], bool],
    *,
    deinterlace: bool,
) -> Iterator[tuple[Fraction | None, RGB]]:
    """(time, picture) of each frame: seconds of the source's clock, None for raw streams, and uint8 (H, W, 3) RGB.

    A last picture that the end of the source has torn is none.

    Args:
        container: read to its end.
        stream: of it.
        report: kept up to date.
        is_cut: asked at the end, whether the source should go on there.
        deinterlace: make frames whole that are flagged as interlaced.
    """
    # Kept, for it builds its tables once. Its fast path rounds down, about one level in 255; exact flags cost ten times
    # the time.
    reformatter = VideoReformatter()
    frames = _decoded(container, stream, report, is_cut)
    for time, orientation, frame in _whole(frames) if deinterlace else frames:
        report.is_turned = orientation.is_turned
        image = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        yield time, orientation.apply(np.asarray(image, np.uint8))


def _decoded(
    container: InputContainer, stream: VideoStream, report: DecodingReport, is_cut: Callable[[], bool]
) -> Iterator[_Shown]:
    clock, patience_s, last_s = _Clock(container, stream), container.read_timeout, monotonic()
    newest: int | None = None
    held: list[_Shown] = []  # the newest picture, where it is not whole, and those that are shown after it
    for packet in _packets(container, stream, report, is_cut):
        if packet and packet.size:
            report.packets += 1
            clock.send(packet)
            yield from held
            held, newest = [], packet.pts
        try:
            for frame in stream.decode(packet):
                shown = _Shown(clock.time(frame), _Orientation(frame), frame)
                if held or _is_torn(frame, newest):
                    held.append(shown)
                else:
                    yield shown
                last_s = monotonic()
        except av.FFmpegError:
            report.failed += 1
        if packet and patience_s is not None and monotonic() - last_s > patience_s:  # something comes, for ever
            report.stopped = f"no picture for {patience_s:g} s"
            break
    for shown in held:
        if _is_torn(shown.frame, newest):
            report.failed += 1
        else:
            yield shown


def _is_torn(frame: av.VideoFrame, newest: int | None) -> bool:
    """Whether it lacks a part and is of the newest packet, which may have no more than that."""
    return frame.is_corrupt and frame.pts is not None and frame.pts == newest


def _packets(
    container: InputContainer, stream: VideoStream, report: DecodingReport, is_cut: Callable[[], bool]
) -> Iterator[av.Packet[VideoStream] | None]:
    """Those to decode; the last one flushes the decoder. One that is cut short by the end, or may be, is none."""
    is_untold = container.format.name in _UNTOLD and stream.thread_type != ThreadType.SLICE
    last: av.Packet[VideoStream] | None = None
    for packet in _demux(container, stream, report):
        is_end = packet is None or not packet.size
        if last is not None:
            is_marked = last.is_corrupt and (report.stopped or container.format.name in _TELLING)
            if is_end and is_marked:
                report.failed += 1
            elif not (is_end and is_untold and (report.stopped or is_cut())):
                yield last
            last = None
        if packet is not None and not is_end and (packet.is_corrupt or is_untold):
            last = packet
        else:
            yield packet


def _demux(
    container: InputContainer, stream: VideoStream, report: DecodingReport
) -> Iterator[av.Packet[VideoStream] | None]:
    timeout_s = None if container.read_timeout is None else float(container.read_timeout)
    try:
        yield from container.demux(stream)  # the last packet is empty and flushes the decoder
    except av.FFmpegError as error:
        report.stopped = breaking_off(error, timeout_s)
        yield None  # flushes likewise
