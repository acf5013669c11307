"""Folders whose files are all new or all former ones, and none of them of others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.results import leave_halfway
from tdseg.errors import OutputError
from tdseg.files.publishing import LOCK, MADE, MARK, STAGING, claimed, contents, settle, whole_folder

BOTH = [Path("first"), Path("last")]


def fill(place: Path, *names: str) -> None:
    with whole_folder(place, BOTH) as staged:
        for name in names:
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_text("new")


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


@pytest.mark.parametrize("name", ["last/mine", "deep"])
def test_what_stands_in_the_way_is_met_before_anything_changes(name: str, tmp_path: Path) -> None:
    """A folder in the place of a file of the former result, a file in that of a folder."""
    (tmp_path / "first").write_text("old")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match="is not of the former result"):
        fill(tmp_path, "deep/second", "first", "last")
    assert [(tmp_path / each).read_text() for each in ("first", name)] == ["old", "mine"]
    assert not (tmp_path / STAGING).exists()


def test_what_stops_halfway_is_ended_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "last"):
        (tmp_path / name).write_text("old")
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target == tmp_path / "last":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="No space left"):
            fill(tmp_path, "first", "last")
    settle(tmp_path / "first")
    assert [(tmp_path / name).read_text() for name in ("first", "last")] == ["new", "new"]


def test_a_run_that_is_refused_leaves_the_folder_to_the_other(tmp_path: Path) -> None:
    with claimed(tmp_path / "place") as staging:
        for _ in range(2):
            with pytest.raises(OutputError, match="in use by process"), claimed(tmp_path / "place"):
                pass
            assert (staging / LOCK).exists()
    assert not list(tmp_path.iterdir())


def test_a_run_that_begins_while_another_ends_keeps_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = os.unlink

    def and_another_begins(path: Any, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        if Path(path).name == LOCK:
            (tmp_path / STAGING / LOCK).touch()

    monkeypatch.setattr(os, "unlink", and_another_begins)
    with whole_folder(tmp_path) as staged:
        (staged / "first").write_text("new")
    assert (tmp_path / "first").read_text() == "new"
    assert [path.name for path in (tmp_path / STAGING).iterdir()] == [LOCK]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_nothing_is_written_through_links_in_the_hidden_folder(link: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for name in (LOCK, f"{MARK}.new"):
        place = tmp_path / name
        (place / STAGING).mkdir(parents=True)
        link(tmp_path / "mine", place / STAGING / name)
        with suppress(OutputError), whole_folder(place) as staged:
            (staged / "first").write_text("new")
        assert (place / "first").exists() == (link is os.link)
        assert (tmp_path / "mine").read_text() == "mine"


def test_nothing_is_moved_through_links_in_the_hidden_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine").write_text("mine")
    place = tmp_path / "place"
    leave_halfway(place, {"mine": b""})
    (place / STAGING / MADE / "mine").unlink()
    (place / STAGING / MADE).rmdir()
    (place / STAGING / MADE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="made is a link"):
        contents(place)
    assert (tmp_path / "elsewhere/mine").read_text() == "mine"


def test_a_former_result_is_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    place = tmp_path / "place"
    with pytest.raises(OutputError, match="not in"), whole_folder(place, [Path("../mine")]) as staged:
        (staged / "first").write_text("new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not place.exists()
