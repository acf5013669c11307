"""Masks of any tool: a folder of PNGs, indexed or coloured, or an .npz file. Needs no model and no torch."""

from __future__ import annotations

import lzma
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg.errors import DataError
from tdseg.metrics.iou import VOID
from tdseg.video.reader import natural_order

Mask = NDArray[np.uint8]


class Palette(NamedTuple):
    """The classes of coloured masks, in order of their index."""

    source: str
    """File they come from, printable."""
    names: tuple[str, ...]
    """One called void, in any case, is not a class: its pixels become 255."""
    colors: NDArray[np.uint8]
    """(C, 3) RGB."""


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
        read: Callable[[], Iterator[Mask]],
        numbers: list[int] | None = None,
    ) -> None:
        self.source = str(source)
        self.names = names
        self.numbers = numbers
        self._read = read
        self.size: tuple[int, int] = next(read()).shape

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Mask]:
        """uint8 (H, W) class indices, 255 void.

        Raises:
            DataError: a mask that cannot be read, is of another size, or holds what is no class.
        """
        for name, mask in zip(self.names, self._read(), strict=True):
            if mask.shape != self.size:
                raise DataError(
                    f"{name} is {size_text(mask.shape)}, {self.names[0]} is {size_text(self.size)}",
                    expected="masks of one size",
                    do="give the masks of each video by themselves",
                )
            yield mask


def open_masks(path: str | Path, palette: Palette | None = None) -> Masks:
    """Open the masks of a video and read the first.

    Args:
        path: a folder of PNGs in natural order (2 before 10): indexed or grey ones hold the class itself, coloured ones
            need `palette`; or an .npz file with one array of integers or bools, (T, H, W), read frame by frame.
        palette: the classes there are; any other is refused.

    Raises:
        DataError: nothing there, files of another kind or of several videos, numbers that leave a gap, a mask that
            cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".npz":
        return _open_npz(path, palette)
    try:
        files = sorted((f for f in path.iterdir() if _is_png(f)), key=natural_order)
    except OSError as error:
        raise _unreadable(path, error.strerror or "unreadable") from None
    if not files:
        raise DataError(
            f"{path}: no PNG in it",
            expected="a folder of masks as PNG, or an .npz file",
            do="give the folder that holds the masks themselves; lossy formats such as JPEG hold no classes",
        )
    numbers = _numbers(files)
    _check_gaps(files, numbers or [])
    lookup = None if palette is None else _lookup(palette)
    return Masks(path, [str(f) for f in files], lambda: (_read_png(f, palette, lookup) for f in files), numbers)


def read_palette(path: str | Path) -> Palette:
    """The classes in a text file: a line "R G B name" for each, in order of index; empty and # lines are skipped.

    Raises:
        DataError: the file cannot be read, a line has another form or repeats a colour or class, or there are none or
            over 254.
    """
    path = Path(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or "not a text file") from None
    names: list[str] = []
    colors: list[list[int]] = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)", line)
        if not match or max(map(int, match.groups()[:3])) > 255:
            raise DataError(
                f"{path}, line {number}: {line!r}",
                expected="red, green and blue 0 … 255 and the name of the class",
                do="write it like 128 64 128 Road",
            )
        color = [int(part) for part in match.groups()[:3]]
        if color in colors:
            raise DataError(
                f"{path}, line {number}: {line!r} has the colour of {names[colors.index(color)]}",
                expected="a colour of its own for each class",
                do="give one of them another, as in the masks",
            )
        if match[4] in names and match[4].lower() != "void":
            raise DataError(
                f"{path}, line {number}: {line!r} repeats the class {match[4]}",
                expected="a name of its own for each class",
                do="give it another name; only void may have several colours",
            )
        names.append(match[4])
        colors.append(color)
    if not 0 < len(names) < VOID:
        raise DataError(f"{path}: {len(names)} classes", expected="1 … 254", do="write one line for each class")
    return Palette(str(path), tuple(names), np.array(colors, np.uint8))


# --- PNG ------------------------------------------------------------------------------------------------------------


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """What an image file of masks or labels holds: (H, W) values where it is indexed or grey, else (H, W, 3) RGB.

    Raises:
        DataError: the file is missing, damaged or no image, or has other than 8 bits.
    """
    try:
        with Image.open(path) as image:
            mode, pixels = image.mode, np.asarray(image.convert("RGB") if image.mode == "RGBA" else image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises
        raise _unreadable(path, getattr(error, "strerror", None) or "not a readable image") from None
    if mode not in {"P", "L", "1", "RGB", "RGBA"}:
        raise _not_indexed(path, mode, "save it with 8 bits")
    return pixels.astype(np.uint8, copy=False)


def color_codes(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """A number for each colour of (..., 3) RGB: red · 2^16 + green · 2^8 + blue."""
    red, green, blue = np.moveaxis(pixels.astype(np.uint32), -1, 0)
    codes: NDArray[np.uint32] = (red << 16) + (green << 8) + blue
    return codes


def _read_png(path: Path, palette: Palette | None, lookup: NDArray[np.uint8] | None) -> Mask:
    pixels = read_pixels(path)
    if pixels.ndim == 2:
        return _classes(pixels, palette, str(path))
    if palette is None or lookup is None:
        raise _not_indexed(path, "RGB", "give the colours of the classes with --palette")
    mask: Mask = lookup[color_codes(pixels)]
    if (unknown := mask == NO_CLASS).any():
        y, x = np.argwhere(unknown)[0]
        raise DataError(
            f"{path}: colour {' '.join(map(str, pixels[y, x]))} at x={x}, y={y}",
            expected=f"the colours of {palette.source}",
            do="add it to the palette; colours blended at edges need masks that are saved without scaling",
        )
    return mask


def _not_indexed(path: Path, mode: str, do: str) -> DataError:
    return DataError(
        f"{path}: a mask of mode {mode}, not indexed",
        expected="8-bit indexed or grey PNG whose values are the classes",
        do=do,
    )


NO_CLASS = 254
"""Stands for a colour that the palette lacks; palettes end at 253."""


def _lookup(palette: Palette) -> NDArray[np.uint8]:
    """(2^24,): the class of every colour."""
    table = np.full(1 << 24, NO_CLASS, np.uint8)
    table[color_codes(palette.colors)] = _indices(palette)
    return table


def _indices(palette: Palette) -> Mask:
    """(C,): the mask value of each class, its index or void."""
    return np.array([VOID if name.lower() == "void" else i for i, name in enumerate(palette.names)], np.uint8)


def _classes(mask: Mask, palette: Palette | None, name: str) -> Mask:
    """Check a mask of indices against the palette, and make its void 255."""
    if palette is None:
        return mask
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
    if (wrong := values[(values >= len(palette.names)) & (values != VOID)]).size:
        raise DataError(
            f"{name}: class {wrong[0]}",
            expected=f"0 … {len(palette.names) - 1} as in {palette.source}, or {VOID} for void",
            do="add the class to the palette",
        )
    table = np.arange(256, dtype=np.uint8)
    table[: len(palette.names)] = _indices(palette)
    return table[mask]


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png" and not path.name.startswith(".")


TIME = re.compile(r"\d{9,}\D\d|(19|20)\d{6}\D?\d{6}|\d\d(\D)\d\d\2\d\d|\d\.\d")
"""Times in names: seconds since 1970 and their parts, date and time, either in its parts, seconds with decimals."""


def _numbers(files: list[Path]) -> list[int] | None:
    """The number that counts the files, in natural order: the first that varies while the text around it does not.

    Returns:
        None where there is no such number: names without one, a single file, times in several parts.

    Raises:
        DataError: the numbers count several sequences.
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


