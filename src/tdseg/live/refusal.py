"""What the server refuses, as an answer: a status, and an error in JSON."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse

from tdseg.errors import ConfigError, TdsegError, VideoError

Fields = dict[str, str]


class RequestError(TdsegError):
    """A request that is not granted.

    Args:
        status: of HTTP, 400 … 599.
        got, expected, do: as of every error.
    """

    def __init__(self, status: int, got: str, *, expected: str, do: str) -> None:
        self.status = status
        super().__init__(got, expected=expected, do=do)


def status_of(error: TdsegError) -> int:
    """The status that tells of an error: 422 of what a client gave, 500 of what the server lacks."""
    if isinstance(error, RequestError):
        return error.status
    given = isinstance(error, ConfigError | VideoError)
    return HTTPStatus.UNPROCESSABLE_ENTITY if given else HTTPStatus.INTERNAL_SERVER_ERROR


def told(error: TdsegError) -> Fields:
    """An error as fields of JSON."""
    return {"got": error.got, "expected": error.expected, "do": error.do}


def answer(error: TdsegError) -> JSONResponse:
    """An error as a response."""
    status = status_of(error)
    headers = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = "1"
    return JSONResponse(told(error), status, headers)
