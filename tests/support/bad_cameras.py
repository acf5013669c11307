"""Cameras that misbehave, each in its own way; beside each, what is to be said of it, or that it runs again."""

from __future__ import annotations

import io
import socket
import time
from typing import NamedTuple

import av
import numpy as np

from support.fake_camera import (
    MULTIPART,
    PERIOD_S,
    Behaviour,
    FakeCamera,
    answer,
    first,
    jpeg,
    mjpeg,
    mpegts,
    part,
    request,
    send_pictures,
)

NOISE = np.random.default_rng(0).bytes(50_000)


class Expected(NamedTuple):
    """What becomes of a source."""

    state: str
    """In the end."""
    problem: str = ""
    """Part of what is said."""
    parts: int = 1
    """So many at least, with gaps between."""


class Kind(NamedTuple):
    """A way to misbehave."""

    behave: Behaviour
    expected: Expected
    scheme: str = "http"


def goes_away(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    if before:  # FFmpeg opens MJPEG twice, to find out what it is
        camera.hang_up()
    mjpeg(5)(camera, connection, before)


def is_silent(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    request(connection)
    camera.silence()


def stalls(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    mjpeg(5)(camera, connection, before)
    camera.silence()


def pauses(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    mjpeg(5)(camera, connection, before)
    camera.closed.wait(0.5)
    send_pictures(camera, connection)


def breaks_off(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    mjpeg(3)(camera, connection, before)
    connection.sendall(part(jpeg(9))[:-900])


def stops_in_a_frame(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    breaks_off(camera, connection, before)
    camera.silence()


def changes_size(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    mjpeg(5)(camera, connection, before)
    send_pictures(camera, connection, size=(48, 80))


def sends_damage(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    mjpeg(5)(camera, connection, before)
    damaged = bytearray(jpeg(3))
    damaged[200:400] = bytes(200)
    for picture in (bytes(damaged), NOISE[:3000], b"", jpeg(4)[:500]):
        connection.sendall(part(picture))
    send_pictures(camera, connection)


def drips(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    request(connection)
    connection.sendall(MULTIPART)
    for octet in part(jpeg()):
        connection.sendall(bytes([octet]))
        time.sleep(PERIOD_S)


def has_endless_headers(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    request(connection)
    connection.sendall(b"HTTP/1.0 200 OK\r\n")
    while not camera.closed.wait(PERIOD_S):
        connection.sendall(b"X-More: of it\r\n")


def miscounts(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    request(connection)
    connection.sendall(MULTIPART)
    for index in range(10):
        connection.sendall(part(jpeg(index)).replace(b"Length: ", b"Length: 1"))
        time.sleep(PERIOD_S)


def sends_no_pictures(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    request(connection)
    connection.sendall(MULTIPART)
    while not camera.closed.wait(PERIOD_S):
        connection.sendall(part(NOISE[:3000]))


def leads_in_a_circle(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    answer("302 Found", b"", f"Location: {camera.address()}")(camera, connection, before)


def leads_astray_once(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    moved = b" /video " in request_line(connection)
    if moved:
        connection.sendall(b"HTTP/1.0 302 Found\r\nLocation: /other\r\n\r\n")
    else:
        connection.sendall(MULTIPART)
        send_pictures(camera, connection)


def request_line(connection: socket.socket) -> bytes:
    return request(connection).splitlines()[0]


def talks_no_http(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    request(connection)
    connection.sendall(NOISE)


def closes(camera: FakeCamera, connection: socket.socket, before: int) -> None: ...


def sound() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _gives_up(problem: str) -> Expected:
    return Expected("failed", problem)


def _tries_on(problem: str) -> Expected:
    return Expected("reconnecting", problem)


def _runs(parts: int = 1) -> Expected:
    return Expected("running", parts=parts)


BAD = answer("503 Service Unavailable")
KINDS = {
    "wrong password": Kind(answer("401 Unauthorized"), _gives_up("401 Unauthorized")),
    "forbidden": Kind(answer("403 Forbidden"), _gives_up("403 Forbidden")),
    "wrong name": Kind(answer("404 Not Found"), _gives_up("404 Not Found")),
    "another refusal": Kind(answer("418 I'm a teapot"), _gives_up("refused the request")),
    "unknown protocol": Kind(closes, _gives_up("no such protocol"), "nonsense"),
    "closes at once": Kind(closes, _tries_on("closed before a picture came")),
    "never answers": Kind(is_silent, _tries_on("no answer for 1.5 s")),
    "fails": Kind(answer("500 Internal Server Error"), _tries_on("the server failed")),
    "busy": Kind(BAD, _tries_on("the server failed")),
    "leads in a circle": Kind(leads_in_a_circle, _tries_on("leads in a circle")),
    "leads to a file": Kind(answer("302 Found", b"", "Location: file:///etc/hostname"), _tries_on("leads to, is none")),
    "garbage": Kind(answer("200 OK", NOISE), _tries_on("is no video")),
    "garbage for HTTP": Kind(talks_no_http, _tries_on("none of its protocol")),
    "a page": Kind(answer("200 OK", b"<html>Welcome</html>", "Content-Type: text/html"), _tries_on("is no video")),
    "nothing": Kind(answer("200 OK"), _tries_on("is no video")),
    "sound alone": Kind(answer("200 OK", sound()), _tries_on("no video in it")),
    "a byte now and then": Kind(drips, _tries_on("no answer for 1.5 s")),
    "headers without end": Kind(has_endless_headers, _tries_on("no answer for 1.5 s")),
    "parts without pictures": Kind(sends_no_pictures, _tries_on("no picture for 1.5 s")),
    "goes away for good": Kind(goes_away, _tries_on("Connection refused")),
    "busy at first": Kind(first(BAD, BAD, then=mjpeg()), _runs()),
    "moved": Kind(leads_astray_once, _runs()),
    "breaks off, comes back": Kind(first(mjpeg(5), mjpeg(5), then=mjpeg()), _runs(2)),
    "breaks off again and again": Kind(mjpeg(5), _runs(3)),
    "stalls, comes back": Kind(first(stalls, stalls, then=mjpeg()), _runs(2)),
    "pauses": Kind(pauses, _runs(2)),
    "breaks off in a frame": Kind(first(breaks_off, breaks_off, then=mjpeg()), _runs(2)),
    "stops in a frame": Kind(first(stops_in_a_frame, stops_in_a_frame, then=mjpeg()), _runs(2)),
    "changes its size": Kind(changes_size, _runs()),
    "damaged pictures": Kind(sends_damage, _runs()),
    "wrong lengths": Kind(first(miscounts, miscounts, then=mjpeg()), _runs()),
    "a transport stream breaks off": Kind(first(mpegts(30), then=mpegts(400)), _runs(2)),
    "a transport stream with garbage": Kind(mpegts(400, damage=True), _runs()),
    "a bare one stalls": Kind(
        first(mpegts(30, http=False, then=is_silent), then=mpegts(400, http=False)), _runs(2), "tcp"
    ),
}
