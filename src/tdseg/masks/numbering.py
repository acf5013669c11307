"""The order of the files of a video's masks, by the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tdseg.errors import DataError

TIME = re.compile(r"\d{9,}\D\d|(19|20)\d{6}\D?\d{6}|\d\d(\D)\d\d\2\d\d|\d\.\d")
"""Times in names: seconds since 1970 and their parts, date and time, either in its parts, seconds with decimals."""


def numbers_of(files: list[Path]) -> list[int] | None:
    """The number that counts the files, in natural order: the first that varies while the text around it does not.

    Returns:
        None where there is no such number: names without one, a single file, times in several parts.

    Raises:
        DataError: the numbers count several sequences, or leave a gap.
    """
    parts = [re.split(r"(\d+)", f.stem) for f in files]
    texts = [tuple(part[::2]) for part in parts]
    if len(set(texts)) == len(files) or () in (tuple(part[1::2]) for part in parts):
        return None
    if len(set(texts)) > 1:
        raise _several(files, texts)
    runs = [[int(digits) for digits in run] for run in zip(*(part[1::2] for part in parts), strict=True)]
    varying = [run for run in runs if len(set(run)) > 1]
    if not varying or (len(varying) > 1 and all(TIME.search(f.stem) for f in files)):
        return None
    if len(set(varying[0])) == len(files):
        _check_gaps(files, varying[0])
        return varying[0]
    if len(varying) == 1:  # 1 and 01
        return None
    raise _several(files, varying[0])


def _several(files: list[Path], groups: Sequence[object]) -> DataError:
    """The error for files of several groups, given the group of each."""
    new = next(index for index, group in enumerate(groups) if group != groups[0])
    return DataError(
        f"{files[0].name} and {files[new].name} in {files[0].parent}: masks of several videos",
        expected="names that differ in one number",
        do="give the masks of each video by themselves",
    )


def _check_gaps(files: list[Path], numbers: list[int]) -> None:
    """Refuse numbered files with gaps: steps that are not equal, but multiples of the smallest. Times are not."""
    steps = [after - before for before, after in pairwise(numbers)]
    if not steps or max(steps) == (step := min(steps)) or any(other % step for other in steps):
        return
    gap = steps.index(max(steps))
    raise DataError(
        f"{files[gap].name} is followed by {files[gap + 1].name} in {files[gap].parent}",
        expected=f"{numbers[gap] + step} next: a mask for every frame",
        do="add the missing masks, or split the folder at the gap",
    )
