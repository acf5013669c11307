"""Clients that hold connections, or make the server keep more and more for them: they are let go, and harm nobody."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from support.serving import GENEROUS, Served, jpeg, receive, serving, until
from support.small import moving_frames
from tdseg.live import connections, routes
from tdseg.live.limits import Limits
from tdseg.live.server import MORE_CONNECTIONS

UPGRADE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
MASK = bytes(4)
"""Of what a client sends on a WebSocket: it leaves all as it is."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(connections, "IDLE_S", 0.5)
    with serving(token="of-the-tests") as server:
        server.client.headers["Authorization"] = "Bearer of-the-tests"
        assert server.client.post("/sessions", json={"name": "robot"}).status_code == 201
        yield server


def is_let_go(connection: socket.socket, more: bytes = b"") -> bool:
    """Whether the server ends it; meanwhile the client sends some more, again and again."""
    connection.settimeout(0.1)
    for _ in range(200):
        try:
            if more:
                connection.sendall(more)
            if not connection.recv(1 << 16):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def upgraded(served: Served) -> socket.socket:
    connection = served.raw()
    connection.sendall(b"GET /sessions/robot/ws?mask=none&token=of-the-tests HTTP/1.1\r\n" + UPGRADE)
    assert connection.recv(12) == b"HTTP/1.1 101"
    return connection


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"", b""),
        (b"GET /hea", b"l"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"PUT /sessions/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"GET /sessions/robot/ws HTTP/1.1\r\nContent-Length: 5\r\n" + UPGRADE, b""),
    ],
)
def test_one_that_asks_for_nothing_is_let_go(served: Served, head: bytes, more: bytes) -> None:
    """Not one without a token, either, whose body or head goes on for ever."""
    with served.raw() as connection:
        connection.sendall(head)
        assert is_let_go(connection, more)


def test_a_body_that_does_not_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "CHUNK_S", 0.2)
    head = b"POST /sessions?token=of-the-tests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with served.raw() as connection:
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
        assert connection.recv(12) == b"HTTP/1.1 408"


@pytest.mark.parametrize("address", ["snapshot.jpg?opacity=0&", "stream.mjpg?opacity=0&", "ws?frame=1&"])
def test_one_that_does_not_read_leaves_nothing(served: Served, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a picture that waits for it nor a connection."""
    monkeypatch.setattr("tdseg.live.mjpeg.SEND_S", 0.5)
    monkeypatch.setattr("tdseg.live.channel.SEND_S", 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (4000, 5000, 3), np.uint8)  # more than lies on the way
    served.sessions["robot"].push(noise)
    until(served.sessions["robot"].newest)
    with served.raw() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /sessions/robot/{address}token=of-the-tests HTTP/1.1\r\n".encode()
        connection.sendall(request + (UPGRADE if address.startswith("ws") else b"Host: localhost\r\n\r\n"))
        until(lambda: served.has(connection))
        until(lambda: not served.has(connection))
    until(lambda: served.service.viewers == 0)


def test_one_that_reads_slowly_gets_all(served: Served) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2400, 3200, 3), np.uint8)
    served.sessions["robot"].push(noise)
    until(served.sessions["robot"].newest)
    with served.client.stream("GET", "/sessions/robot/snapshot.jpg?opacity=0") as response:
        size = 0
        for chunk in response.iter_bytes(1 << 19):
            size += len(chunk)
            until(lambda: served.client.get("/health").status_code == 200)
            time.sleep(0.2)
        assert size == int(response.headers["content-length"])


def test_a_message_in_pieces_without_end(served: Served) -> None:
    with upgraded(served) as connection:
        connection.sendall(b"\x02\x81" + MASK + b"x")
        assert is_let_go(connection, 2000 * (b"\x00\x80" + MASK))  # pieces of no bytes


def test_pings_whose_answers_nobody_reads(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_WAITING", 1 << 20)
    with upgraded(served) as connection:
        pings = 1000 * (b"\x89\xfd" + MASK + bytes(125))
        connection.settimeout(20)
        with pytest.raises(ConnectionError):
            connection.sendall(1000 * pings)


def test_those_who_wait_do_not_shut_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of many connections without a request make room; streams go on."""
    monkeypatch.setattr(connections, "IDLE_S", 1000.0)
    limits = Limits(most_viewers=2, requests_per_s=GENEROUS.requests_per_s)
    with serving(limits=limits) as served, ExitStack() as held:
        served.client.post("/sessions", json={"name": "robot"})
        good = held.enter_context(served.websocket("robot", "mask=none"))
        crowd = [held.enter_context(served.raw()) for _ in range(2 * MORE_CONNECTIONS)]
        until(lambda: len(select.select(crowd, [], [], 0)[0]) >= MORE_CONNECTIONS - limits.most_viewers)
        good.send(jpeg(moving_frames(1)[0]))
        receive(good, "result")
        assert served.client.get("/sessions").status_code == 200
