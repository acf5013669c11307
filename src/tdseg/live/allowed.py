"""Sources that clients may name: only what the owner of the server named before.

A client's source is held against the list as a host that is spelled alike, never as an address that a name resolves to:
so there is nothing to be gained by decimal or mapped addresses, by names of one's own that resolve to the inside of a
network, or by what parsers of URLs disagree on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from tdseg.errors import ConfigError
from tdseg.live.refusal import RequestError

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
"""Schemes that a source may have, with their usual ports."""
LONGEST = 2048
"""Characters of a source."""
_USUAL = re.compile(r"[A-Za-z0-9._~:/?&=%@!$'()*+,;\[\]-]+")
"""What a URL consists of; no backslash, space or fragment, which readers of URLs take differently."""
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


class _Place(NamedTuple):
    """A URL in one spelling."""

    scheme: str
    host: str
    port: int
    path: str


class AllowedSources:
    """The sources that clients may open by name: none but these.

    Args:
        allowed: URLs, each with all that is below it; files, and folders with all that is in them; indices of cameras.

    Raises:
        ConfigError: something else.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._places: list[_Place] = []
        self._paths: list[Path] = []
        self._cameras: set[int] = set()
        for text in allowed:
            if text.isdecimal():
                self._cameras.add(int(text))
            elif "://" in text:
                self._places.append(_allowed_place(text))
            elif Path(text).exists():
                self._paths.append(Path(text).resolve())
            else:
                raise _not_to_allow(text, "no such file or folder")

    def check(self, source: object) -> str | Path | int:
        """The source that a client named, in the one form in which it is to be opened.

        Raises:
            RequestError: it is not allowed; whether it exists is not told.
        """
        if not isinstance(source, str) or not 0 < len(source) <= LONGEST or not source.isprintable():
            raise RequestError(
                422,
                "a source that is no text" if not isinstance(source, str) else "a source of odd or too many characters",
                expected=f"up to {LONGEST} printable characters",
                do="give the URL of a camera, or leave source out and push frames",
            )
        if "://" in source:
            parts = _split(source)
            if parts and any(_is_below(_place(parts), place) for place in self._places):
                return _spelled(parts)
        elif source.isascii() and source.isdecimal():
            if int(source) in self._cameras:
                return int(source)
        elif path := self._path(source):
            return path
        raise RequestError(
            403,
            "a source that is not allowed here",
            expected="one that the server was started with --allow for",
            do="start the server with --allow and this source, or upload the file, or push frames",
        )

    def _path(self, source: str) -> Path | None:
        try:
            path = Path(source).resolve(strict=True)  # links lead out of a folder
            within = path.iterdir() if path.is_dir() and self._has(path) else ()  # of frames, each of which is read
            opened = [path, *(one.resolve() for one in within if one.is_symlink())]
        except (OSError, RuntimeError, ValueError):
            return None
        return path if all(map(self._has, opened)) else None

    def _has(self, path: Path) -> bool:
        return any(path.is_relative_to(allowed) for allowed in self._paths)


def _allowed_place(text: str) -> _Place:
    parts = _split(text)
    if parts is None:
        raise _not_to_allow(text, f"no URL of {', '.join(PORTS)} with a plain host")
    if "@" in parts.netloc or parts.query:
        raise _not_to_allow(text, "a user, password or query in it")
    return _place(parts)


def _not_to_allow(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"--allow {text}: {why}",
        expected="a URL such as rtsp://camera.lan/, a file or folder that is there, or the index of a camera",
        do="name each host of its own; there are no patterns",
    )


def _split(text: str) -> SplitResult | None:
    """The parts of a URL of a scheme that a source may have; None where it is none, or may be read in two ways."""
    if not _USUAL.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or port == 0 or not _is_host(parts.hostname or ""):
        return None
    user, _, address = parts.netloc.rpartition("@")
    if any(mark in user for mark in "@[]") or not re.fullmatch(r"(\[[^]]+\]|[^:\[\]]+)(:\d+)?", address):
        return None
    path = unquote(parts.path)
    climbs = ".." in re.split(r"[/\\;]", path) or "%2f" in parts.path.lower() or "%" in path
    return None if climbs or not path.isprintable() else parts


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


def _place(parts: SplitResult) -> _Place:
    host = parts.hostname or ""
    if ":" in host:
        host = ipaddress.IPv6Address(host).compressed
    return _Place(parts.scheme, host, parts.port or PORTS[parts.scheme], unquote(parts.path) or "/")


def _is_below(place: _Place, allowed: _Place) -> bool:
    """Whether a place is the allowed one, or below it."""
    folder = allowed.path.rstrip("/") + "/"
    return place[:3] == allowed[:3] and (place.path == allowed.path or place.path.startswith(folder))


def _spelled(parts: SplitResult) -> str:
    """A URL as it is opened: made of the parts that were looked at."""
    place, (user, at, _) = _place(parts), parts.netloc.rpartition("@")
    host = f"[{place.host}]" if ":" in place.host else place.host
    query = f"?{parts.query}" if parts.query else ""
    return f"{place.scheme}://{user}{at}{host}:{place.port}{parts.path}{query}"
