from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco  # type: ignore[import-untyped]

from tdseg.errors import DataError
from tdseg.masks.reading import open_masks
from tdseg.masks.rle import decode_mask, encode_mask, frame_line

# Down the columns, by hand. A length L below 16 is the character of 48 + L; 16 … 511 are two: the low five bits and
# 32, then the rest. From the fourth length on, what is written is the difference to two before.
KNOWN = {
    "none": (np.zeros((2, 3), bool), "6"),
    "all": (np.ones((2, 3), bool), "06"),
    "one column": (np.array([[0, 1, 0], [0, 1, 0]], bool), "222"),
    "checkered": (np.array([[0, 1], [1, 0]], bool), "121"),
    "stripes": (np.array([[1, 0, 1, 0]], bool), "01100"),  # 0 1 1 1 1: written 0 1 1, 1 - 1, 1 - 1
    "shrinking": (np.array([[0, 1, 1, 1, 0, 1, 0]], bool), "131N0"),  # 1 3 1 1 1: 1 - 3 = -2, 1 - 1 = 0
    "long": (np.zeros((10, 10), bool), "T3"),  # 100 = 3 · 32 + 4: 4 + 32 + 48 = "T", 3 + 48 = "3"
    "sixteen": (np.zeros((4, 4), bool), "`0"),  # 16 has the bit of the sign, so a group of 0 follows
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(name: str) -> None:
    mask, counts = KNOWN[name]
    assert encode_mask(mask) == counts
    np.testing.assert_array_equal(decode_mask(counts, mask.shape), mask)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 70), st.floats(0, 1))
def test_round_trips_and_cocos_own_tools(seed: int, height: int, width: int, share: float) -> None:
    random = np.random.default_rng(seed)
    mask = np.repeat(random.random((height, width)) < share, random.integers(1, 40), axis=0)
    counts = encode_mask(mask)
    np.testing.assert_array_equal(decode_mask(counts, mask.shape), mask)
    theirs = coco.encode(np.asfortranarray(mask.view(np.uint8)))
    assert theirs["counts"].decode() == counts
    np.testing.assert_array_equal(coco.decode({"size": list(mask.shape), "counts": counts.encode()}), mask)


def test_a_line_is_in_cocos_form(tmp_path: Path) -> None:
    mask = np.array([[0, 2, 255], [0, 2, 255]], np.uint8)
    line = frame_line(mask, ("Sky", "Road", "Car"), frame=7, time_s=0.28)
    assert json.loads(line) == {
        "frame": 7,
        "time_s": 0.28,
        "size": [2, 3],
        "segments": [
            {"category_id": 0, "name": "Sky", "area": 2, "segmentation": {"size": [2, 3], "counts": "024"}},
            {"category_id": 2, "name": "Car", "area": 2, "segmentation": {"size": [2, 3], "counts": "222"}},
        ],
    }
    (tmp_path / "masks.jsonl").write_text(line + line)
    masks = open_masks(tmp_path / "masks.jsonl")
    assert (len(masks), masks.size) == (2, (2, 3))
    np.testing.assert_array_equal(list(masks), [mask, mask])


def changed(**values: object) -> str:
    segment = {"category_id": 0, "segmentation": {"size": [2, 3], "counts": "024"}}
    segment |= {name: value for name, value in values.items() if name in segment}
    return json.dumps({"size": [2, 3], "segments": [segment]} | {k: v for k, v in values.items() if k == "size"})


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "{}",
        "[" * 100_000,
        changed(size=[2, 4]),
        changed(size=[10**9, 10**9]),
        changed(size=[-2, -3]),
        changed(size="23"),
        changed(category_id=255),
        changed(category_id=True),
        changed(segmentation={"counts": "02"}),
        changed(segmentation={"counts": ""}),
        changed(segmentation={"counts": "é"}),
        changed(segmentation={"counts": "T"}),
        changed(segmentation={"counts": "ooooooooooooooo0"}),
        changed(segmentation={"counts": [0, 2, 4]}),
        changed(segmentation={}),
    ],
)
def test_damaged_lines_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "masks.jsonl").write_text(changed() + "\n" + line + "\n")
    with pytest.raises(DataError, match="line 2"):
        list(open_masks(tmp_path / "masks.jsonl"))


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe")
    for name in ("empty", "binary", "missing"):
        with pytest.raises(DataError, match=name):
            open_masks(tmp_path / f"{name}.jsonl")
