"""Videos of the same encoder put one after the other without another loss, and the sound of their source."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from tdseg.errors import VideoError, first_line
from tdseg.files import unwritable
from tdseg.video.container import open_input, start_of, video_stream
from tdseg.video.writer import MAX_TICKS

COPIED_AUDIO = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})  # what players take inside an mp4


def join_videos(
    pieces: Sequence[tuple[Path, float]],
    output: Path,
    *,
    audio_from: str | Path | None = None,
    audio_start_s: float = 0.0,
) -> str | None:
    """Write videos as one; their frames are not encoded again.

    Args:
        pieces: files of one writer, one size and one rate, none empty; and the time at which each begins, seconds.
            Frames that come no later than those before follow them at once.
        output: the file to write, in the format of the pieces.
        audio_from: a video file or URL whose sound is added, for as long as there are frames. It is copied where an
            mp4 may hold it, else encoded as AAC. A source without sound adds none; damaged sound ends where it does.
        audio_start_s: time in that source at which the sound begins, seconds from the start of its video.

    Returns:
        What is wrong with the sound, if anything is.

    Raises:
        OutputError: a piece cannot be read, or the file not be written.
        VideoError: ``audio_from`` cannot be opened, or its sound not be read.
    """
    sound = None if audio_from is None else open_input(str(audio_from))
    try:
        with av.open(f"file:{pieces[0][0]}") as first:
            format = "mp4" if "mp4" in first.format.name else "matroska"
            exact = {"fflags": "+bitexact"}  # no numbers by chance: a video that is made again is the same
            with av.open(f"file:{output}", "w", format=format, container_options=exact) as joined:
                video = joined.add_stream_from_template(first.streams.video[0])
                video.time_base = first.streams.video[0].time_base
                audio = _Audio(sound, joined, audio_start_s) if sound and sound.streams.audio else None
                joined.start_encoding()
                end_s = 0.0
                for packet in _packets(pieces):
                    begin_s = float(packet.pts * packet.time_base)  # type: ignore[operator]  # a writer gives times
                    end_s = begin_s + float((packet.duration or 0) * packet.time_base)
                    packet.stream = video
                    joined.mux(packet)
                    if audio:
                        audio.mux_until(begin_s)
                if audio:
                    audio.mux_until(end_s)
                    audio.close()
                return audio.problem if audio else None
    except av.FFmpegError as error:
        raise unwritable(output, error) from error
    finally:
        if sound:
            sound.close()


def _packets(pieces: Sequence[tuple[Path, float]]) -> Iterator[av.Packet[VideoStream]]:
    """Those of all the pieces, in the times of the whole."""
    last: int | None = None
    for path, begins_s in pieces:
        with av.open(f"file:{path}") as piece:
            stream = piece.streams.video[0]
            assert stream.time_base is not None, "a writer gives times"
            shift = round(Fraction(begins_s) / stream.time_base)
            for packet in piece.demux(stream):
                if packet.pts is None:  # the last one is empty
                    continue
                pts = packet.pts + shift
                if last is not None:
                    pts = min(max(pts, last + 1), last + MAX_TICKS)
                packet.pts = packet.dts = last = pts
                yield packet


class _Audio:
    """The sound of a source as packets of the output, in step with the frames."""

    def __init__(self, source: InputContainer, output: OutputContainer, start_s: float) -> None:
        self.problem: str | None = None
        self._source, self._output = source, output
        self._stream = source.streams.audio[0]
        picture = video_stream(source)
        self._start_s = ((picture and start_of(picture)) or Fraction(0)) + Fraction(start_s)
        try:
            if self._stream.codec_context.codec.canonical_name in COPIED_AUDIO:
                self._out = output.add_stream_from_template(self._stream)
                self._packets = self._copy()
            else:
                rates, layout = (
                    av.Codec("aac", "w").audio_rates or (),
                    "mono" if self._stream.channels == 1 else "stereo",
                )
                rate = self._stream.rate if self._stream.rate in rates else 48_000
                self._out = output.add_stream("aac", rate=rate, layout=layout)
                self._packets = self._encode()
        except (av.FFmpegError, ValueError, AttributeError) as error:  # of a codec that is not known, or without rate
            raise VideoError(
                f"its sound cannot be read: {first_line(error)}",
                expected="sound in a codec that FFmpeg knows",
                do="convert it, or do without",
            ) from error
        self._next: av.Packet[AudioStream] | None = None

    def mux_until(self, time_s: float) -> None:
        """Mux what starts before ``time_s`` seconds; not before the header is written, for encoding needs the codec."""
        while True:
            if self._next is None:
                try:
                    self._next = next(self._packets, None)
                except (av.FFmpegError, ValueError) as error:  # damaged, or changing its format: the sound ends there
                    self.problem = f"the sound ends early: {first_line(error)}"
            if self._next is None or (self._next.pts or 0) * self._next.time_base >= time_s:
                return
            self._output.mux(self._next)
            self._next = None

    def close(self) -> None:
        self._packets.close()
        self._source.close()

    def _copy(self) -> Generator[av.Packet[AudioStream], None, None]:
        for packet in self._source.demux(self._stream):
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(self._start_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.pts + (packet.duration or 1) > 0:  # else it was over before the first frame
                packet.stream = self._out
                yield packet

    def _encode(self) -> Generator[av.Packet[AudioStream], None, None]:
        for packet in self._source.demux(self._stream):
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:  # a damaged packet is silence
                continue
            for frame in frames:
                if frame.pts is None or frame.time_base is None:
                    continue
                frame.pts -= round(self._start_s / frame.time_base)
                if frame.pts * frame.time_base + Fraction(frame.samples, frame.sample_rate) > 0:
                    yield from self._out.encode(frame)
        yield from self._out.encode(None)
