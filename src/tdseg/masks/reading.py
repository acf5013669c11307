"""Masks of any tool: a folder of PNGs, indexed or coloured, or a file of all of them. Needs no model and no torch."""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from tdseg.errors import DataError
from tdseg.files.publishing import settle
from tdseg.masks import rle
from tdseg.masks.labels import ClassTable, Pixels, not_indexed, read_pixels
from tdseg.masks.palette import Palette, unreadable
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID
from tdseg.video.grey import grey_times, read_grey
from tdseg.video.pictures import is_image, natural_order

TIME = re.compile(r"\d{9,}\D\d|(19|20)\d{6}\D?\d{6}|\d\d(\D)\d\d\2\d\d|\d\.\d")
"""Times in names: seconds since 1970 and their parts, date and time, either in its parts, seconds with decimals."""


MOST_MASKS = 2_000_000
"""Of a file, 22 hours of 25 a second: what it claims is not believed beyond."""


class Masks:
    """The masks of one video, in order; made by :func:`open_masks`. Each iteration reads them anew, one at a time.

    Attributes:
        source: what the user gave, printable.
        names: of each mask, such as its file's name.
        size: (H, W) of all of them, pixels.
        numbers: of each file in its sequence, growing; None where the names have none.
    """

    def __init__(
        self,
        source: Path,
        names: list[str],
        read: Callable[[], Iterable[Pixels]],
        palette: Palette | None,
        numbers: list[int] | None = None,
    ) -> None:
        self.source = str(source)
        self.names = names
        self.numbers = numbers
        self._read = read
        self._table = None if palette is None else ClassTable.of(palette)
        self.size: tuple[int, int] = next(self._classes())[1].shape

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Mask]:
        """uint8 (H, W) class indices, 255 void.

        Raises:
            DataError: a mask that cannot be read, is of another size, or holds what is no class.
        """
        for name, mask in self._classes():
            if mask.shape != self.size:
                raise DataError(
                    f"{name} is {size_text(mask.shape)}, {self.names[0]} is {size_text(self.size)}",
                    expected="masks of one size",
                    do="give the masks of each video by themselves",
                )
            yield mask

    def _classes(self) -> Iterator[tuple[str, Mask]]:
        palettes = SeenPalettes()
        for name, pixels in zip(self.names, self._read(), strict=True):
            if self._table:
                yield name, self._table.classes(pixels, name)
            elif pixels.values.ndim == 2:
                if (value := palettes.differs(pixels)) is not None:
                    raise DataError(
                        f"{name}: value {value} has another colour than in a mask before it",
                        expected="masks in which a value is the same class throughout, and has its colour",
                        do="give the colours of the classes with --palette; if the values are right, save them as grey",
                    )
                yield name, pixels.values
            else:
                raise not_indexed(name, "RGB", "give the colours of the classes with --palette")


class SeenPalettes:
    """The colours that the values of indexed files had so far."""

    def __init__(self) -> None:
        self._colors = np.zeros((256, 3), np.uint8)
        self._seen = np.zeros(256, bool)

    def differs(self, pixels: Pixels) -> int | None:
        """A value that had another colour in a file before this; None if there is none."""
        if pixels.mode != "P" or pixels.palette is None:
            return None
        used = pixels.used()
        used = used[used < len(pixels.palette)]
        other = self._seen[used] & (self._colors[used] != pixels.palette[used]).any(1)
        self._seen[used], self._colors[used] = True, pixels.palette[used]
        return int(used[other][0]) if other.any() else None


