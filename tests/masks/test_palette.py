from __future__ import annotations

from pathlib import Path

import pytest

from support import layouts
from tdseg.errors import DataError
from tdseg.masks.palette import read_palette


def test_palette(tmp_path: Path) -> None:
    palette = layouts.palette(tmp_path)
    assert palette.names == ("Sky", "Road", "Old tree", "Void")
    assert palette.colors.tolist() == [[0, 0, 0], [200, 10, 10], [10, 200, 10], [9, 9, 9]]


def test_palette_with_a_mark_and_several_voids(tmp_path: Path) -> None:
    (tmp_path / "palette.txt").write_text("0 0 0 void\n1 1 1 void\n2 2 2 Road\n", encoding="utf-8-sig")
    assert read_palette(tmp_path / "palette.txt").names == ("void", "void", "Road")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "line 1: '1 2 3'"),
        ("0 0 0 a\n1 2 256 b", "line 2"),
        ("1 1 1 a\n1 1 1 b", "colour of a"),
        ("1 1 1 a\n2 2 2 b\n3 3 3 a", "line 3: '3 3 3 a' repeats the class a"),
        ("# nothing", "0 classes"),
        ("\udcff", "not a"),
    ],
)
def test_refused_palettes(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "palette.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message):
        read_palette(path)
