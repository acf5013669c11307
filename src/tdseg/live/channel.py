"""The WebSocket of a session: results out, and frames in where the session has no source."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, NamedTuple, cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from tdseg.errors import TdsegError
from tdseg.inference.stream import Result
from tdseg.live.encoding import MaskForm, read_jpeg, result_message
from tdseg.live.feed import ResultFeed
from tdseg.live.limits import RequestRate
from tdseg.live.mjpeg import SEND_S
from tdseg.live.refusal import RequestError, told
from tdseg.live.service import Service

MOST_REFUSED = 32
"""Messages in a row that are refused before the connection is closed."""
MESSAGES_PER_S = 500.0
"""Of one client: more wait on its side of the line, so that a flood of them takes less of the time of others."""
NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008
"""Codes of RFC 6455."""


class Wish(NamedTuple):
    """Of each result, the parts that a client wants to be told."""

    mask: MaskForm = "rle"
    picture: bool = False
    """The frame itself, too."""
    asks: bool = False
    """It asks for each message, so that none waits on its way: the age stays small on a slow line."""


def wish_of(query: Any) -> Wish:
    """The wish of a query.

    Raises:
        RequestError: a form that there is not.
    """
    mask = query.get("mask", "rle")
    if mask not in ("rle", "png", "none"):
        raise RequestError(422, f"mask={mask[:40]!r}", expected="rle, png or none", do="choose one of them")
    return Wish(cast(MaskForm, mask), query.get("frame") == "1", query.get("ask") == "1")


class Channel:
    """One client on one session.

    Args:
        service: whose session.
        feed: its results.
        socket: accepted.
        wish: what it is to be told.
    """

    def __init__(self, service: Service, feed: ResultFeed, socket: WebSocket, wish: Wish) -> None:
        self._service, self._feed, self._socket, self._wish = service, feed, socket, wish
        self._asked, self._came = asyncio.Event(), asyncio.Event()
        self._frame: tuple[bytes, float | None] | None = None
        self._sending = asyncio.Lock()
        self._refused = 0
        self._rate = RequestRate(MESSAGES_PER_S)
        self._pushes = False

    async def run(self) -> None:
        """Send and receive until either side ends."""
        tasks = [asyncio.ensure_future(work()) for work in (self._send_results, self._receive)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except (WebSocketDisconnect, TimeoutError, OSError, RuntimeError):  # it has gone, or does not read
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RuntimeError, OSError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(1):
                await self._socket.close(GOING_AWAY if self._service.stopping else NORMAL)

    # --- out --------------------------------------------------------------------------------------------------------

    async def _send_results(self) -> None:
        shown: Result | None = None
        state: tuple[str, str | None] | None = None
        while not self._service.stopping:
            session = self._feed.session
            if state != (session.state, session.problem):
                state = session.state, session.problem
                await self._send(json.dumps({"type": "state", "state": state[0], "problem": state[1]}))
            if self._wish.asks and not await self._is_asked():
                if self._feed.is_over:
                    return
                continue
            result = await self._feed.after(shown)
            if result is not None:
                shown = result
                self._asked.clear()
                await self._send(await self._message(result))
            elif self._feed.is_over and state == (session.state, session.problem):
                return

    async def _is_asked(self) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), 1.0)
        return self._asked.is_set()

    async def _message(self, result: Result) -> str:
        mask, picture, _ = self._wish

        def encode(newest: Result) -> str:
            fps = self._feed.session.figures().fps
            return result_message(newest, mask, picture=picture, fps=fps)

        return await self._feed.encoded(result, ("message", mask, picture), encode)

    async def _send(self, text: str) -> None:
        async with self._sending, asyncio.timeout(SEND_S):
            await self._socket.send_text(text)

    # --- in ---------------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        time_s: float | None = None
        with ExitStack() as held:
            while (message := await self._socket.receive())["type"] != "websocket.disconnect":
                while not self._rate.take(""):
                    await asyncio.sleep(1 / MESSAGES_PER_S)
                try:
                    content = message.get("bytes")
                    if content is None:
                        time_s = self._heed(message.get("text") or "", time_s)
                        continue
                    if not self._pushes:
                        held.enter_context(self._service.pushing(self._feed.session.name))
                        held.callback(asyncio.ensure_future(self._push()).cancel)
                        self._pushes = True
                    self._frame, time_s = (content, time_s), None  # the newest: one not yet decoded is skipped
                    self._came.set()
                except RequestError as refusal:
                    await self._refuse(refusal)

    def _heed(self, text: str, time_s: float | None) -> float | None:
        """Take a message of text: what asks for the next result, or tells the time of the next frame, which is given.

        Raises:
            RequestError: something else.
        """
        if text == "next":
            self._asked.set()
            return time_s
        try:
            value = json.loads(text)["time_s"]
            if type(value) in (int, float) and math.isfinite(value):
                return float(value)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            pass
        raise RequestError(
            422,
            f"the message {text[:80]!r}",
            expected='next, {"time_s": seconds} before a frame, or a JPEG as a binary message',
            do="send one of these",
        )

    async def _push(self) -> None:
        """Decode and hand on the newest frame, as often as one came."""
        while True:
            await self._came.wait()
            self._came.clear()
            assert self._frame is not None
            content, time_s = self._frame
            try:
                image = await self._service.decode(partial(read_jpeg, content, self._service.limits.most_pixels))
                self._feed.session.push(image, time_s=time_s)
                self._refused = 0
            except TdsegError as error:
                await self._refuse(error)

    async def _refuse(self, error: TdsegError) -> None:
        """Tell of an error; one who makes nothing else is let go."""
        self._refused += 1
        with suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):  # it has gone
            await self._send(json.dumps({"type": "error", **told(error)}))
            if self._refused >= MOST_REFUSED:
                await self._socket.close(POLICY)
