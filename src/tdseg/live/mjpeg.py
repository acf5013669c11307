"""Pictures one after the other in one response, which an `<img>` shows as a film."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from tdseg.inference.stream import Result
from tdseg.live.encoding import overlay_jpeg
from tdseg.live.feed import ResultFeed
from tdseg.live.service import Service

BOUNDARY = "frame"
SEND_S = 20.0
"""After which a client that does not read is let go, seconds."""
AGAIN_S = 5.0
"""After which the last picture is sent again, so that one who vanished is noticed, seconds."""


class MotionJpeg:
    """A response that goes on while the session does: always the newest picture, so that a slow client skips some.

    Args:
        service: whose session.
        feed: its results.
        opacity: of the overlay, 0 … 1.
    """

    def __init__(self, service: Service, feed: ResultFeed, opacity: float) -> None:
        self._service, self._feed, self._opacity = service, feed, opacity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, until the session ends, or the client goes.

        Raises:
            RequestError: too many streams are open.
        """
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}".encode()
        with self._service.viewing():
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
            if scope["method"] != "HEAD":
                gone = asyncio.ensure_future(_gone(receive))
                with suppress(TimeoutError, ClientDisconnect, OSError):
                    await self._send_all(send, gone)
                gone.cancel()
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(1):
                    await send({"type": "http.response.body", "body": b""})

    async def _send_all(self, send: Send, gone: asyncio.Future[None]) -> None:
        shown: Result | None = None
        silent_s = 0.0
        while not gone.done() and not self._service.stopping:
            result = await self._feed.after(shown)
            if result is None:
                silent_s += 1
                if self._feed.is_over:
                    return
                if shown is None or silent_s < AGAIN_S:
                    continue
            shown, silent_s = result or shown, 0.0
            assert shown is not None
            picture = await self._feed.encoded(
                shown, ("overlay", self._opacity), lambda newest: overlay_jpeg(newest, self._opacity)
            )
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode()
            async with asyncio.timeout(SEND_S):
                await send({"type": "http.response.body", "body": head + picture + b"\r\n", "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
