"""A server on a free port of loopback, and what asks it."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from support.small import SIZE
from tdseg.live.allowed import AllowedSources
from tdseg.live.limits import Limits
from tdseg.live.server import LiveServer
from tdseg.live.service import ServedModel, Service
from tdseg.live.sessions import Sessions
from tdseg.masks.palette import color_table
from tdseg.models.tdnet import TDNet
from tdseg.zoo.load import load

T = TypeVar("T")
GENEROUS = Limits(requests_per_s=10_000)


class Served(NamedTuple):
    """A server that runs."""

    port: int
    sessions: Sessions
    service: Service
    client: httpx.Client
    server: LiveServer

    def has(self, connection: socket.socket) -> bool:
        """Whether the server still holds its end of a connection."""
        return connection.getsockname() in {
            getattr(one, "client", None) for one in self.server.server_state.connections
        }

    def websocket(self, name: str, query: str = "", **options: Any) -> AbstractContextManager[ClientConnection]:
        connection: AbstractContextManager[ClientConnection] = connect(
            f"ws://127.0.0.1:{self.port}/sessions/{name}/ws?{query}", max_size=None, **options
        )
        return connection

    def raw(self) -> socket.socket:
        """A connection of its own, for what no library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@cache
def packaged_model() -> TDNet:
    return load("td6-lite0s-camvid").fuse()


@contextmanager
def serving(
    *, token: str | None = None, allow: Sequence[str] = (), limits: Limits = GENEROUS, model: TDNet | None = None
) -> Iterator[Served]:
    model = model or packaged_model()
    about = ServedModel("small", model.config.class_names, color_table(model.config.palette))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Sessions(model, size=SIZE, most=limits.most_sessions) as sessions,
    ):
        port = listener.getsockname()[1]
        service = Service(sessions, about, AllowedSources(allow), limits)
        server = LiveServer(service, token)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until(lambda: server.started)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                yield Served(port, sessions, service, client, server)
        finally:
            server.should_exit = True
            thread.join(20)
            service.stop()
        assert not thread.is_alive()


def until(what: Callable[[], T], timeout_s: float = 20.0) -> T:
    """What it gives, once that is something."""
    end = time.monotonic() + timeout_s
    while not (value := what()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)
    return value


def jpeg(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return file.getvalue()


def picture(content: bytes) -> NDArray[np.uint8]:
    """The values of an encoded picture, indices where it has a palette."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image)


def receive(connection: ClientConnection, kind: str, **fields: Any) -> dict[str, Any]:
    """The next message of a kind, and with such fields."""
    while True:
        message: dict[str, Any] = json.loads(connection.recv(timeout=20))
        if message["type"] == kind and fields.items() <= message.items():
            return message


def closing_code(connection: ClientConnection) -> int | None:
    """The code that the server closes it with, whatever comes before."""
    with suppress(ConnectionClosed):
        while True:
            connection.recv(timeout=20)
    return connection.close_code


def is_error(response: httpx.Response, status: int) -> bool:
    """Whether it is refused with this status, in the form of every error."""
    fields = response.json()
    return response.status_code == status and set(fields) == {"got", "expected", "do"} and all(fields.values())
