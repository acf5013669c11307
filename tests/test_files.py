from __future__ import annotations

from pathlib import Path

import pytest

from tdseg.errors import OutputError
from tdseg.files import check_target, write_whole


def test_replaces_whole(tmp_path: Path) -> None:
    file, link = tmp_path / "a.json", tmp_path / "link.json"
    file.write_text("old")
    link.symlink_to(file)
    check_target(link)
    write_whole(link, "new")
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "link.json"]


def test_devices_are_written_to() -> None:
    write_whole(Path("/dev/null"), "gone")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("name", ["missing/a.json", ".", "x" * 300])
def test_unwritable(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        check_target(tmp_path / name) if len(name) < 300 else write_whole(tmp_path / name, "text")
    assert list(tmp_path.iterdir()) == []
