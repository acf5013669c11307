"""Files and folders: left whole or not at all, one error for what cannot be written, one reader of YAML."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tdseg.errors import OutputError, TdsegError


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
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refused(f"{path}: {error.strerror}", expected=expected, do=do) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no text, or a day that there is not
        raise refused(f"{path}: not YAML ({' '.join(str(error).split())})", expected=expected, do=do) from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise refused(f"{path}: no fields", expected=expected, do=do)
    return values


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
    if not path.parent.is_dir():
        raise unwritable(path, f"there is no folder {path.parent}")
    if path.is_dir():
        raise unwritable(path, "it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise unwritable(path, f"no permission to write in {path.parent}")
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists",
            expected="a file that does not exist yet",
            do="choose another with --output, or replace it with --overwrite",
        )


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
        target = path.resolve()
        special = target.exists() and not target.is_file() and not target.is_dir()
        staged = target if special else target.with_name(f".{target.name}.partial")
        for folder in reversed(new):
            folder.mkdir(exist_ok=True)
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
            staged.write_text(text, encoding="utf-8")
    except ValueError as error:  # of a name with a null byte
        raise unwritable(path, error) from error
