"""Files that end before the parts that they are made of do: cut off while they were recorded, copied or downloaded.

Frames that come are no measure: whole files have hidden ones, dropped ones, and last ones that stand for seconds.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_LOOSE_ENDS = 64
"""Bytes by which careless writers count a whole file too long."""
_TAIL = 1 << 16
"""Bytes in which the last part of a file begins."""
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""What the object begins with that holds the size of an ASF file."""


def is_cut(path: str | Path, format: str) -> bool:
    """Whether a file ends before the parts it is made of do.

    Args:
        path: the file.
        format: FFmpeg's name for its container; False for those without such parts.

    Raises:
        OSError: it cannot be read.
    """
    if format not in ENDS:
        return False
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        return ENDS[format](file, size) > size


def _boxes_end(file: BinaryIO, size: int) -> int:
    """MP4: where the last of its media and index boxes ends."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8 or at + length > size:  # the rest of the file; or too long, which counts of these boxes only
            return at + length if kind in (b"mdat", b"moov", b"moof") else size
        at += length
    return at


def _riff_end(file: BinaryIO, size: int) -> int:
    """AVI: where the last RIFF list ends; a recorder that was killed left its length open."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length in (0, 0xFFFF_FFFF):
            return size
        at += 8 + length + length % 2
    return at - _LOOSE_ENDS


def _segment_end(file: BinaryIO, size: int) -> int:
    """Matroska: where its segment ends; live streams leave its length open."""
    at = 0
    for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):  # EBML header, segment
        file.seek(at)
        head = file.read(12)
        if head[:4] != name or not head[4:5]:
            return size
        octets = 9 - head[4].bit_length()
        length = int.from_bytes(head[4 : 4 + octets]) & ((1 << 7 * octets) - 1)
        if length == (1 << 7 * octets) - 1:
            return size
        at += 4 + octets + length
    return at


def _packets_end(file: BinaryIO, size: int) -> int:
    """MPEG transport streams: where the last of its packets ends, which all have one length."""
    head = file.read(2048)
    for length in (188, 192, 204):
        for at in range(min(length, len(head))):
            marks = head[at::length]
            if len(marks) > 3 and set(marks) == {0x47}:
                first = at - (4 if length == 192 else 0)  # of 192, the first four are a time
                return first - (first - size) // length * length
    return size


def _pages_end(file: BinaryIO, size: int) -> int:
    """Ogg: where its last page ends; beyond the file, where that is not the last of its stream."""
    at, open_streams = 0, set[bytes]()
    while at + 27 <= size:
        file.seek(at)
        head = file.read(27 + 255)
        if head[:4] != b"OggS":
            return size
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])
        if head[5] & 4:
            open_streams.discard(head[14:18])
        else:
            open_streams.add(head[14:18])
    return max(at, size + 1 if open_streams else size)


def _tags_end(file: BinaryIO, size: int) -> int:
    """FLV: the size that it says of itself; or beyond the file, where that does not end with the length of a tag."""
    head = file.read(4096)
    at = head.find(b"filesize\0")
    told = struct.unpack(">d", head[at + 9 : at + 17])[0] if 0 <= at <= len(head) - 17 else 0.0
    if size < told < 2**53:
        return int(told)
    file.seek(max(0, size - 4))
    last = int.from_bytes(file.read(4))
    file.seek(max(0, size - 4 - last))
    tag = file.read(4)
    return size if last == 0 or (tag[:1] in b"\x08\x09\x12" and int.from_bytes(tag[1:]) == last - 11) else size + 1


def _trailer_end(file: BinaryIO, size: int) -> int:
    """GIF: it ends with a semicolon, and zeros where a writer fills up."""
    file.seek(max(0, size - _TAIL))
    return size if file.read().rstrip(b"\0").endswith(b";") else size + 1


def _asf_end(file: BinaryIO, size: int) -> int:
    """ASF, WMV: the size that it says of itself; 0 of what was recorded live."""
    head = file.read(_TAIL)
    at = head.find(_ASF_FACTS)
    return size if at < 0 else int.from_bytes(head[at + 40 : at + 48], "little")


def _program_end(file: BinaryIO, size: int) -> int:
    """MPEG program streams: where the last packet ends, whose length is in it."""
    start = max(0, size - 2 * _TAIL)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"\0\0\1")
    while at >= 0 and (at + 4 > len(tail) or tail[at + 3] < 0xB9):  # of the pictures themselves
        at = tail.rfind(b"\0\0\1", 0, at + 2)
    if at < 0 or tail[at + 3] < 0xBB:
        return size
    return start + at + 6 + int.from_bytes(tail[at + 4 : at + 6])


ENDS: dict[str, Callable[[BinaryIO, int], int]] = {
    "asf": _asf_end,
    "avi": _riff_end,
    "flv": _tags_end,
    "gif": _trailer_end,
    "matroska,webm": _segment_end,
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes_end,
    "mpeg": _program_end,
    "mpegts": _packets_end,
    "ogg": _pages_end,
}
"""By FFmpeg's name for a container: where a file of so many bytes should end."""
