"""The exceptions of tdseg. Every message says what came, what was expected and what to do about it."""

from __future__ import annotations


class TdsegError(Exception):
    """Base of every error tdseg raises on purpose.

    Args:
        got: what came, naming the file, option or value.
        expected: what would have been right.
        do: what the user can do now.
    """

    def __init__(self, got: str, *, expected: str, do: str) -> None:
        self.got = got
        self.expected = expected
        self.do = do
        super().__init__(f"{got}\n  expected: {expected}\n  do this:  {do}")

    def __reduce__(self) -> tuple[object, ...]:  # keyword-only arguments do not survive the default pickling
        return _rebuild, (type(self), self.got, self.expected, self.do)


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
