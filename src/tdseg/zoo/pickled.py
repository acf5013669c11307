"""Files of torch.save, opened only after a look at what opening them would take.

torch's own reader of weights runs no code. But a few bytes can ask for more time than there is, by keys that hold each
other twice, or for more memory, by archives that unpack to more than they are.
"""

from __future__ import annotations

import os
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

MOST_PARTS = 10_000_000
"""Values that one value of a pickle may stand for, those that it holds several times counted each time."""
MOST_PICKLE = 256 << 20
"""Bytes of a pickle, without its tensors."""
_PICKLES = 5
"""Of a file in the old format, before its tensors."""
_FOREIGN = frozenset({"bytearray", "complex", "Counter"})
"""Names that torch would call, and no tensor needs."""


def load_tensors(path: Path) -> Any:
    """What torch.save put into a file, on the CPU: tensors in plain containers. Nothing in it is executed.

    Raises:
        OSError: it cannot be read.
        ValueError: opening it would take more time or memory than it can be worth.
        Exception: whatever torch makes of a damaged file.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # devices may never end
        raise ValueError("no file")
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            _check_archive(path)
        else:
            file.seek(0)
            for _ in range(_PICKLES):
                try:
                    _check_pickle(_operations(file))
                except (EOFError, OSError, OverflowError, UnicodeDecodeError, IndexError, KeyError):
                    break  # no pickle goes on here: tensors begin, or damage
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_archive(path: Path) -> None:
    """See that an archive holds no more than its bytes.

    Raises:
        ValueError: it does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ValueError("an archive that holds more than its bytes")
            for entry in entries:
                if entry.filename.endswith(".pkl"):
                    with archive.open(entry) as file:
                        _check_pickle(pickletools.genops(file))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"not a whole archive: {error}") from None


def _operations(file: Any) -> Iterator[tuple[Any, Any, int | None]]:
    """Those of one pickle, where it begins as one does."""
    start = file.tell()
    if file.read(1) != b"\x80":
        raise EOFError
    file.seek(start)
    return pickletools.genops(file)


def _check_pickle(operations: Iterator[tuple[Any, Any, int | None]]) -> None:
    """Follow how many values each value of a pickle stands for, without making any.

    Raises:
        ValueError: too many, or a damaged pickle.
    """
    stack, memo = list[int | None](), dict[int, int]()  # None is a mark
    for operation, argument, at in operations:
        if at is not None and at > MOST_PICKLE:
            raise ValueError("a pickle too large for its tensors")
        if operation.name in ("GLOBAL", "STACK_GLOBAL") and str(argument).rpartition(" ")[2] in _FOREIGN:
            raise ValueError(f"a pickle that calls {argument}")
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            if not stack:
                raise ValueError("a damaged pickle")
            memo[len(memo) if argument is None else argument] = stack[-1] or 1
            continue
        if operation.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo.get(argument, 1))
            continue
        taken = _taken(stack, operation)
        if taken > MOST_PARTS:
            raise ValueError(f"a pickle whose values stand for over {MOST_PARTS} others")
        stack += [None if made.name == "mark" else taken + 1 for made in operation.stack_after]


def _taken(stack: list[int | None], operation: Any) -> int:
    """Values that an operation takes from the stack stand for."""
    total, before = 0, [kind.name for kind in operation.stack_before]
    if "mark" in before:
        while stack and (value := stack.pop()) is not None:
            total += value
        before = before[: before.index("mark")]
    for _ in before:
        if stack:
            total += stack.pop() or 0
    return total
