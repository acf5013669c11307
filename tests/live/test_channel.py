"""Results out and frames in, over a WebSocket; and clients that do neither as they should."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from support.serving import Served, closing_code, is_error, jpeg, picture, receive, serving, until
from support.small import SIZE, moving_frames, write_clip
from tdseg.live.channel import MOST_REFUSED
from tdseg.live.limits import Limits
from tdseg.masks.rle import decode_mask

FRAMES = moving_frames(6)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(limits=Limits(most_frame_mb=1, most_pixels=500 * 500, requests_per_s=10_000)) as server:
        yield server


@pytest.fixture
def name(served: Served) -> Iterator[str]:
    """A session for frames."""
    assert served.client.post("/sessions", json={"name": "robot"}).status_code == 201
    yield "robot"
    served.client.delete("/sessions/robot")


def mask_of(message: dict[str, Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    height, width = message["size"]
    mask = np.full((height, width), 255, np.uint8)
    for segment in message["segments"]:
        mask[decode_mask(segment["segmentation"]["counts"], (height, width))] = segment["category_id"]
    return mask


def test_frames_in_results_out(served: Served, name: str) -> None:
    with served.websocket(name) as connection:
        assert receive(connection, "state")["state"] == "opening"
        for index, frame in enumerate(FRAMES):
            connection.send(json.dumps({"time_s": 0.5 * index}))
            connection.send(jpeg(frame))
            message = receive(connection, "result", index=index)
            result = served.sessions[name].newest()
            assert result is not None
            assert (mask_of(message) == result.mask).all()
            assert (message["size"], message["time_s"]) == ([*SIZE], 0.5 * index)
            assert 0 < message["latency_ms"] <= message["age_ms"] + 1
            assert sum(message["shares"].values()) == pytest.approx(1, abs=1e-3)
            assert message["shares"] == dict(sorted(message["shares"].items(), key=lambda item: -item[1]))
            assert np.abs(result.frame.astype(int) - frame).mean() < 8


def test_what_a_client_wants(served: Served, name: str) -> None:
    served.sessions[name].push(FRAMES[0])
    with served.websocket(name, "mask=png&frame=1") as connection:
        message = receive(connection, "result")
        result = served.sessions[name].newest()
        assert result is not None
        assert (picture(base64.b64decode(message["mask"])) == result.mask).all()
        assert np.abs(picture(base64.b64decode(message["frame"])).astype(int) - result.frame).mean() < 8
        assert "segments" not in message
    with served.websocket(name, "mask=none") as connection:
        assert not {"mask", "frame", "segments"} & receive(connection, "result").keys()
    with pytest.raises(InvalidStatus) as caught, served.websocket(name, "mask=gif"):
        pass
    assert caught.value.response.status_code == 422


def test_one_that_asks_gets_no_more(served: Served, name: str) -> None:
    with served.websocket(name, "ask=1&mask=none") as connection:
        for index, frame in enumerate(FRAMES):
            served.sessions[name].push(frame)
            served.sessions[name].wait(index - 1, 10)
        until(lambda: json.loads(connection.recv(timeout=10))["state"] == "running")
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.3)
        connection.send("next")
        assert receive(connection, "result")["index"] == len(FRAMES) - 1  # the newest, not the first
        connection.send("next")
        served.sessions[name].push(FRAMES[0])
        assert receive(connection, "result")["index"] == len(FRAMES)


GARBAGE: list[str | bytes] = [
    b"",
    b"x" * 1000,
    jpeg(FRAMES[0])[:-300],
    jpeg(FRAMES[0])[:40],
    b"\x89PNG\r\n\x1a\n" + bytes(50),
    b"GIF89a" + bytes(50),
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    jpeg(np.zeros((501, 500, 3), np.uint8)),
    "",
    "{",
    "[]",
    '"next"',
    '{"time_s": "1"}',
    '{"time_s": NaN}',
    '{"time_s": 1e999}',
    '{"time_s": 1' + 400 * "0" + "}",
    '{"time_s": true}',
    '{"time_s": null}',
    "[" * 100_000,
    "\u2028<script>alert(1)</script>",
]


def test_garbage_is_named_and_harms_nothing(served: Served, name: str) -> None:
    with served.websocket(name, "mask=none") as connection:
        for index, garbage in enumerate(GARBAGE):
            connection.send(garbage)
            error = receive(connection, "error")
            assert error["got"]
            assert error["expected"]
            assert error["do"]
            if index % 8 == 7:
                connection.send(jpeg(FRAMES[0]))
                receive(connection, "result")
    assert served.client.get("/health").status_code == 200


def test_one_that_sends_nothing_else_is_let_go(served: Served, name: str) -> None:
    with served.websocket(name) as connection:
        for _ in range(MOST_REFUSED):
            connection.send("garbage")
        assert closing_code(connection) == 1008
    until(lambda: served.service.viewers == 0)


def test_a_flood_waits_on_its_own_side(served: Served, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdseg.live.channel.MESSAGES_PER_S", 0.1)
    with served.websocket(name) as connection:
        for _ in range(4):
            connection.send("garbage")
        receive(connection, "error")
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.3)
    assert served.client.get("/health").status_code == 200


def test_a_message_that_is_too_large(served: Served, name: str) -> None:
    with served.websocket(name) as connection:
        connection.send(bytes(1_100_000))
        assert closing_code(connection) == 1009


def test_frames_are_for_sessions_without_a_source(served: Served, tmp_path: Any) -> None:
    content = write_clip(tmp_path / "clip.mp4", 20).read_bytes()
    served.client.put("/sessions/film", content=content)
    with served.websocket("film", "mask=none") as connection:
        connection.send(jpeg(FRAMES[0]))
        assert "has a source" in receive(connection, "error")["got"]
    served.client.delete("/sessions/film")


def test_one_client_sends(served: Served, name: str) -> None:
    with served.websocket(name, "mask=none") as one:
        one.send(jpeg(FRAMES[0]))
        receive(one, "result")
        with served.websocket(name, "mask=none") as other:
            receive(other, "result")
            other.send(jpeg(FRAMES[0]))
            assert "second client" in receive(other, "error")["got"]
    with served.websocket(name, "mask=none") as after:  # it has gone: another may
        receive(after, "result")
        until(lambda: not served.service._opened[name].pushers)
        after.send(jpeg(FRAMES[1]))
        receive(after, "result", index=1)


def test_a_client_that_does_not_read_harms_nobody(served: Served, name: str) -> None:
    """Neither a WebSocket nor a stream that stands still holds results up, or piles them up."""
    noise = [jpeg(np.random.default_rng(seed).integers(0, 256, (320, 480, 3), np.uint8)) for seed in range(2)]
    with served.websocket(name, "mask=none") as quick, served.raw() as stream, served.raw() as still:
        stream.sendall(f"GET /sessions/{name}/stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        key = "AAAAAAAAAAAAAAAAAAAAAA=="
        still.sendall(
            f"GET /sessions/{name}/ws?mask=png&frame=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        until(lambda: served.service.viewers == 3)
        for index in range(30):  # megabytes, more than lie on the way
            quick.send(noise[index % 2])
            receive(quick, "result", index=index)
        assert served.client.get(f"/sessions/{name}/snapshot.jpg").status_code == 200
    until(lambda: served.service.viewers == 0)  # they vanished


def test_clients_that_vanish(served: Served, name: str) -> None:
    def vanish() -> None:
        with served.websocket(name) as connection:
            connection.send(jpeg(FRAMES[0]))
            connection.socket.shutdown(socket.SHUT_RDWR)

    threads = [threading.Thread(target=vanish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: served.service.viewers == 0)
    assert not served.service._opened[name].pushers
    assert served.client.get("/health").status_code == 200


def test_the_end_of_a_session_is_told(served: Served, name: str) -> None:
    with served.websocket(name, "mask=none") as connection:
        receive(connection, "state")
        served.client.delete(f"/sessions/{name}")
        assert receive(connection, "state", state="ended")
        assert closing_code(connection) == 1000
    with pytest.raises(InvalidStatus) as caught, served.websocket(name):
        pass
    assert caught.value.response.status_code == 404
    assert not is_error(served.client.get("/sessions"), 404)


def test_the_end_of_the_server_is_told() -> None:
    with ExitStack() as after:
        with serving() as served:
            served.client.post("/sessions", json={"name": "robot"})
            connection = after.enter_context(served.websocket("robot"))
            receive(connection, "state")
        assert closing_code(connection) in (1001, 1012)
