"""The exceptions of tdseg. Every message says what came, what was expected and what to do about it."""

from __future__ import annotations

import re

MOST_TEXT = 1200
"""Characters of each of the three parts of an error: what came may be as long as a file."""
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, colours, renames or turns a terminal, and what no terminal can show; not tab and new line."""


class TdsegError(Exception):
    """Base of every error tdseg raises on purpose.

    Args:
        got: what came, naming the file, option or value.
        expected: what would have been right.
        do: what the user can do now.

    Of each a long text keeps its beginning and its end, and what would steer a terminal is spelled out.
    """

    def __init__(self, got: str, *, expected: str, do: str) -> None:
        self.got, self.expected, self.do = (visible(shortened(text)) for text in (got, expected, do))
        super().__init__(f"{self.got}\n  expected: {self.expected}\n  do this:  {self.do}")

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only arguments do not survive the default pickling
        return _rebuild, (type(self), self.got, self.expected, self.do)


def visible(text: str) -> str:
    """A text with what would steer a terminal spelled out, such as \\x1b for escape: names come from anywhere."""
    return STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def shortened(text: str, most: int = MOST_TEXT) -> str:
    """A text of so many characters at most: a longer one loses its middle."""
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end - 30]} … {len(text)} characters … {text[-end:]}"


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line; its kind, where it says nothing."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _rebuild(kind: type[TdsegError], got: str, expected: str, do: str) -> TdsegError:
    return kind(got, expected=expected, do=do)


class ConfigError(TdsegError):
    """A model name, option or combination of options that cannot be used."""


class WeightsError(TdsegError):
    """A checkpoint that is missing, damaged, unsafe to open, or of another model."""


class VideoError(TdsegError):
    """A video source that cannot be opened, decoded or written."""


class DataError(TdsegError):
    """A data set or label that is missing, unreadable or out of range."""


class OutputError(TdsegError):
    """An output folder or file that is in use or cannot be written."""


class WorkerError(TdsegError):
    """A process or a machine that did its share of the work is lost."""
