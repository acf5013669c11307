"""One picture of a video, and those that picture files give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from tdseg.errors import DataError, VideoError
from tdseg.video.animation import animated_frames
from tdseg.video.pictures import RGB, read_image


class Frame(NamedTuple):
    """One picture of a video."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    """Count of the frames delivered before it, from 0."""
    time_s: float
    """Presentation time in seconds from the start of the video; never smaller than the previous frame's."""
    image: RGB
    """uint8 (H, W, 3) RGB, upright: the source's rotation is applied."""
    arrived_s: float | None = None
    """When it came from a live source, by `time.perf_counter()`; None where that means nothing, as with files."""
    part: int = 0
    """Frames of one part follow each other; between parts a live source was away, or silent."""
    name: str | None = None
    """Of the image file that it is, without suffix where that is enough, different on every disk from all others."""


FrameGenerator = Generator[Frame, None, "str | None"]  # returns why fewer frames came than were declared, or None


def names_of(paths: list[Path]) -> list[str] | None:
    """Names for what is made of image files, all different on every disk; None where they have none.

    Without suffix where it is the only one so called.
    """
    stems = Counter(path.stem.casefold() for path in paths)
    names = [path.stem if stems[path.stem.casefold()] == 1 else path.name for path in paths]
    return names if len({name.casefold() for name in names}) == len(names) else None


def read_images(paths: list[Path], wanted: list[int], fps: float) -> FrameGenerator:
    """The frames of some of the image files of a folder, with their names, where they have names.

    Raises:
        VideoError: none can be read; for the reason that the first has.
    """
    count, known = 0, names_of(paths)
    unread: DataError | None = None
    for position in wanted:
        path = paths[position]
        try:
            image = read_image(path)
        except DataError as error:
            unread = unread or DataError(
                error.got.replace(str(path), path.name, 1), expected=error.expected, do=error.do
            )
            continue
        yield Frame(count, position / fps, image, name=known[position] if known else None)
        count += 1
    if unread is None:
        return None
    problem = f"{count} of {len(wanted)} images came; the first that did not is {unread.got}"
    if not count:
        raise VideoError(f"{paths[0].parent}: {problem}", expected=unread.expected, do=unread.do)
    return problem


def read_animation(path: Path, places: list[int], durations: list[float]) -> FrameGenerator:
    """The frames at some places of a picture file, each shown so many seconds.

    Raises:
        VideoError: the first cannot be read.
    """
    count = 0
    try:
        for time_s, image in zip(accumulate(durations, initial=0.0), animated_frames(path, places), strict=False):
            yield Frame(count, time_s, image)
            count += 1
    except DataError as error:
        if not count:
            raise VideoError(error.got, expected=error.expected, do=error.do) from None
        return f"{count} of {len(places)} pictures came; {error.got}"
    return None
