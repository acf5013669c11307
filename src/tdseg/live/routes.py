"""The addresses of the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from tdseg.errors import TdsegError
from tdseg.inference.stream import Result
from tdseg.live.access import ALWAYS, Gate
from tdseg.live.channel import Channel, wish_of
from tdseg.live.encoding import mask_png, opacity_of, overlay_jpeg, rounded
from tdseg.live.exposition import KIND, exposition
from tdseg.live.feed import ResultFeed
from tdseg.live.limits import RequestRate
from tdseg.live.mjpeg import MotionJpeg
from tdseg.live.refusal import RequestError, answer
from tdseg.live.service import Service
from tdseg.live.uploads import CHUNK_S, broken_off, check_upload, kept_on_disk, receive_file
from tdseg.system import __version__

MOST_JSON = 1 << 16
"""Bytes of a body of JSON."""
PAGE = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "tile.js": "text/javascript; charset=utf-8",
    "plot.js": "text/javascript; charset=utf-8",
    "webcam.js": "text/javascript; charset=utf-8",
}
"""The files of the page; nothing else is read from the disk."""


def application(service: Service, token: str | None) -> ASGIApp:
    """The whole server, as uvicorn runs it.

    Args:
        service: what it serves.
        token: that requests must have; None: none is needed.
    """
    refused: dict[int, int] = {}
    gate = Middleware(Gate, token=token, rate=RequestRate(service.limits.requests_per_s), refused=refused)
    handlers = {TdsegError: _refused, HTTPException: _unknown, Exception: _failed}
    app = Starlette(
        routes=Routes(service, refused).table(),
        middleware=[gate],
        exception_handlers=handlers,
        lifespan=lambda app: _swept(service),
    )
    app.router.redirect_slashes = False
    return app


@contextlib.asynccontextmanager
async def _swept(service: Service) -> AsyncIterator[None]:
    sweeper = asyncio.ensure_future(service.sweep())
    try:
        yield
    finally:
        sweeper.cancel()


class Routes:
    """The answer to each request.

    Args:
        service: what it is about.
        refused: requests that came no further than the gate, by status.
    """

    def __init__(self, service: Service, refused: Mapping[int, int]) -> None:
        self._service, self._refused = service, refused

    def table(self) -> list[Route | WebSocketRoute]:
        """Which address is answered how."""
        one = "/sessions/{name}"
        return [
            Route("/", self.page),
            Route("/page/{name}", self.page),
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/sessions", self.sessions),
            Route("/sessions", self.open, methods=["POST"]),
            Route(one, self.session),
            Route(one, self.close, methods=["DELETE"]),
            Route(one, self.upload, methods=["PUT"]),
            Route(f"{one}/stream.mjpg", self.stream),
            Route(f"{one}/snapshot.jpg", self.snapshot),
            Route(f"{one}/mask.png", self.mask),
            WebSocketRoute(f"{one}/ws", self.channel),
        ]

    async def page(self, request: Request) -> Response:
        """A file of the page."""
        name = request.path_params.get("name", "index.html")
        if name not in PAGE:
            raise HTTPException(404)
        content = await asyncio.to_thread(files(__package__).joinpath("page", name).read_bytes)
        return Response(content, headers={"Content-Type": PAGE[name]})

    async def health(self, request: Request) -> Response:
        """Whether the server runs; nothing of what it does."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        text = exposition(self._service.sessions, viewers=self._service.viewers, refused=self._refused)
        return Response(text, headers={"Content-Type": KIND})

    async def sessions(self, request: Request) -> Response:
        """The sessions, the classes and their colours."""
        about, limits = self._service.about, self._service.limits
        colors = ["#" + "".join(f"{channel:02x}" for channel in color) for color in about.colors.tolist()]
        classes = [{"name": name, "color": color} for name, color in zip(about.classes, colors, strict=False)]
        sessions = [self._service.described(session) for session in self._service.sessions]
        told = {"model": about.model, "classes": classes, "most_sessions": limits.most_sessions, "sessions": sessions}
        return JSONResponse(told)

    async def session(self, request: Request) -> Response:
        """One session."""
        return JSONResponse(self._service.described(self._service.get(request.path_params["name"])))

    async def open(self, request: Request) -> Response:
        """Open one, of an allowed source, or for frames that the client pushes."""
        fields = await _read_json(request)
        if extra := fields.keys() - {"name", "source", "every"}:
            raise RequestError(
                422, f"field {sorted(extra)[0][:40]!r}", expected="name, source, every", do="leave it out"
            )
        every, source = fields.get("every", 1), fields.get("source")
        if "every" in fields and source is None:
            raise RequestError(422, "every without a source", expected="a source", do="push fewer frames instead")
        if type(every) is not int:
            raise RequestError(422, f"every of {str(every)[:40]!r}", expected="a whole number", do="leave it out, or 2")
        with self._service.reserve(fields.get("name")) as name:
            checked = None if source is None else await asyncio.to_thread(self._service.allowed.check, source)
            return JSONResponse(self._service.described(await self._service.open(name, checked, every=every)), 201)

    async def upload(self, request: Request) -> Response:
        """Open one of the video in the body."""
        with self._service.reserve(request.path_params["name"]) as name:
            with kept_on_disk():
                path = self._service.new_upload()
            try:
                with kept_on_disk():
                    await receive_file(request, path, int(self._service.limits.most_upload_mb * 1e6))
                await asyncio.to_thread(check_upload, path, name)
                return JSONResponse(self._service.described(await self._service.open(name, path, upload=path)), 201)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    async def close(self, request: Request) -> Response:
        """End one."""
        await self._service.close(request.path_params["name"])
        return Response(status_code=204)

    async def stream(self, request: Request) -> Response:
        """The overlay as a film for `<img>`."""
        opacity, feed = _opacity(request), self._service.feed(request.path_params["name"])
        return MotionJpeg(self._service, feed, opacity)  # type: ignore[return-value]  # it is an ASGI response

    async def snapshot(self, request: Request) -> Response:
        """The newest overlay."""
        opacity = _opacity(request)
        return await self._newest(request, "image/jpeg", ("overlay", opacity), partial(overlay_jpeg, opacity=opacity))

    async def mask(self, request: Request) -> Response:
        """The newest mask, whose values are the classes."""
        return await self._newest(request, "image/png", "mask", mask_png)

    async def _newest(self, request: Request, kind: str, key: Any, encode: Callable[[Result], bytes]) -> Response:
        feed = self._service.feed(request.path_params["name"])
        result = feed.session.newest()
        if result is None:
            raise _nothing_yet(feed)
        age = {} if result.age_ms is None else {"X-Age-Ms": str(rounded(result.age_ms))}
        headers = {"Content-Type": kind, "X-Frame-Index": str(result.index), **age}
        return Response(await feed.encoded(result, key, encode), headers=headers)

    async def channel(self, socket: WebSocket) -> None:
        """Results out, frames in."""
        try:
            wish, feed = wish_of(socket.query_params), self._service.feed(socket.path_params["name"])
            with self._service.viewing():
                await socket.accept()
                await Channel(self._service, feed, socket, wish).run()
        except TdsegError as error:
            await socket.send_denial_response(answer(error))


