"""Any source as upright RGB frames with their times.

Decoding is FFmpeg's, through PyAV; image files are read by `pictures`. Colours follow the tags of the source (matrix
and range; BT.601 limited where it has none, as in FFmpeg); transparency is dropped, and more than 8 bits are reduced to
8 without tone mapping.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from tdseg.errors import ConfigError, DataError, VideoError
from tdseg.video.address import is_camera, is_http, is_pattern, is_url, matching_images, printable
from tdseg.video.animation import animation_of
from tdseg.video.container import (
    BOUNDS,
    LIVE_FORMATS,
    MOST_PIXELS,
    URL_TIMEOUT_S,
    open_input,
    unreachable,
    video_stream,
)
from tdseg.video.excerpt import Excerpt
from tdseg.video.extent import FALLBACK_FPS, Extent, declared_extent
from tdseg.video.frame import FrameGenerator, read_animation, read_images
from tdseg.video.pictures import IMAGE_SUFFIXES, images_in, is_image
from tdseg.video.playback import Playback, has_clock, sought
from tdseg.video.reader import SourceFacts, VideoReader
from tdseg.video.tap import ByteTap
from tdseg.video.waiting import waited_for

PIPE = "pipe:0"
WHOLE = Excerpt()
ENDLESS = LIVE_FORMATS | {"hls"}
"""Of what is live over HTTP: what is no film that a server sends from its beginning, whenever it is asked for it."""


def open_video(
    source: str | Path | int,
    excerpt: Excerpt = WHOLE,
    *,
    deinterlace: bool = True,
    timeout_s: float = URL_TIMEOUT_S,
    alone: bool = False,
) -> VideoReader:
    """Open a video, or a part of it, and decode the first frame of that.

    Args:
        source: a video or image file, animated or a still; a folder of images, played in natural order (2 before 10),
            of animated ones the first picture; a pattern of images, ``frames/%05d.png`` or ``frames/*.png``; a camera
            index (an int, or digits that are no file or folder; Linux V4L2); a URL (http, rtsp, …); or ``-``: any
            video, or images one after the other, on stdin.
        excerpt: which of its frames, the very ones that decoding all of it gives; each keeps its time.
        deinterlace: make frames whole that are flagged as interlaced.
        timeout_s: how long a URL may stay silent, or send what gives no picture, seconds.
        alone: open nothing else for a video file or URL: no playlist is one then, and no server may send on to another;
            and decode no frame of more than 33 million pixels.

    Raises:
        VideoError: the source is missing, unreadable, not a video, or holds no picture, or none at the times asked for.
        ConfigError: frames per second for a source that has a clock.
    """
    return waited_for(lambda: _open(source, excerpt, deinterlace, timeout_s, alone))


def _open(source: str | Path | int, excerpt: Excerpt, deinterlace: bool, timeout_s: float, alone: bool) -> VideoReader:
    name = str(source)
    if is_camera(source):
        return _open_container(f"camera {name}", f"/dev/video{name}", "v4l2", excerpt=excerpt, deinterlace=deinterlace)
    if not isinstance(source, Path):
        if name == "-":
            return _open_container("stdin", PIPE, excerpt=excerpt, deinterlace=deinterlace)
        if is_url(name):
            return _open_container(name, excerpt=excerpt, deinterlace=deinterlace, timeout_s=timeout_s, alone=alone)
    path = Path(name)
    try:
        if os.path.isdir(path):  # unlike Path.is_dir, False where it may not look
            return _open_images(name, images_in(path), excerpt)
        if is_pattern(source):
            return _open_images(name, matching_images(name), excerpt)
        if is_image(path):
            os.stat(path)
            return _open_picture(name, path, excerpt)
    except OSError as error:
        raise unreachable(name, error) from error
    return _open_container(name, excerpt=excerpt, deinterlace=deinterlace, alone=alone)


# --- files, streams, cameras, pipes ---------------------------------------------------------------------------------


def _open_container(
    name: str,
    address: str | None = None,
    format: str | None = None,
    *,
    excerpt: Excerpt,
    deinterlace: bool,
    timeout_s: float = URL_TIMEOUT_S,
    alone: bool = False,
) -> VideoReader:
    tap = _tap(name, address)
    container = open_input(name, address, format, timeout_s=timeout_s, alone=alone, tap=tap)
    stream = video_stream(container)
    if stream is not None and stream.disposition & Disposition.dependent:  # which FFmpeg decodes one by one
        count = len(container.streams.video)
        container.close()
        raise VideoError(
            f"{printable(name)}: a picture in tiles, {count} parts",
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
    if excerpt.fps is not None and has_clock(container):
        container.close()
        raise _has_times(printable(name), excerpt)
    if alone:
        _bound(container, stream, name)
    path = name if address is None and os.path.isfile(name) else None
    if path:
        container, stream = sought(path, container, stream, excerpt.start_s)
    is_live = tap is None and path is None and declared_extent(container, stream).num_frames is None
    stream.thread_type = "SLICE" if is_live else "AUTO"  # threads of whole frames would each keep one back
    stream.codec_context.thread_count = min(4, os.cpu_count() or 1)  # the network needs the rest
    source = Playback(container, stream, path, excerpt, tap)
    try:
        reader = _part(source.frames(deinterlace), printable(name), source.about, excerpt, source.times)
    except VideoError:
        if tap and "mp4" in source.format:
            raise VideoError(
                f"{name}: an mp4 with its index at the end, which a pipe gives too late",
                expected="the file itself, or on a pipe an mp4 that begins with its index",
                do="give the path, or move the index: ffmpeg -i in.mp4 -c copy -movflags +faststart out.mp4",
            ) from None
        raise
    reader.is_live = is_live
    reader.is_endless = is_live and (not is_http(name) or container.format.name in ENDLESS)
    return reader


def _tap(name: str, address: str | None) -> ByteTap | None:
    """Stdin or a named pipe, to be read once."""
    if address != PIPE and (address is not None or not _is_pipe(name)):
        return None
    try:
        return ByteTap(0 if address == PIPE else name)
    except OSError as error:
        raise unreachable(name, error) from error


def _is_pipe(name: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except OSError:
        return False


def _bound(container: InputContainer, stream: VideoStream, name: str) -> None:
    """See to it that no frame is too large, by what the source says and in the decoder, whose frames may grow later.

    Raises:
        VideoError: they are from the start.
    """
    if stream.width * stream.height > MOST_PIXELS:
        size = f"{stream.width}×{stream.height}"
        container.close()
        raise VideoError(
            f"{printable(name)}: frames of {size} pixels",
            expected=f"up to {MOST_PIXELS // 10**6} million pixels",
            do="make the video smaller",
        )
    stream.codec_context.options = BOUNDS


# --- images ---------------------------------------------------------------------------------------------------------


def _open_images(name: str, paths: list[Path], excerpt: Excerpt) -> VideoReader:
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
    fps = excerpt.fps or FALLBACK_FPS
    times = [position / fps for position in range(len(paths))]
    wanted = excerpt.chosen(times)  # others need not be read
    if not wanted:
        raise _outside(name, excerpt)
    facts = SourceFacts(Extent(len(wanted), fps / excerpt.every, min(len(paths) / fps, excerpt.end_s)))
    wanted_times = [times[position] for position in wanted]
    return VideoReader(read_images(paths, wanted, fps), name, lambda: facts, lambda: wanted_times)


def _open_picture(name: str, path: Path, excerpt: Excerpt) -> VideoReader:
    try:
        places, durations = animation_of(path)
    except DataError as error:
        raise VideoError(error.got, expected=error.expected, do=error.do) from None
    if durations and excerpt.fps is not None:
        raise _has_times(name, excerpt)
    fps = len(durations) / sum(durations) if durations else excerpt.fps or FALLBACK_FPS
    times = durations or [1 / fps] * len(places)
    extent = Extent(len(places), fps, sum(times))
    return _part(read_animation(path, places, times), name, lambda: SourceFacts(extent), excerpt)


# --- parts ----------------------------------------------------------------------------------------------------------


def _part(
    frames: FrameGenerator,
    name: str,
    facts: Callable[[], SourceFacts],
    excerpt: Excerpt,
    times: Callable[[], list[float] | None] = lambda: None,
) -> VideoReader:
    """The reader of a part of a video, given its frames and, as of `VideoReader`, what is known of the whole.

    Raises:
        VideoError: there are none.
    """
    if excerpt == WHOLE:
        return VideoReader(frames, name, facts, times)
    try:
        return VideoReader(
            _chosen(frames, excerpt),
            name,
            lambda: _facts_of_part(facts(), excerpt),
            lambda: None if (known := times()) is None else [known[index] for index in excerpt.chosen(known)],
        )
    except VideoError as error:
        if excerpt.start is None or not error.got.endswith(": no frame could be decoded"):  # it knows the reason
            raise
        raise _outside(name, excerpt) from error


def _outside(name: str, excerpt: Excerpt) -> VideoError:
    end = "" if excerpt.end is None else f" and before {excerpt.end}"
    return VideoError(
        f"{name}: no frame from {excerpt.start or 0} on{end}",
        expected="a part of the video",
        do="choose an earlier --start; times count from the start of the video",
    )


def _chosen(frames: FrameGenerator, excerpt: Excerpt) -> FrameGenerator:
    """The frames of an excerpt, counted anew."""
    is_chosen, count = excerpt.picker(), 0
    with closing(frames):
        while True:
            try:
                frame = next(frames)
            except StopIteration as end:
                return None if end.value is None else str(end.value)
            if excerpt.ends_before(frame.time_s):
                return None
            if is_chosen(frame.time_s):
                yield frame._replace(index=count)
                count += 1


def _facts_of_part(facts: SourceFacts, excerpt: Excerpt) -> SourceFacts:
    count, fps, duration_s = facts.extent
    fps = excerpt.fps or fps
    expected = None if count is None else excerpt.expected(count, fps)
    end_s = None if duration_s is None else min(duration_s, excerpt.end_s)
    return facts._replace(extent=Extent(expected, fps / excerpt.every, end_s))


def _has_times(name: str, excerpt: Excerpt) -> ConfigError:
    return ConfigError(
        f"fps {excerpt.fps:g} for {name}, whose frames have their times",
        expected="--fps for sources without a clock, such as folders of frames",
        do="leave --fps out; --every takes fewer frames",
    )
