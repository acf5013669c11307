"""Files and folders: left whole or not at all, one error for what cannot be written, one reader of YAML and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import yaml

from tdseg.errors import OutputError, TdsegError, shortened

MOST_VALUES = 50_000
"""Values in a text of YAML, with those that aliases stand for: a few lines can stand for more than fits in memory."""
MOST_LEVELS = 64
"""Of values inside of values."""
MOST_BYTES = 4 << 20
"""Of a file of YAML or JSON."""
MOST_DIGITS = 100
"""Of a whole number."""


def read_fields(path: Path, refused: type[TdsegError], *, expected: str, do: str) -> dict[str, Any]:
    """The fields of a YAML file, plain values: tags that would make objects are refused.

    Args:
        path: of the file.
        refused: kind of the error.
        expected, do: of the error.

    Raises:
        TdsegError: of that kind: the file cannot be read, is not YAML, or holds something else than fields.
    """
    try:
        values = parse_yaml(read_text(path))
    except OSError as error:
        raise refused(f"{path}: {error.strerror}", expected=expected, do=do) from None
    except ValueError as error:
        raise refused(f"{path}: not YAML ({error})", expected=expected, do=do) from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise refused(f"{path}: no fields", expected=expected, do=do)
    return values


def read_text(path: Path) -> str:
    """A file of values, in UTF-8.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text, or larger than any such file.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"over {MOST_BYTES >> 20} MiB")
    return data.decode("utf-8")


def parse_yaml(text: str) -> Any:
    """Plain values of a text of YAML: tags that would make objects are refused, and so is what is out of all measure.

    Raises:
        ValueError: it is not YAML, or a value cannot be, such as the 99th day of a month; in one line.
    """
    try:
        loader = _PlainLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {}, 0)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except Exception as error:  # what cannot be built makes the library raise what it meets
        why = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        if not isinstance(error, (yaml.YAMLError, ValueError, RecursionError)):
            why = "a value that cannot be what it is tagged or written as"
        raise ValueError(shortened(why, 300)) from None


def parse_json(text: str | bytes) -> Any:
    """Plain values of a text of JSON.

    Raises:
        ValueError: it is not JSON, or out of all measure.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


class _PlainLoader(yaml.SafeLoader):
    """YAML's own kinds of values; of whole numbers those that anything here could mean."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > MOST_DIGITS:
            raise ValueError(f"a number of {len(node.value)} digits")
        return super().construct_yaml_int(node)


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.construct_yaml_int)


def _measure(node: yaml.Node, known: dict[int, int], level: int) -> int:
    """How many values a node stands for.

    Args:
        node: of a document.
        known: of nodes met before, by id; 0 while their own values are counted.
        level: how deep it is in others.

    Raises:
        ValueError: too many, too deep, or itself among them.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("an alias for what it is part of")
        return known[id(node)]
    if level > MOST_LEVELS:
        raise ValueError(f"over {MOST_LEVELS} values inside of each other")
    known[id(node)] = 0
    inside = node.value if isinstance(node, yaml.CollectionNode) else []
    parts = [part for item in inside for part in (item if isinstance(item, tuple) else (item,))]
    count = 1 + sum(_measure(part, known, level + 1) for part in parts)
    if count > MOST_VALUES:
        raise ValueError(f"aliases that stand for over {MOST_VALUES} values")
    known[id(node)] = count
    return count


def unwritable(place: str | Path, why: BaseException | str, *, do: str = "") -> OutputError:
    """The error for a place that cannot be written, on a full disk for one.

    Args:
        place: file or folder, as the user knows it.
        why: in words, or the exception that was met.
        do: what the user can do, where it is more than to make room or to choose another place.
    """
    if isinstance(why, OutputError):
        why = why.got.removeprefix("cannot write ")
    elif isinstance(why, BaseException):
        why = getattr(why, "strerror", None) or " ".join(str(why).split()) or type(why).__name__
    return OutputError(
        f"cannot write {place}: {why}",
        expected="a place that can be written, on a disk with free space",
        do=do or "free some space, or choose another place",
    )


def check_target(path: Path, *, overwrite: bool = True) -> None:
    """See to it that a file can be written there, before work is done for it.

    Raises:
        OutputError: it cannot, or it exists and `overwrite` is not given.
    """
    if not os.path.isdir(path.parent):
        raise unwritable(path, f"there is no folder {path.parent}")
    if os.path.isdir(path):
        raise unwritable(path, "it is a folder")
    if not os.access(path if os.path.exists(path) else path.parent, os.W_OK):
        raise unwritable(path, f"no permission to write in {path.parent}")
    if os.path.exists(path) and not overwrite:
        raise OutputError(
            f"{path} exists",
            expected="a file that does not exist yet",
            do="choose another with --output, or replace it with --overwrite",
        )


def check_folder(path: Path) -> None:
    """Make a folder, if need be, and see to it that files can be written in it, before work is done for them.

    Raises:
        OutputError: they cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def whole_file(path: Path, *, parents: bool = False) -> Iterator[Path]:
    """Where to make a file, which then takes its name `path`, in the place of a former one; after an error it is gone.

    Pipes and devices are written to as they are, and a link stays one.

    Args:
        path: the file to be.
        parents: make the folders it is in, which go again after an error.

    Raises:
        OutputError: for any OSError that is met on the way.
    """
    new = [folder for folder in path.parents if parents and not os.path.exists(folder)]  # innermost first
    whole = False
    target = staged = path
    try:
        target = Path(os.path.realpath(path))
        special = target.exists() and not target.is_file() and not target.is_dir()
        staged = target if special else target.with_name(f".{target.name}.partial")
        for folder in reversed(new):
            folder.mkdir(exist_ok=True)
        if staged is not target:
            staged.unlink(missing_ok=True)  # of a run that was killed; nothing is written through a link of this name
        yield staged
        if staged is not target:
            staged.replace(target)
        whole = True
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if not whole and staged is not target:
            with suppress(OSError):
                staged.unlink(missing_ok=True)
        for folder in () if whole else new:
            with suppress(OSError):
                folder.rmdir()


def write_whole(path: Path, text: str) -> None:
    """Write a text file; a former one is replaced when the new one is whole.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with whole_file(path) as staged:
            staged.write_text(text, encoding="utf-8", errors="backslashreplace")  # names may be no text
    except ValueError as error:  # of a name with a null byte
        raise unwritable(path, error) from error