# --- npz ------------------------------------------------------------------------------------------------------------


NPZ_ERRORS = (
    *(OSError, ValueError, EOFError, IndexError, OverflowError, SyntaxError, tokenize.TokenError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError),  # the last: encrypted or not supported
)
"""What zipfile, the decompressors and numpy's header parser raise for files that are not as they should be."""


@contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except NPZ_ERRORS as error:
        why = str(error) if isinstance(error, RuntimeError) else getattr(error, "strerror", None)
        raise _unreadable(path, why or "not a whole .npz file") from None


def _open_npz(path: Path, palette: Palette | None) -> Masks:
    with _npz_errors(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        with archive.open(members[0]) as file:
            shape, dtype = _npy_header(file)
    if len(members) != 1 or len(shape) != 3 or min(shape) < 1 or dtype.kind not in "uib":
        raise DataError(
            f"{path}: {len(members)} arrays, the first {dtype} {shape}",
            expected="one array of integers or bools, (T, H, W), each at least 1",
            do="save it with numpy.savez_compressed(path, masks)",
        )
    if members[0].file_size < math.prod(shape) * dtype.itemsize:  # before there is a name for each of them
        raise _unreadable(path, "not a whole .npz file")
    names = [f"{path}, mask {index}" for index in range(shape[0])]
    return Masks(path, names, lambda: _read_npz(path, palette, names))


def _read_npz(path: Path, palette: Palette | None, names: list[str]) -> Iterator[Mask]:
    """One mask after the other, straight from the archive: the array as a whole may not fit in memory."""
    with _npz_errors(path), zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        (_, height, width), dtype = _npy_header(file)
        for name in names:
            data = file.read(height * width * dtype.itemsize)
            values = np.frombuffer(data, dtype).reshape(height, width)
            if dtype != np.uint8 and (values.min() < 0 or values.max() > VOID):
                raise DataError(
                    f"{name}: values {values.min()} … {values.max()}",
                    expected=f"classes 0 … {VOID - 1}, {VOID} for void",
                    do="number the classes anew",
                )
            yield _classes(values.astype(np.uint8, copy=False), palette, name)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if fortran:
        raise ValueError("column-major array")
    return shape, dtype


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: {why}", expected="something that exists and may be read", do="check the path and the file"
    )


def size_text(shape: tuple[int, ...]) -> str:
    """ "360x480" of (360, 480, …)."""
    return f"{shape[0]}x{shape[1]}"
