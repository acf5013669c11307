"""One picture of a video, and those that picture files give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from tdseg.errors import DataError
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


FrameGenerator = Generator[Frame, None, "str | None"]  # returns why fewer frames came than were declared, or None


def names_of(paths: list[Path]) -> list[str] | None:
    """Names for what is made of image files, all different on every disk; None where they have none.

    Without suffix where it is the only one so called.
    """
    stems = Counter(path.stem.casefold() for path in paths)
    names = [path.stem if stems[path.stem.casefold()] == 1 else path.name for path in paths]
    return names if len({name.casefold() for name in names}) == len(names) else None


def read_images(paths: list[Path], names: list[str] | None, fps: float) -> FrameGenerator:
    """The frames of image files; each that can be read adds its name, where they have names."""
    count, unread, known = 0, [], names_of(paths)
    for position, path in enumerate(paths):
        try:
            image = read_image(path)
        except DataError as error:
            unread.append(error.got.replace(str(path), path.name, 1))
            continue
        if names is not None and known is not None:
            names.append(known[position])
        yield Frame(count, position / fps, image)
        count += 1
    if not unread:
        return None
    return f"{count} of {len(paths)} images came; the first that did not is {unread[0]}"


def read_animation(path: Path, places: list[int], durations: list[float]) -> FrameGenerator:
    """The frames at some places of a picture file, each shown so many seconds."""
    count = 0
    try:
        for time_s, image in zip(accumulate(durations, initial=0.0), animated_frames(path, places), strict=False):
            yield Frame(count, time_s, image)
            count += 1
    except DataError as error:
        return f"{count} of {len(places)} pictures came; {error.got}"
    return None
