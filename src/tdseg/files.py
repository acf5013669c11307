"""Single files that commands leave: whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tdseg.errors import OutputError


def check_target(path: Path, *, overwrite: bool = True) -> None:
    """See to it that `write_whole` can write there, before work is done for it.

    Args:
        path: the file.
        overwrite: whether it may replace a former one.

    Raises:
        OutputError: it cannot, or may not.
    """
    if not path.parent.is_dir():
        raise _unwritable(path, f"there is no folder {path.parent}")
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _unwritable(path, f"no permission to write in {path.parent}")
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path} exists",
            expected="a file that does not exist yet",
            do="choose another with --output, or replace it with --overwrite",
        )


def write_whole(path: Path, text: str) -> None:
    """Write a text file; a former one is replaced when the new one is whole. Pipes and devices are written to.

    Raises:
        OutputError: it cannot be written.
    """
    target = path.resolve()  # a link stays one
    partial = target.with_name(f".{target.name}.partial")
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            partial.unlink(missing_ok=True)
        raise _unwritable(path, getattr(error, "strerror", None) or str(error)) from error


def _unwritable(path: Path, why: str) -> OutputError:
    return OutputError(
        f"cannot write {path}: {why}",
        expected="a file in a folder that can be written, on a disk with free space",
        do="choose another path",
    )