def _opacity(request: Request) -> float:
    return opacity_of(request.query_params.get("opacity", "0.5"))


def _nothing_yet(feed: ResultFeed) -> RequestError:
    session = feed.session
    why = f", {session.state}" + (f": {session.problem}" if session.problem else "")
    return RequestError(
        503, f"no frame of {session.name!r} yet{why}", expected="a frame", do="ask again a little later"
    )


async def _read_json(request: Request) -> dict[str, Any]:
    """The fields of a body.

    Raises:
        RequestError: it is too large, has none, or stops coming.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(
            415, "a body of another type", expected="application/json", do="send it with this Content-Type"
        )
    body = b""
    try:
        async with asyncio.timeout(CHUNK_S):
            async for chunk in request.stream():
                if len(body := body + chunk) > MOST_JSON:
                    raise RequestError(
                        413, "a body that is too large", expected=f"up to {MOST_JSON} bytes", do="send name and source"
                    )
    except (TimeoutError, ClientDisconnect):
        raise broken_off("body") from None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RequestError(
            422, "a body that is no JSON object", expected='{"name": …, "source": …}', do="send such a body"
        )
    return fields


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TdsegError)
    return answer(error)


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    got = f"{request.method} {request.scope['path'][:80]}"
    if error.status_code == 405:
        do = "use one of its methods, see docs/serve.md"
        return answer(RequestError(405, got, expected="a method that this address has", do=do))
    return answer(RequestError(error.status_code, got, expected="an address of the server", do="see docs/serve.md"))


async def _failed(request: Request, error: Exception) -> Response:
    """A mistake of the server's own; it is logged, and told to nobody else."""
    do = "tell who runs it; its log says more"
    response = answer(RequestError(500, "the server failed", expected="an answer", do=do))
    response.headers.update(ALWAYS)  # it does not go by the gate
    return response
