"""Binary masks as COCO's compressed run lengths.

Runs go down the columns, the first one of zeros. Each length, from the fourth on less that of two runs before, is
written in groups of five bits, the lowest first, with a sixth bit where more follow, as a character from "0" on.

COCO's own pycocotools encodes no faster, and its decoder, given damaged lengths, returns memory that was never written
or ends the process; so files are not read by it. Tests hold the two against each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import DataError
from tdseg.files import parse_json
from tdseg.masks.palette import unreadable
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID

MOST_PIXELS = 1 << 28
"""Of a mask, 16384x16384: what a file claims is not believed beyond."""
MOST_GROUPS = 7
"""Of a number below 2**31."""


def encode_mask(mask: NDArray[np.bool_]) -> str:
    """The run lengths of a mask, (H, W)."""
    pixels = mask.T.ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    starts = [0, 0] if pixels.size and pixels[0] else [0]
    runs = np.diff(np.concatenate((starts, changes, [pixels.size]))).astype(np.int64)
    rest = runs.copy()
    rest[3:] -= runs[1:-2]
    characters = np.zeros((len(rest), MOST_GROUPS), np.uint8)
    is_more = np.ones(len(rest), bool)
    for group in range(MOST_GROUPS):
        low, rest = rest & 0x1F, rest >> 5
        sign = (low & 0x10) != 0
        is_last = np.where(sign, rest == -1, rest == 0)
        characters[:, group] = np.where(is_more, low + 0x20 * ~is_last + 48, 0)
        is_more &= ~is_last
    return characters[characters > 0].tobytes().decode("ascii")


def decode_mask(counts: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of run lengths.

    Args:
        counts: as `encode_mask` gives.
        size: (H, W).

    Raises:
        ValueError: they are damaged, or not of this size.
    """
    codes = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    is_last = (codes & 0x20) == 0
    if not len(codes) or codes.min() < 0 or codes.max() > 0x3F or not is_last[-1]:
        raise ValueError("damaged run lengths")
    ends = np.flatnonzero(is_last)
    begins = np.concatenate(([0], ends[:-1] + 1))
    group = np.arange(len(codes)) - np.repeat(begins, ends - begins + 1)
    if group.max() >= MOST_GROUPS:
        raise ValueError("run lengths beyond any picture")
    runs = np.add.reduceat((codes & 0x1F) << 5 * group, begins)
    runs -= np.where(codes[ends] & 0x10, 1 << 5 * (group[ends] + 1), 0)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    height, width = size
    if runs.min() < 0 or runs.max() > height * width or runs.sum() != height * width:
        raise ValueError(f"run lengths of {runs.sum()} pixels, not {height * width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def segments_of(mask: NDArray[np.uint8], classes: Sequence[str]) -> list[dict[str, Any]]:
    """The classes in a mask, (H, W), as COCO has segments: those that have a name in `classes`, by index."""
    size = list(mask.shape)
    segments = []
    for index in np.unique(mask).tolist():
        if index < len(classes):
            inside = mask == index
            segments.append(
                {
                    "category_id": index,
                    "name": classes[index],
                    "area": int(np.count_nonzero(inside)),
                    "segmentation": {"size": size, "counts": encode_mask(inside)},
                }
            )
    return segments


def frame_line(mask: NDArray[np.uint8], classes: Sequence[str], *, frame: int | None, time_s: float | None) -> str:
    """The classes in a mask, (H, W), as a line of JSON.

    Args:
        mask: class index per pixel; what has no name in `classes` is left out.
        classes: names by index.
        frame: number of the frame.
        time_s: its time, seconds.
    """
    segments = segments_of(mask, classes)
    line = {"frame": frame, "time_s": time_s, "size": list(mask.shape), "segments": segments}
    return json.dumps(line, ensure_ascii=False) + "\n"


def read_lines(path: Path) -> Iterator[Mask]:
    """The masks of a file of `frame_line`s, one after the other; pixels of no segment are void.

    Raises:
        DataError: the file cannot be read, or a line is of another form.
    """
    for number, line in _lines(path):
        try:
            fields = parse_json(line)
            height, width = fields["size"]
            if not 0 < height * width <= MOST_PIXELS or min(height, width) < 1:
                raise ValueError(f"size {height}x{width}")
            mask = np.full((height, width), VOID, np.uint8)
            for segment in fields["segments"]:
                index, counts = segment["category_id"], segment["segmentation"]["counts"]
                if type(index) is not int or not 0 <= index < VOID:
                    raise ValueError(f"category_id {index!r}")
                mask[decode_mask(counts, (height, width))] = index
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"{path}, line {number}: {why}",
                expected="a frame's size and segments, each with category_id 0 … 254 and compressed run lengths",
                do="write the file by tdseg segment --write rle",
            ) from None
        yield mask


def read_fields_of(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that `read_lines` has read, as they are."""
    return (json.loads(line) for _, line in _lines(path))


def count_lines(path: Path) -> int:
    """How many masks there are in such a file.

    Raises:
        DataError: none, or the file cannot be read.
    """
    if count := sum(1 for _ in _lines(path)):
        return count
    raise DataError(f"{path}: no line in it", expected="a JSON line for each frame", do="give the file of the masks")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or "not a text file") from None
