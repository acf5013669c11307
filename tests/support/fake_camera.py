"""A camera on a port of this machine: a real server of MJPEG over HTTP or MPEG-TS that misbehaves as it is told."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import av
import numpy as np
from PIL import Image

from support.small import SIZE, moving_frames

Behaviour = Callable[["FakeCamera", socket.socket, int], None]
"""What a camera does with a connection, given how many there were before it."""

MULTIPART = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
PERIOD_S = 0.02


class FakeCamera:
    """Serves each connection in a thread, until it is closed. A context manager.

    Args:
        behave: what it does once it has read the request of a connection; then the connection is closed.
    """

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self.closed = threading.Event()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, scheme: str = "http", user: str = "") -> str:
        return f"{scheme}://{user}127.0.0.1:{self.port}/video"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()
                self.connections += 1

    def _serve(self, connection: socket.socket, before: int) -> None:
        self._open.add(connection)
        with suppress(OSError), connection:
            self._behave(self, connection, before)
            connection.shutdown(socket.SHUT_RDWR)
        self._open.discard(connection)

    def silence(self) -> None:
        """Say nothing, until the camera is closed."""
        self.closed.wait()

    def hang_up(self) -> None:
        """Take no more connections: nobody listens at the port any more."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def close(self) -> None:
        self.closed.set()
        self.hang_up()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> FakeCamera:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def request(connection: socket.socket) -> bytes:
    """The request of an HTTP client, up to its empty line."""
    data = b""
    while not data.endswith(b"\r\n\r\n") and (more := connection.recv(4096)):
        data += more
    return data


@cache
def jpeg(index: int = 0, size: tuple[int, int] = SIZE) -> bytes:
    file = io.BytesIO()
    Image.fromarray(moving_frames(index % 20 + 1, size)[-1]).save(file, "JPEG", quality=90)
    return file.getvalue()


def part(picture: bytes) -> bytes:
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


def send_pictures(
    camera: FakeCamera, connection: socket.socket, count: int | None = None, size: tuple[int, int] = SIZE
) -> None:
    """Pictures at their pace, each with its head; None: until the camera is closed."""
    index = 0
    while index != count and not camera.closed.is_set():
        connection.sendall(part(jpeg(index, size)))
        index += 1
        time.sleep(PERIOD_S)


def mjpeg(count: int | None = None, size: tuple[int, int] = SIZE) -> Behaviour:
    """So many pictures on every connection; None: without end."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        request(connection)
        connection.sendall(MULTIPART)
        send_pictures(camera, connection, count, size)

    return behave


def answer(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    """One answer of HTTP."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        request(connection)
        lines = [f"HTTP/1.0 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)

    return behave


def first(*behaviours: Behaviour, then: Behaviour) -> Behaviour:
    """Something else on the first connections."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        (behaviours[before] if before < len(behaviours) else then)(camera, connection, before)

    return behave


@cache
def transport_stream(count: int, size: tuple[int, int] = SIZE, fps: int = 50) -> tuple[bytes, ...]:
    """MPEG-TS, H.264: what is sent for each picture."""
    file, sent = io.BytesIO(), list[bytes]()
    with av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10"}
        stream = container.add_stream("libx264", rate=fps, width=size[1], height=size[0], options=options)
        for index, image in enumerate([*moving_frames(count, size), None]):
            frame = None if image is None else av.VideoFrame.from_ndarray(np.ascontiguousarray(image))
            if frame is not None:
                frame.pts = index
            container.mux(stream.encode(frame))
            sent.append(file.getvalue())
            file.seek(0)
            file.truncate()
    return tuple(sent)


def mpegts(count: int, *, http: bool = True, damage: bool = False, then: Behaviour | None = None) -> Behaviour:
    """A transport stream at its pace, over HTTP or bare TCP; damaged from picture 20 to 24; at last something else."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        if http:
            request(connection)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        for index, data in enumerate(transport_stream(count)):
            noise = np.random.default_rng(index).bytes(len(data))
            connection.sendall(noise if damage and 20 <= index < 25 else data)
            time.sleep(PERIOD_S)
        if then:
            then(camera, connection, before)

    return behave


def in_chunks(count: int) -> Behaviour:
    """A transport stream of HTTP in chunks, the last of which says that this was all."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for data in filter(None, transport_stream(count)):
            connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    return behave
