"""The bytes of a pipe on their way to FFmpeg: what of them tells whether they are all."""

from __future__ import annotations

import io
import select
from collections import deque

from tdseg.video.cut import ENDS, HEAD, TAIL, WALKS, Walk

_MOST = 1 << 17
"""Bytes of a read; a pipe holds no more at once than half of it."""


class ByteTap:
    """A pipe as a file that FFmpeg reads.

    Args:
        source: its path, or 0 for stdin, which stays open.

    Attributes:
        head: the first bytes that came.
        interrupt: that came while it was read.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, source: str | int) -> None:
        self._file = io.FileIO(source, closefd=source != 0)
        self.interrupt: KeyboardInterrupt | None = None
        self._size = 0
        self.head = b""
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._walks = {format: _Walked(walk()) for format, walk in WALKS.items()}

    def read(self, most: int) -> bytes:
        """The next bytes that are there; none at the end.

        Raises:
            InterruptedError: an interrupt came, which is kept: FFmpeg, which calls this, would lose it.
        """
        try:
            return self._next(most)
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
            raise InterruptedError("interrupted") from interrupt

    def _next(self, most: int) -> bytes:
        while (data := self._file.read(min(most, _MOST))) is None:  # of a pipe that is not to wait
            select.select([self._file], [], [])
        at, self._size = self._size, self._size + len(data)
        if len(self.head) < HEAD:
            self.head += data[: HEAD - len(self.head)]
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= TAIL:
            self._tail_size -= len(self._tail.popleft())
        for walked in self._walks.values():
            walked.pass_by(at, data)
        return data

    def is_cut(self, format: str) -> bool:
        """Whether it ends before the parts it is made of do; see `cut.is_cut`. Reads what FFmpeg had no use for."""
        walked = self._walks.get(format)
        while not (walked and walked.is_satisfied(self._size)) and self.read(_MOST):
            pass
        if walked:
            end = walked.end()
            return end is not None and end > self._size
        return format in ENDS and ENDS[format](self.head, b"".join(self._tail)[-TAIL:], self._size) > self._size


class _Walked:
    """A walk along bytes that pass by once."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._at, self._length = next(walk)
        self._held = b""
        self._is_over = False
        self._end: int | None = None

    def pass_by(self, at: int, data: bytes) -> None:
        """The bytes at a position, which follow those before."""
        while not self._is_over:
            begin = self._at + len(self._held) - at  # of what is still wanted
            if begin < len(data):
                self._held += data[max(0, begin) : begin + self._length - len(self._held)]
            if len(self._held) < self._length:
                return
            self._send(self._held[: self._length])

    def is_satisfied(self, size: int) -> bool:
        """Whether it needs no more bytes than so many."""
        return self._is_over and (self._end is None or self._end <= size)

    def end(self) -> int | None:
        """Where the walk says the bytes should end, when there are no more."""
        while not self._is_over:
            self._send(self._held)
        return self._end

    def _send(self, part: bytes) -> None:
        before = self._at
        try:
            self._at, self._length = self._walk.send(part)
        except StopIteration as end:
            self._is_over, self._end = True, end.value
        else:
            self._held = self._held[self._at - before :]
