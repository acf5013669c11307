"""Sources as users name them: cameras, addresses with their passwords, patterns of frames."""

from __future__ import annotations

import os
import re
from glob import glob
from pathlib import Path

from tdseg.video.pictures import is_image, natural_order

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SECRET = re.compile(r"([?&;][^=&;#]*(?:pass|pwd|token|secret|key|auth|sig|cred)[^=&;#]*=)[^&;#]+", re.IGNORECASE)
_NUMBER = re.compile(r"%0?(\d*)d")


def is_url(source: str) -> bool:
    """Whether it is an address such as rtsp://…"""
    return URL.match(source) is not None


def is_http(source: str | Path | int) -> bool:
    """Whether it is an address of HTTP, which says where what it sends ends."""
    return str(source).lower().startswith(("http:", "https:"))


def is_camera(source: str | Path | int) -> bool:
    """Whether it is the index of a camera: an int, or digits that are no file or folder here."""
    if isinstance(source, Path):
        return False
    return isinstance(source, int) or (source.isdecimal() and not os.path.lexists(source))


def printable(source: str | Path | int) -> str:
    """The source as it may be shown and stored: without the user and the password of a URL, nor those in its query."""
    name = str(source)
    if not (scheme := URL.match(name)):
        return name
    rest = name[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        rest = rest[authority.rindex("@") + 1 :]
    elif "@" in rest and re.search(r":(?!\d*$)", authority.rpartition("]")[2]):  # a password with a slash in it
        rest = rest[rest.rindex("@") + 1 :]
    return scheme[0] + _SECRET.sub(r"\1***", rest)


def is_pattern(source: str | Path | int) -> bool:
    """Whether it stands for image files by number, frames/%05d.png, or by wildcards, frames/*.png."""
    name = str(source)
    if is_url(name) or os.path.lexists(name):
        return False
    numbered = _NUMBER.search(Path(name).name) is not None and is_image(Path(name))
    return numbered or any(mark in name for mark in "*?[")


def is_frames(source: str | Path | int) -> bool:
    """Whether it is images, which have no times: a folder of them, or a pattern."""
    return os.path.isdir(str(source)) or is_pattern(source)


def matching_images(pattern: str) -> list[Path]:
    """The image files that a pattern stands for, in natural order.

    Raises:
        OSError: the folder may not be read.
    """
    path = Path(pattern)
    number = _NUMBER.search(path.name)
    if number is None or not is_image(path):
        return sorted(
            filter(is_image, map(Path, glob(pattern))), key=lambda file: (str(file.parent), natural_order(file))
        )
    before, after = path.name[: number.start()], path.name[number.end() :]
    wanted = re.compile(rf"{re.escape(before)}\d{{{number[1] or 1},}}{re.escape(after)}")
    found = path.parent.iterdir() if os.path.isdir(path.parent) else ()
    return sorted((file for file in found if wanted.fullmatch(file.name)), key=natural_order)
