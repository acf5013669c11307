"""Why an address gives no video, in words: FFmpeg's own are few, and some of them say nothing."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import av

ENDED = "the connection ended"
_OF_OPENING = (
    (av.EOFError, "the connection was closed before a picture came"),
    (av.InvalidDataError, "what it sends is no video"),
    (av.ArgumentError, "the address, or the one that it leads to, is none for a video"),
    (av.ProtocolNotFoundError, "no such protocol is known"),
    (av.HTTPOtherClientError, "the server refused the request (4xx)"),
    (av.HTTPServerError, "the server failed (5xx)"),
)


def refusal(error: OSError | av.FFmpegError, address: str, timeout_s: float, passed_s: float) -> str:
    """Why an address could not be opened.

    Args:
        error: FFmpeg's.
        address: it may hold a password; what is said of it does not.
        timeout_s: seconds that it was given.
        passed_s: seconds that it took.
    """
    if isinstance(error, av.ExitError) or passed_s >= timeout_s:  # our deadline; FFmpeg may call that otherwise
        return f"no answer for {timeout_s:g} s"
    for kind, words in _OF_OPENING:
        if isinstance(error, kind):
            return words
    if error.errno == errno.EIO:  # for all that is not of the system
        return _unknown_host(address) or "the answer breaks off, is none of its protocol, or leads in a circle"
    return error.strerror or type(error).__name__


def breaking_off(error: av.FFmpegError, timeout_s: float | None) -> str:
    """Why a source that was open gives no more.

    Args:
        error: FFmpeg's.
        timeout_s: seconds that an address may stay silent; None: it is a file, camera or pipe.
    """
    if isinstance(error, av.ExitError):
        return f"nothing came for {timeout_s:g} s"
    if timeout_s is not None and error.errno == errno.EIO:  # HTTP without a length: any end
        return ENDED
    return str(error.strerror)


def _unknown_host(address: str) -> str | None:
    with suppress(ValueError):
        if host := urlsplit(address).hostname:
            try:
                socket.getaddrinfo(host, None)
            except OSError:
                return f"no host is called {host}"
    return None
