from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from support import layouts
from tdseg.errors import DataError
from tdseg.masks.reading import MOST_MASKS, open_masks

MASKS = [np.array([[0, 1, 2], [2, index, 255]], np.uint8) for index in range(3)]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_npz(tmp_path: Path, dtype: type) -> None:
    stack: np.ndarray = np.stack(MASKS).astype(dtype)
    np.savez_compressed(tmp_path / "masks.npz", stack)
    masks = open_masks(tmp_path / "masks.npz")
    assert (len(masks), masks.size) == (3, (2, 3))
    for mask, expected in zip(masks, MASKS, strict=True):
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, expected)
    np.savez(tmp_path / "void.npz", np.full((1, 2, 2), 3))
    assert all((mask == 255).all() for mask in open_masks(tmp_path / "void.npz", layouts.palette(tmp_path)))


def test_npz_of_bools(tmp_path: Path) -> None:
    np.savez(tmp_path / "masks.npz", np.array([[[True, False]]]))
    assert [mask.tolist() for mask in open_masks(tmp_path / "masks.npz")] == [[[1, 0]]]


def npz_with(path: Path, shape: tuple[int, ...], data: bytes, compression: int = zipfile.ZIP_STORED) -> int:
    """A file whose array claims a shape; returns where its compressed data ends."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", header.getvalue() + data)
        return archive.start_dir


@pytest.mark.parametrize("shape", [(0, 2, 2), (1, 0, 2), (-1, 2, 2), (1, -2, -2)])
def test_npz_without_pixels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    npz_with(tmp_path / "masks.npz", shape, bytes(4))
    with pytest.raises(DataError, match="1 arrays, the first uint8"):
        open_masks(tmp_path / "masks.npz")


def test_npz_shorter_than_it_claims(tmp_path: Path) -> None:
    npz_with(tmp_path / "masks.npz", (10**12, 2, 2), bytes(8))
    with pytest.raises(DataError, match="not a whole"):
        open_masks(tmp_path / "masks.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_npz(tmp_path: Path, compression: int) -> None:
    path, noise = tmp_path / "masks.npz", np.random.default_rng(0).bytes(90_000)
    end = npz_with(path, (9, 100, 100), noise, compression)
    whole = path.read_bytes()
    for at in (40, 200, end // 2, end - 20):
        path.write_bytes(whole[:at] + bytes(16 * [0xFF]) + whole[at + 16 :])
        with pytest.raises(DataError, match=r"masks.npz: "):
            list(open_masks(path))


@pytest.mark.parametrize(
    ("offset", "value", "message"), [((6, 8), 1, "encrypted"), ((8, 10), 77, "compression method is not supported")]
)
def test_npz_that_zipfile_cannot_read(tmp_path: Path, offset: tuple[int, int], value: int, message: str) -> None:
    path = tmp_path / "masks.npz"
    start = npz_with(path, (1, 2, 2), bytes(4))
    data = bytearray(path.read_bytes())
    data[offset[0]] = data[start + offset[1]] = value  # in the header of the member and in the directory
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        open_masks(path)


def test_refused_npz(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    for arrays, message in (
        ({"a": np.zeros((2, 2), np.uint8)}, r"uint8 \(2, 2\)"),
        ({"a": np.zeros((2, 2, 2))}, r"float64 \(2, 2, 2\)"),
        ({"a": MASKS[0][None], "b": MASKS[0][None]}, "2 arrays"),
        ({"a": np.full((1, 2, 2), 300)}, "mask 0: values 300"),
        ({"a": np.array([{}])}, r"object \(1,\)"),
        ({"a": np.asfortranarray(np.zeros((2, 3, 4), np.uint8))}, "not a whole"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=message):
            open_masks(path)
    np.savez(path, np.zeros((9, 90, 90), np.uint8))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match=r"masks.npz: not a whole"):
        open_masks(path)
    with pytest.raises(DataError, match=r"none.npz: No such file"):
        open_masks(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("shape", "values"), [("(True, 4, 5)", 20), ("(1000000000, 1, 1)", 1), ("(" + "1, " * 3000 + ")", 9), ("3.0", 1)]
)
def test_npz_that_makes_itself_up(shape: str, values: int, tmp_path: Path) -> None:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    with zipfile.ZipFile(tmp_path / "masks.npz", "w") as archive:
        archive.writestr("masks.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(values))
    with pytest.raises(DataError):
        open_masks(tmp_path / "masks.npz")


def test_npz_of_more_masks_than_any_video(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "masks.npz", np.zeros((MOST_MASKS + 1, 1, 1), np.uint8))
    with pytest.raises(DataError, match="at most"):
        open_masks(tmp_path / "masks.npz")
