"""Files of torch.save that ask for more than they are: refused before they are opened."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from support.hostile import Hostile
from tdseg.zoo.pickled import load_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": {"c": [torch.zeros(2, dtype=torch.int64), "text", 1.5, None]}}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_back(zipped: bool, tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = load_tensors(tmp_path / "x.pth")
    assert torch.equal(found["a"], TENSORS["a"])  # type: ignore[arg-type]
    assert found["b"]["c"][1:] == ["text", 1.5, None]


def test_keys_that_hold_each_other_twice(tmp_path: Path) -> None:
    """Each level of 4 bytes doubles what hashing the key takes: 60 levels are years."""
    data = b"\x80\x02}(N" + b"q\x00h\x00\x86" * 60 + b"K\x01u."
    (tmp_path / "bare.pth").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "zipped.pth", "w") as archive:
        archive.writestr("x/data.pkl", data)
    for name in ("bare.pth", "zipped.pth"):
        with pytest.raises(ValueError, match="stand for over"):
            load_tensors(tmp_path / name)


def test_archives_that_hold_more_than_they_are(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}." + bytes(10**7))
    with pytest.raises(ValueError, match="more than its bytes"):
        load_tensors(tmp_path / "x.pth")


def test_memory_by_a_call(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")
    with pytest.raises(ValueError, match="calls builtins bytearray"):
        load_tensors(tmp_path / "x.pth")


def test_nothing_is_run(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    torch.save({"x": Hostile(victim)}, tmp_path / "x.pth")
    with pytest.raises(Exception, match="Unsupported"):
        load_tensors(tmp_path / "x.pth")
    assert not victim.exists()


@pytest.mark.parametrize("keep", [0, 1, 2, 10, 100, 500])
def test_damage_is_an_error(keep: int, tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save(TENSORS, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        (tmp_path / "x.pth").write_bytes((tmp_path / "x.pth").read_bytes()[:keep])
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever torch makes of it
            load_tensors(tmp_path / "x.pth")
