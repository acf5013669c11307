"""A picture in tiles, as phones and encoders of AVIF write large ones; Pillow writes none."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def save_tiled_avif(path: Path, image: NDArray[np.uint8]) -> Path:
    """An AVIF file with the four quarters of a picture, each a picture of its own, and a grid that joins them.

    Args:
        path: file to be; FFmpeg reads it like HEIC where it is called so.
        image: (H, W, 3) RGB, H and W multiples of 4, at least 128.
    """
    height, width = (side // 2 for side in image.shape[:2])
    quarters = [image[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    tiles = [_encoded(quarter) for quarter in quarters]
    grid = struct.pack(">BBBBHH", 0, 0, 1, 1, 2 * width, 2 * height)
    items = [grid, *(data for _, data in tiles)]
    properties = _box(b"ipco", _extent(2 * width, 2 * height), _extent(width, height), tiles[0][0], PIXI)
    uses = [(1, (1, 4)), *((item, (2, 0x83, 4)) for item in range(2, 6))]
    association = b"".join(struct.pack(">HB", item, len(used)) + bytes(used) for item, used in uses)
    kinds = [(1, b"grid"), *((item, b"av01") for item in range(2, 6))]
    entries = b"".join(_full(b"infe", struct.pack(">HH4s", item, 0, kind) + b"\0", version=2) for item, kind in kinds)
    start = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")

    def meta(offset: int) -> bytes:
        places = b""
        for item, data in enumerate(items, 1):
            places += struct.pack(">HHHII", item, 0, 1, offset, len(data))
            offset += len(data)
        return _full(
            b"meta",
            _full(b"hdlr", b"\0\0\0\0pict" + bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)), places),
            _full(b"iinf", struct.pack(">H", len(items)), entries),
            _full(b"iref", _box(b"dimg", struct.pack(">HH4H", 1, 4, 2, 3, 4, 5))),
            _box(b"iprp", properties, _full(b"ipma", struct.pack(">I", len(items)), association)),
        )

    offset = len(start) + len(meta(0)) + 8
    path.write_bytes(start + meta(offset) + _box(b"mdat", *items))
    return path


def _encoded(image: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """The box that configures the decoder, and the picture."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "AVIF", quality=95, speed=10)
    data = file.getvalue()
    at = data.index(b"av1C") - 4
    (size,) = struct.unpack_from(">I", data, at)
    return data[at : at + size], data[data.index(b"mdat") + 4 :]


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)


def _extent(width: int, height: int) -> bytes:
    return _full(b"ispe", struct.pack(">II", width, height))


PIXI = _full(b"pixi", b"\3\x08\x08\x08")
