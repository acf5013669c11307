"""Folders whose files are all new or all former ones, and none of them of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tdseg.errors import OutputError
from tdseg.files.publishing import MADE, MARK, STAGING, contents, whole_folder

BOTH = [Path("first"), Path("last")]


def test_files_take_the_place_of_former_ones(tmp_path: Path) -> None:
    target = tmp_path / "made" / "folder"
    with pytest.raises(ZeroDivisionError), whole_folder(target) as staged:
        (staged / "first").write_text(str(1 / 0))
    assert not (tmp_path / "made").exists()
    for names in (["first", "last"], ["deep/er/second", "last"]):
        with whole_folder(target, BOTH, Path("last")) as staged:
            assert not any(staged.iterdir())
            for name in names:
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).write_text(names[0])
    (target / "mine").touch()
    assert contents(target) == {"deep", "last", "mine"}
    with pytest.raises(OutputError, match="mine is not of the former result"), whole_folder(target, BOTH) as staged:
        (staged / "mine").touch()
    assert (target / "last").read_text() == "deep/er/second"


def test_what_was_left_in_the_middle_is_put_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("old")
    (tmp_path / STAGING / MADE).mkdir(parents=True)
    (tmp_path / STAGING / MADE / "last").write_text("new")
    mark = '{"made": ["last"], "former": ["first", "last"], "last": "last"}'
    (tmp_path / STAGING / f"{MARK}.new").write_text(mark)
    assert contents(tmp_path) == {"first"}  # the mark is not there yet
    (tmp_path / STAGING / f"{MARK}.new").rename(tmp_path / STAGING / MARK)
    assert contents(tmp_path) == {"last"}
    assert not (tmp_path / STAGING).exists()


@pytest.mark.parametrize("name", ["../mine", "/mine", "link/mine", 7, {"a": 1}])
@pytest.mark.parametrize("list_", ["made", "former"])
def test_a_mark_of_others_removes_and_places_nothing_elsewhere(tmp_path: Path, name: object, list_: str) -> None:
    place = tmp_path / "place"
    (place / STAGING / MADE).mkdir(parents=True)
    (place / "link").symlink_to(tmp_path)
    (tmp_path / "mine").touch()
    mark = {"made": [], "former": [], "last": None, list_: [name]}
    (place / STAGING / MARK).write_text(json.dumps(mark))
    with pytest.raises(OutputError, match="is not of a run of tdseg"):
        contents(place)
    assert (tmp_path / "mine").exists()
