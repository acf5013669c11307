"""A video in the body of a request, kept for a session."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from tdseg.errors import VideoError
from tdseg.live.probe import holds_video
from tdseg.live.refusal import RequestError

CHUNK_S = 30.0
"""After which a client that sends nothing more, or hardly anything, is let go, seconds."""
LEAST_SPEED = 1000
"""Bytes a second, on average: who is slower holds a place for others."""
_log = logging.getLogger("tdseg")


async def receive_file(request: Request, path: Path, most_bytes: int) -> None:
    """Write the body of a request to a file.

    Raises:
        RequestError: it is too large, empty, cut off, or stops coming.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isascii() and declared.isdecimal() else 0
    if size > most_bytes:
        raise _too_large(most_bytes)
    count, body, begun = 0, request.stream(), time.monotonic()
    with path.open("wb") as file:
        try:
            while True:
                async with asyncio.timeout(CHUNK_S):
                    chunk = await anext(body, None)
                if chunk is None:
                    break
                if (count := count + len(chunk)) > most_bytes:
                    raise _too_large(most_bytes)
                if (passed_s := time.monotonic() - begun) > CHUNK_S and count < passed_s * LEAST_SPEED:
                    raise TimeoutError
                await asyncio.to_thread(file.write, chunk)
        except (TimeoutError, ClientDisconnect):
            raise broken_off("video") from None
    if not count:
        raise RequestError(422, "an empty body", expected="a video", do="send the file: curl -T clip.mp4 …")


@contextmanager
def kept_on_disk() -> Iterator[None]:
    """A file is written meanwhile.

    Raises:
        RequestError: it cannot be, on a full disk for one; where it was to be is not told.
    """
    try:
        yield
    except OSError as error:
        _log.warning("an upload cannot be kept: %s", error.strerror)
        raise RequestError(
            507,
            f"a video that cannot be kept: {error.strerror}",
            expected="free space where the server keeps uploads",
            do="end other sessions, or tell who runs the server",
        ) from None


def check_upload(path: Path, name: str) -> None:
    """See to it that a file holds a video itself, before anything else opens it.

    Raises:
        VideoError: it is none, a list of addresses, or one that takes too much memory or time to open.
    """
    if holds_video(path):
        return
    raise VideoError(
        f"{name}: no video in the body",
        expected="a file such as MP4, MOV, Matroska, WebM, AVI or MPEG-TS; no playlist",
        do="check that it is the right file",
    )


def broken_off(what: str) -> RequestError:
    """The error for a body that does not come to its end."""
    return RequestError(408, "a body that broke off", expected=f"the whole {what}", do="send it again")


def _too_large(most_bytes: int) -> RequestError:
    return RequestError(
        413,
        "a body that is too large",
        expected=f"up to {most_bytes / 1e6:g} MB: that is --most-upload-mb",
        do="cut it, or start the server with a higher limit",
    )
