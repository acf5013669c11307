"""Any source as upright RGB frames with their times.

Decoding is FFmpeg's, through PyAV; image files are read by `pictures`. Colours follow the tags of the source (matrix
and range; BT.601 limited where it has none, as in FFmpeg); transparency is dropped, and more than 8 bits are reduced to
8 without tone mapping.
"""

from __future__ import annotations

import os
from pathlib import Path

from tdseg.errors import DataError, VideoError
from tdseg.video.container import URL, open_container, unreachable
from tdseg.video.excerpt import Excerpt
from tdseg.video.pictures import IMAGE_SUFFIXES, images_in, is_image, read_image
from tdseg.video.reader import FALLBACK_FPS, Frame, FrameGenerator, VideoReader, part_of

WHOLE = Excerpt()


def open_video(source: str | Path | int, excerpt: Excerpt = WHOLE) -> VideoReader:
    """Open a video, or a part of it, and decode the first frame of that.

    Args:
        source: a video or image file; a folder of images, played in natural order (2 before 10); a camera index (an int
            or digits; Linux V4L2); a URL (http, rtsp, …); or ``-``: any video, or images one after the other, on stdin.
        excerpt: which of its frames, the very ones that decoding all of it gives; each keeps its time.

    Raises:
        VideoError: the source is missing, unreadable, not a video, or holds no picture, or none at the times asked for.
        ConfigError: frames per second for a source that has a clock.
    """
    name = str(source)
    if not isinstance(source, Path):
        if name == "-":
            return open_container("stdin", excerpt, "pipe:0")
        if name.isdecimal():
            return open_container(f"camera {name}", excerpt, f"/dev/video{name}", "v4l2")
        if URL.match(name):
            return open_container(name, excerpt)
    path = Path(name)
    if os.path.isdir(path):  # unlike Path.is_dir, False where it may not look
        try:
            return _open_images(name, images_in(path), excerpt)
        except OSError as error:
            raise unreachable(name, error) from error
    return _open_images(name, [path], excerpt) if is_image(path) else open_container(name, excerpt)


def _open_images(name: str, paths: list[Path], excerpt: Excerpt) -> VideoReader:
    if not paths:
        raise VideoError(
            f"{name}: a folder without images",
            expected=f"a folder of frames ({', '.join(sorted(IMAGE_SUFFIXES))})",
            do="give the folder that holds the frames themselves, or a video file",
        )
    fps = excerpt.fps or FALLBACK_FPS
    return part_of(_read_images(paths, fps, excerpt), name, fps, len(paths), False, excerpt)


def _read_images(paths: list[Path], fps: float, excerpt: Excerpt) -> FrameGenerator:
    count, asked, unread, is_chosen = 0, 0, [], excerpt.picker()
    for position, path in enumerate(paths):
        time_s = position / fps
        if excerpt.ends_before(time_s):
            break
        if not is_chosen(time_s):
            continue
        asked += 1
        try:
            image = read_image(path)
        except DataError as error:
            unread.append(error.got.replace(str(path), path.name, 1))
            continue
        yield Frame(count, time_s, image)
        count += 1
    if not unread:
        return None
    return f"{count} of {asked} images came; the first that did not is {unread[0]}"
