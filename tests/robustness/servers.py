"""Servers of video that misbehave, each in its own way: what they do with a connection."""

from __future__ import annotations

import gzip
import re
import socket
import struct

from support.fake_camera import MULTIPART, Behaviour, FakeCamera, answer, request


def ends(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    """Nothing more; the connection is closed, as servers do, when the client has closed it as well."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


def resets(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    """The connection is gone, as where a machine lost it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def is_silent(camera: FakeCamera, connection: socket.socket, before: int) -> None:
    """The connection stays, and nothing comes."""
    camera.silence()


def file(
    data: bytes,
    upto: float = 1.0,
    then: Behaviour = ends,
    *,
    length: int | None = -1,
    ranges: bool = True,
    kind: str = "video/x",
) -> Behaviour:
    """A file by HTTP, up to a part of it.

    Args:
        data: of the file.
        upto: part of it that the connection lasts for. A range that begins behind that comes whole.
        then: what becomes of the connection that does not last.
        length: that is said of it; -1: its own; None: nothing is said, as of what is made while it is sent.
        ranges: what is asked for is sent, else all of it from the start.
        kind: its type.
    """
    said = len(data) if length == -1 else length

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        start = asked_from(request(connection)) if ranges and said is not None else 0
        lines = ["HTTP/1.1 " + ("206 Partial Content" if start else "200 OK"), f"Content-Type: {kind}"]
        if said is not None:
            lines += [f"Content-Length: {said - start}", f"Accept-Ranges: {'bytes' if ranges else 'none'}"]
        if start:
            lines.append(f"Content-Range: bytes {start}-{said - 1}/{said}")  # type: ignore[operator]
        connection.sendall(("\r\n".join([*lines, "Connection: close", "", ""])).encode())
        end = int(upto * len(data))
        connection.sendall(data[start:] if start >= end else data[start:end])
        if start < end < len(data) or upto == 1.0:
            then(camera, connection, before)

    return behave


def asked_from(asked: bytes) -> int:
    """The first byte that a request is for."""
    found = re.search(rb"\r\nrange: bytes=(\d+)-", asked, re.IGNORECASE)
    return int(found[1]) if found else 0


def refuses_ranges(data: bytes) -> Behaviour:
    """A file that comes from its start only."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        if start := asked_from(request(connection)):
            connection.sendall(f"HTTP/1.1 416 Range Not Satisfiable\r\nX-From: {start}\r\n\r\n".encode())
            return
        head = f"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)

    return behave


def chunked(data: bytes, upto: float = 1.0, *, last: bytes = b"0\r\n\r\n") -> Behaviour:
    """A file in chunks, up to a part of it, which may lie in one."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        request(connection)
        step = 10_000
        body = b"".join(
            f"{len(data[at : at + step]):x}\r\n".encode() + data[at : at + step] + b"\r\n"
            for at in range(0, len(data), step)
        )
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(body[: int(len(body) * upto)] + (last if upto == 1.0 else b""))

    return behave


def packed(data: bytes, upto: float = 1.0) -> Behaviour:
    """A file compressed on its way, up to a part of it."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        request(connection)
        body = gzip.compress(data, 1)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[: int(len(body) * upto)])

    return behave


def says(head: bytes, then: Behaviour = ends) -> Behaviour:
    """Some bytes, whatever was asked."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        connection.recv(4096)
        connection.sendall(head)
        then(camera, connection, before)

    return behave


def leads(to: str) -> Behaviour:
    """The client is sent on."""
    return answer("302 Found", b"", f"Location: {to}")


def by_path(**places: Behaviour) -> Behaviour:
    """Each behaviour at its path, of which others are not found; the request can be read again."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        asked = connection.recv(4096, socket.MSG_PEEK)
        name = asked.split(b" ", 2)[1].decode().strip("/").partition(".")[0]
        places.get(name, answer("404 Not Found"))(camera, connection, before)

    return behave


def pictures(parts: list[bytes], then: Behaviour = ends) -> Behaviour:
    """What a camera sends as pictures, one after the other, at once."""

    def behave(camera: FakeCamera, connection: socket.socket, before: int) -> None:
        request(connection)
        connection.sendall(MULTIPART + b"".join(parts))
        then(camera, connection, before)

    return behave
