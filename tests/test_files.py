from __future__ import annotations

from pathlib import Path

import pytest

from tdseg.errors import OutputError
from tdseg.files import check_target, unwritable, whole_file, write_whole


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


def test_an_error_met_within_is_told_once() -> None:
    within = unwritable("out/a.png", "No space left")
    assert unwritable("out", within).got == "cannot write out: out/a.png: No space left"


def fill_the_disk(path: Path) -> None:
    with whole_file(path, parents=True) as staged:
        staged.write_text("half")
        raise OSError(28, "No space left on device")


def test_a_file_that_fails_leaves_the_former_one_and_no_new_folder(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    for path in (tmp_path / "old.txt", tmp_path / "new" / "deep" / "file.txt"):
        with pytest.raises(OutputError, match=r"cannot write .*: No space left"):
            fill_the_disk(path)
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"
