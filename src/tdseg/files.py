"""Single files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from tdseg.errors import OutputError


def check_target(path: Path, *, overwrite: bool = True) -> None:
    """See to it that a file can be written there, before anything is computed.

    Args:
        path: the file.
        overwrite: whether it may replace a former one.

    Raises:
        OutputError: it cannot, or may not.
    """
    if not path.parent.is_dir():
        raise unwritable(path, f"there is no folder {path.parent}")
    if path.is_dir():
        raise unwritable(path, "it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise unwritable(path, f"no permission to write in {path.parent}")
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists",
            expected="a file that does not exist yet",
            do="choose another with --output, or replace it with --overwrite",
        )


def write_whole(path: Path, text: str) -> None:
    """Write text as UTF-8; a former file is replaced when the new one is whole.

    Raises:
        OutputError: it cannot be written; nothing new is left.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(path, error.strerror or str(error)) from error


def unwritable(path: Path, why: str) -> OutputError:
    """What to tell of a file that cannot be written."""
    return OutputError(
        f"cannot write {path}: {why}",
        expected="a file in a folder that can be written, on a disk with free space",
        do="free some space or choose another path",
    )
