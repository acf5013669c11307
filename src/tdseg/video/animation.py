"""Pictures that move: the frames of animated PNG, WebP and AVIF, and the pages of TIFF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from PIL import Image

from tdseg.video.pictures import RGB, open_image, upright_rgb

MOVING = frozenset({"AVIF", "PNG", "TIFF", "WEBP"})
"""Formats whose further pictures are frames. Those of a JPEG are its previews and depths; GIF is FFmpeg's."""
SUBFILE_TYPE = 254
"""TIFF tag of what a page is."""
COPY = 1 | 4
"""Bits of it: a smaller copy of another page, or its transparency."""


class Animation(NamedTuple):
    """The frames of a picture file, and their times."""

    places: list[int]
    """Of its frames in the file; one for a still."""
    durations: list[float] | None
    """Seconds that each is shown, all above 0; None where the file has no times."""


def animation_of(path: Path) -> Animation:
    """The frames of a picture file. Where each has its time beside its pixels, all are decoded for that.

    Raises:
        DataError: the file is missing, or no image.
    """
    with open_image(path) as image:
        count = getattr(image, "n_frames", 1) if image.format in MOVING else 1
        if count == 1:
            return Animation([image.tell()], None)
        if image.format == "TIFF":
            pages = [place for place in range(count) if not _page_type(image, place) & COPY]
            return Animation(pages or [0], None)
        first = int(getattr(image, "default_image", False))  # of a PNG, for those that cannot play it
        return Animation(list(range(first, count)), _durations(image, range(first, count)))


def animated_frames(path: Path, places: list[int]) -> Iterator[RGB]:
    """The frames at some places of a picture file, uint8 (H, W, 3) RGB.

    Raises:
        DataError: as `pictures.read_image`.
    """
    with open_image(path) as image:
        for place in places:
            image.seek(place)
            yield upright_rgb(image, path)


def _page_type(image: Image.Image, place: int) -> int:
    image.seek(place)
    return int(getattr(image, "tag_v2", {}).get(SUBFILE_TYPE, 0))


def _durations(image: Image.Image, places: range) -> list[float] | None:
    """Seconds that each frame is shown; those after a damaged one like the mean of those before it."""
    found = list[float]()
    try:
        for place in places:
            image.seek(place)
            if image.format != "PNG":
                image.load()
            found.append(image.info.get("duration", 0) / 1000)
    except (OSError, EOFError, ValueError, SyntaxError):  # said when the frames are read
        pass
    if not found or min(found) <= 0:
        return None
    return found + [fmean(found)] * (len(places) - len(found))
