from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tdseg.errors import OutputError
from tdseg.files import (
    MOST_BYTES,
    check_target,
    parse_json,
    parse_yaml,
    read_text,
    unwritable,
    whole_file,
    write_whole,
)


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


@pytest.mark.parametrize(
    "text",
    [
        *("a: 2026-99-99", "a: 0b_", "a: !!int x", "a: !!timestamp z", "a: !!bool x", "a: 1" + "0" * 5000),
        *("a: 0x" + "f" * 5000, "[" * 5000, "[" * 100 + "]" * 100, "&a [*a]", "a: *b", "a: !!python/name:os.system"),
        "\n".join(
            ["a: &a [x]", *(f"{chr(n)}: &{chr(n)} [{', '.join([f'*{chr(n - 1)}'] * 9)}]" for n in range(98, 110))]
        ),
        *("\x00", "a: '\ud800'", "%YAML 9.9\n--- a", "? [a]\n: b\n? {}: {}"),
    ],
)
def test_yaml_that_cannot_be_is_a_short_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        parse_yaml(text)
    assert len(str(raised.value)) <= 300
    assert "\n" not in str(raised.value)


def test_yaml_is_plain_values() -> None:
    assert parse_yaml("a: [1, 0x1f, 1.5, .inf, yes, null, text]\nb: &b {c: d}\ne: *b") == {
        "a": [1, 31, 1.5, float("inf"), True, None, "text"],
        "b": {"c": "d"},
        "e": {"c": "d"},
    }
    assert parse_yaml("") is None


def test_json_out_of_measure() -> None:
    for text in ("[" * 100_000, "9" * 5000, "{", b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)


def test_files_of_values_are_small(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(ValueError, match="MiB"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_nothing_is_written_through_a_link_of_the_hidden_name(link: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    link(tmp_path / "mine", tmp_path / ".a.json.partial")
    write_whole(tmp_path / "a.json", "new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "a.json").read_text() == "new"
    assert not (tmp_path / "a.json").is_symlink()
