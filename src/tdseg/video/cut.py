"""Sources that end before the parts that they are made of do: cut off while they were recorded, copied or sent.

Frames that come are no measure: whole files have hidden ones, dropped ones, and last ones that stand for seconds.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Generator
from pathlib import Path

Walk = Generator[tuple[int, int], bytes, int | None]
"""Through the parts of a file: yields (position, length), none before the last one, is sent what is there, which is
less at the end, and returns where the file should end; None where it does not say."""

HEAD, TAIL = 1 << 16, 1 << 20
"""Bytes of the beginning and of the end in which a file says what it says at these."""
_LOOSE_ENDS = 64
"""Bytes by which careless writers count a whole file too long."""
_BEYOND = 1 << 62
"""Where a file should end that lacks its end."""
_OPEN = 0xFFFF_FFFF
"""For a length that was to be written at the end."""
_ASF_FACTS = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""What the object begins with that holds the size of an ASF file."""
_MATROSKA = (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67")
"""Names of its header and of its segment."""
_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")


def is_cut(path: str | Path, format: str) -> bool:
    """Whether a file ends before the parts it is made of do.

    Args:
        path: the file.
        format: FFmpeg's name for its container; False for those without such parts.

    Raises:
        OSError: it cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:

        def part(at: int, length: int) -> bytes:
            file.seek(at)
            return file.read(length)

        if format in WALKS:
            walk = WALKS[format]()
            try:
                asked = next(walk)
                while True:
                    asked = walk.send(part(*asked))
            except StopIteration as end:
                return end.value is not None and end.value > size
        return format in ENDS and ENDS[format](part(0, HEAD), part(max(0, size - TAIL), TAIL), size) > size


def _boxes() -> Walk:
    """MP4: to the end of the last of its media and index boxes, or of what an index says of parts that follow."""
    at = told = 0
    counts = False
    while len(head := (yield at, 16)) >= 8:
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:  # the rest of the file
            return told or None
        counts = kind in (b"mdat", b"moov", b"moof")  # others may be too long
        if kind == b"sidx":
            told = max(told, at + length + _parts_that_follow((yield at, min(length, HEAD))))
        at += length
    return max(told, at if counts else 0)


def _parts_that_follow(index: bytes) -> int:
    """Bytes that the index of a fragmented MP4 says will follow it."""
    wide = index[8:9] != b"\0"
    place = 20 + (16 if wide else 8)
    offset = int.from_bytes(index[place - (8 if wide else 4) : place])
    count = int.from_bytes(index[place + 2 : place + 4])
    sizes = index[place + 4 : place + 4 + 12 * count]
    if len(sizes) < 12 * count:
        return 0
    return offset + sum(int.from_bytes(sizes[at : at + 4]) & 0x7FFF_FFFF for at in range(0, len(sizes), 12))


def _riff_lists() -> Walk:
    """AVI: to the end of the last RIFF list; a recorder that was killed left its length open."""
    at = 0
    while len(head := (yield at, 8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length in (0, _OPEN):
            return None
        at += 8 + length + length % 2
    return at - _LOOSE_ENDS


def _elements() -> Walk:
    """Matroska: to the end of its segment; live streams leave its length open, then to the end of the last cluster."""
    at, depth = 0, 0
    while head := (yield at, 12):
        octets = 9 - head[0].bit_length()
        known = head[octets : octets + 1]
        if octets > 4 or known == b"\0" or (depth < 2 and head[:4] != _MATROSKA[depth]):
            return None
        more = 9 - known[0].bit_length() if known else 1
        number = head[octets : octets + more]
        if len(number) < more:
            return _BEYOND
        mask = (1 << 7 * more) - 1
        length = int.from_bytes(number) & mask
        at += octets + more + (0 if length == mask else length)  # what is open is entered
        if depth == 1 and length != mask:
            return at
        depth += 1
    return at


def _pages() -> Walk:
    """Ogg: to the end of the last page of each of its streams."""
    at, open_streams = 0, set[bytes]()
    while len(head := (yield at, 27 + 255)) >= 27:
        if head[:4] != b"OggS":
            return None
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])
        if head[5] & 4:
            open_streams.discard(head[14:18])
        else:
            open_streams.add(head[14:18])
    return _BEYOND if open_streams else at


def _counted_frames() -> Walk:
    """IVF: as many frames as it says; some writers say for how many ticks of its clock, and live ones nothing."""
    head = yield 0, 32
    at, told = int.from_bytes(head[6:8], "little"), int.from_bytes(head[24:28], "little")
    if head[:4] != b"DKIF" or at < 32:
        return None
    count = first = last = 0
    while len(frame := (yield at, 12)) == 12:
        at += 12 + int.from_bytes(frame[:4], "little")
        last = int.from_bytes(frame[4:], "little")
        first, count = (first if count else last), count + 1
    step = (last - first) / max(1, count - 1)
    are_ticks = step > 1 and abs(told - step * count) <= step
    return _BEYOND if told != _OPEN and told > count and not are_ticks else at


def _packets_end(head: bytes, tail: bytes, size: int) -> int:
    """MPEG transport streams: where the last of its packets ends, which all have one length."""
    head = head[:2048]
    for length in (188, 192, 204):
        for at in range(min(length, len(head))):
            marks = head[at::length]
            if len(marks) > 3 and set(marks) == {0x47}:
                first = at - (4 if length == 192 else 0)  # of 192, the first four are a time
                return first - (first - size) // length * length
    return size


def _tags_end(head: bytes, tail: bytes, size: int) -> int:
    """FLV: the size that it says of itself; or beyond the file, where that does not end with the length of a tag."""
    at = head[:4096].find(b"filesize\0")
    told = struct.unpack(">d", head[at + 9 : at + 17])[0] if 0 <= at <= len(head) - 17 else 0.0
    if size < told < 2**53:
        return int(told)
    last = int.from_bytes(tail[-4:])
    if last == 0 or last + 4 > len(tail):
        return size if last == 0 or len(tail) < size else size + 1
    tag = tail[-4 - last :][:4]
    return size if tag[0] in b"\x08\x09\x12" and int.from_bytes(tag[1:]) == last - 11 else size + 1


def _trailer_end(head: bytes, tail: bytes, size: int) -> int:
    """GIF: it ends with a semicolon, and zeros where a writer fills up."""
    return size if tail.rstrip(b"\0").endswith(b";") else size + 1


def _asf_end(head: bytes, tail: bytes, size: int) -> int:
    """ASF, WMV: the size that it says of itself; 0 of what was recorded live."""
    at = head.find(_ASF_FACTS)
    return size if at < 0 else int.from_bytes(head[at + 40 : at + 48], "little")


def _program_end(head: bytes, tail: bytes, size: int) -> int:
    """MPEG program streams: where the last packet ends, whose length is in it."""
    at = tail.rfind(b"\0\0\1")
    while at >= 0 and (at + 4 > len(tail) or tail[at + 3] < 0xB9):  # of the pictures themselves
        at = tail.rfind(b"\0\0\1", 0, at + 2)
    if at < 0 or tail[at + 3] < 0xBB:
        return size
    return size - len(tail) + at + 6 + int.from_bytes(tail[at + 4 : at + 6])


def _index_end(head: bytes, tail: bytes, size: int) -> int:
    """NUT: its last part is an index, which says how long it is."""
    length = int.from_bytes(tail[-12:-4])
    if len(tail) < length <= size:  # a long one; what is no length is larger by far
        return size
    return size if tail[max(0, len(tail) - length) :].startswith(_NUT_INDEX) else size + 1


WALKS: dict[str, Callable[[], Walk]] = {
    "avi": _riff_lists,
    "ivf": _counted_frames,
    "matroska,webm": _elements,
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes,
    "ogg": _pages,
}
"""By FFmpeg's name for a container: through the parts of its files."""
ENDS: dict[str, Callable[[bytes, bytes, int], int]] = {
    "asf": _asf_end,
    "flv": _tags_end,
    "gif": _trailer_end,
    "mpeg": _program_end,
    "mpegts": _packets_end,
    "nut": _index_end,
}
"""By FFmpeg's name for a container: where a file should end, by HEAD, TAIL and its size."""
