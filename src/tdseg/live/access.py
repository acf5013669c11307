"""Who may ask what: a token, or only this machine's own pages and programs; and how often.

A browser sends a page's requests wherever the page says, and the answer of a name to wherever that name resolves. So
where there is no token, the host that is asked must be this machine by name, and what a page asks must come from here.
Tokens are never in cookies: no page of others can send one.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tdseg.live.limits import RequestRate
from tdseg.live.refusal import RequestError, answer

OPEN = frozenset({"/", "/health"})
"""Paths that need no token: they tell nothing of any source. What is below /page/ is the same for all, too."""
ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
"""Headers of every answer."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d+)?")


def is_local(host: str) -> bool:
    """Whether a host is this machine itself, which nobody else reaches."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Gate:
    """The check before every route.

    Args:
        app: behind it.
        token: that requests must have; None: none is needed, and only this machine's own names and pages are served.
        rate: of requests.
        refused: how many requests were refused here, by status; it is kept up to date.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, rate: RequestRate, refused: dict[int, int]) -> None:
        self._app, self._token, self._rate, self._refused = app, token, rate, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(HTTPConnection(scope))
        except RequestError as refusal:
            self._refused[refusal.status] = self._refused.get(refusal.status, 0) + 1
            response = answer(refusal)
            response.headers.update(ALWAYS)
            await response(scope, receive, send)
            return
        owner = "cross-origin" if self._token else "same-origin"  # with a token, pages of others may show pictures

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = {"Cross-Origin-Resource-Policy": owner, **ALWAYS}
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode(), value.encode()) for name, value in headers.items()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _check(self, asked: HTTPConnection) -> None:
        address = asked.client.host if asked.client else ""
        if not self._rate.take(address):
            raise RequestError(
                429, "too many requests from this address", expected="fewer a second", do="wait a second, then ask less"
            )
        path: str = asked.scope["path"]  # that of asked.url is made of the Host header, too, which may be anything
        is_open = path in OPEN or path.startswith("/page/")
        if self._token is None:
            _check_host(asked.headers)
        elif not is_open and not _has_token(asked, self._token):
            raise RequestError(
                401,
                "no token, or a wrong one",
                expected="the token that the server printed when it started",
                do="send it as Authorization: Bearer TOKEN, or add ?token=TOKEN",
            )
        changes = asked.scope["type"] == "websocket" or asked.scope["method"] not in ("GET", "HEAD")
        if changes or (self._token is None and not is_open):
            _check_page(asked.headers)


def _has_token(asked: HTTPConnection, token: str) -> bool:
    kind, _, given = asked.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        query = parse_qs(str(asked.scope.get("query_string", b""), "latin-1"))
        given = query.get("token", [""])[0]
    return hmac.compare_digest(given.strip().encode(), token.encode())


def _check_host(headers: Headers) -> None:
    """See to it that the machine was asked by a name of its own.

    Else a page of others could ask it under theirs, which resolves to here, and read the answer.
    """
    match = _HOST.fullmatch(headers.get("host", ""))
    if match is None or not is_local(match[1]):
        raise RequestError(
            421,
            "a request for another host",
            expected="localhost, 127.0.0.1 or [::1] as host",
            do="open the address that the server printed, or start it with --token",
        )


def _check_page(headers: Headers) -> None:
    """See to it that what a browser asks, it asks for a page of this server."""
    origin = headers.get("origin")
    from_here = origin is None or origin.partition("://")[2] == headers.get("host")
    if not from_here or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise RequestError(
            403,
            "a request by a page of another origin",
            expected="this server's own page, or a program",
            do="open the address that the server printed; a page of others needs the token, and shows pictures only",
        )