def open_masks(path: str | Path, palette: Palette | None = None) -> Masks:
    """Open the masks of a video and read the first.

    Args:
        path: a folder of PNGs in natural order (2 before 10): indexed or grey ones hold the class itself, coloured ones
            need `palette`, and so do indexed ones in which a value has not the same colour throughout; an .npz file
            with one array of integers or bools, (T, H, W), read frame by frame; a lossless grey video, .mkv; or run
            lengths, a JSON line a frame, .jsonl: the files of `tdseg segment --write`.
        palette: the classes there are; any other is refused.

    Raises:
        DataError: nothing there, files of another kind or of several videos, numbers that leave a gap, a mask that
            cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() in FILES:
        names, read = FILES[path.suffix.lower()]
        return Masks(path, names(path), lambda: map(Pixels, read(path)), palette)
    if not (files := mask_files(path)):
        raise DataError(
            f"{path}: no PNG in it",
            expected=f"a folder of masks as PNG, or a file of them: {', '.join(FILES)}",
            do="give the folder that holds the masks themselves; lossy formats such as JPEG hold no classes",
        )
    return Masks(path, [str(file) for file in files], lambda: map(read_pixels, files), palette, _numbers_of(files))


def mask_files(folder: Path) -> list[Path]:
    """The masks of a folder, in order: all of one result, even where a run was killed while it replaced a former one.

    Raises:
        DataError: it may not be read.
        OutputError: a run puts a result in its place at this moment.
    """
    settle(folder)
    try:
        return sorted((f for f in folder.iterdir() if is_image(f) and f.suffix.lower() == ".png"), key=natural_order)
    except OSError as error:
        raise unreadable(folder, error.strerror or "unreadable") from None


def is_masks(path: Path) -> bool:
    """Whether a path may be one of masks: a folder, or a file by its name."""
    return os.path.isdir(path) or path.suffix.lower() in FILES


def size_text(shape: tuple[int, ...]) -> str:
    """ "360x480" of (360, 480, …)."""
    return f"{shape[0]}x{shape[1]}"


# --- the numbers in the names of files ------------------------------------------------------------------------------


def _numbers_of(files: list[Path]) -> list[int] | None:
    """The number that counts the files, in natural order: the first that varies while the text around it does not.

    Returns:
        None where there is no such number: names without one, a single file, times in several parts.

    Raises:
        DataError: the numbers count several sequences, or leave a gap: their steps are not equal, but multiples of the
            smallest, which those of times are not.
    """
    parts = [re.split(r"(\d+)", f.stem) for f in files]
    texts = [tuple(part[::2]) for part in parts]
    if len(set(texts)) == len(files) or any(len(part) == 1 for part in parts):
        return None
    if len(set(texts)) > 1:
        raise _several(files, texts)
    runs = zip(*([int(digits) for digits in part[1::2]] for part in parts), strict=True)
    varying = [run for run in runs if len(set(run)) > 1]
    if not varying or (len(varying) > 1 and all(TIME.search(f.stem) for f in files)):
        return None
    numbers = varying[0]
    if len(set(numbers)) < len(files):
        if len(varying) == 1:  # 1 and 01
            return None
        raise _several(files, numbers)
    steps = [after - before for before, after in pairwise(numbers)]
    step, gap = min(steps), steps.index(max(steps))
    if steps[gap] > step and all(other % step == 0 for other in steps):
        raise DataError(
            f"{files[gap].name} is followed by {files[gap + 1].name} in {files[gap].parent}",
            expected=f"{numbers[gap] + step} next: a mask for every frame",
            do="add the missing masks, or split the folder at the gap",
        )
    return list(numbers)


def _several(files: list[Path], groups: Sequence[object]) -> DataError:
    """The error for files of several groups, given the group of each."""
    new = next(index for index, group in enumerate(groups) if group != groups[0])
    return DataError(
        f"{files[0].name} and {files[new].name} in {files[0].parent}: masks of several videos",
        expected="names that differ in one number",
        do="give the masks of each video by themselves",
    )


# --- .npz files -----------------------------------------------------------------------------------------------------


def _npz_names(path: Path) -> list[str]:
    """The name of each of the masks, for errors.

    Raises:
        DataError: the file cannot be read, or is no single array of integers or bools, (T, H, W).
    """
    with open_npz(path) as (members, _, shape, dtype):
        if len(members) != 1 or len(shape) != 3 or min(shape) < 1 or dtype.kind not in "uib":
            raise DataError(
                f"{path}: {len(members)} arrays, the first {dtype} {shape}",
                expected="one array of integers or bools, (T, H, W), each at least 1",
                do="save it with numpy.savez_compressed(path, masks)",
            )
        if math.prod(shape[1:]) > rle.MOST_PIXELS:
            raise DataError(
                f"{path}: masks of {size_text(shape[1:])}",
                expected=f"at most {rle.MOST_PIXELS} pixels",
                do="cut them into parts",
            )
        if members[0].file_size < math.prod(shape) * dtype.itemsize:  # before there is a name for each of them
            raise unreadable(path, "not a whole .npz file")
    return _numbered(path, shape[0])


def _read_npz(path: Path) -> Iterator[Mask]:
    """One mask after the other, straight from the archive: the array as a whole may not fit in memory.

    Raises:
        DataError: the file is damaged, or a value is neither a class nor void.
    """
    with open_npz(path) as (_, file, (count, height, width), dtype):
        for index in range(count):
            with _npz_errors(path):
                data = file.read(height * width * dtype.itemsize)
                values = np.frombuffer(data, dtype).reshape(height, width)
            if dtype != np.uint8 and (values.min() < 0 or values.max() > VOID):
                raise DataError(
                    f"{path}, mask {index}: values {values.min()} … {values.max()}",
                    expected=f"classes 0 … {VOID - 1}, {VOID} for void",
                    do="number the classes anew",
                )
            yield values.astype(np.uint8, copy=False)


@contextmanager
def open_npz(path: Path) -> Iterator[tuple[list[zipfile.ZipInfo], IO[bytes], tuple[int, ...], np.dtype[Any]]]:
    """The arrays in a file, and the first of them, opened where its values begin: with its shape and dtype."""
    with ExitStack() as opened:
        with _npz_errors(path):
            archive = opened.enter_context(zipfile.ZipFile(path))
            file = opened.enter_context(archive.open(archive.infolist()[0]))
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
            if fortran or not all(type(side) is int for side in shape):
                raise ValueError("an array in columns, or whose sides are no numbers")
        yield archive.infolist(), file, shape, dtype


@contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    """What is met in reading such a file as an error that says so."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # zipfile, its decompressors and numpy's parser of headers raise a dozen kinds
        why = str(error) if isinstance(error, RuntimeError) else getattr(error, "strerror", None)
        raise unreadable(path, why or "not a whole .npz file") from error


# --- all kinds of files ---------------------------------------------------------------------------------------------


def _video_names(path: Path) -> list[str]:
    if times := grey_times(path):
        return _numbered(path, len(times))
    raise DataError(f"{path}: no picture in it", expected="a mask for each frame", do="copy or make the file again")


def _numbered(path: Path, count: int) -> list[str]:
    if count > MOST_MASKS:
        raise DataError(f"{path}: {count} masks", expected=f"at most {MOST_MASKS}", do="cut the video into parts")
    return [f"{path}, mask {index}" for index in range(count)]


FILES: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path], Iterator[Mask]]]] = {
    ".npz": (_npz_names, _read_npz),
    ".mkv": (_video_names, read_grey),
    ".jsonl": (lambda path: _numbered(path, rle.count_lines(path)), rle.read_lines),
}
"""By suffix: what names each of the masks, and what reads them."""
