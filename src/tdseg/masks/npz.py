"""Masks in an .npz file, read one at a time."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from tdseg.errors import DataError
from tdseg.masks.classmap import Mask
from tdseg.masks.palette import unreadable
from tdseg.metrics.iou import VOID

NPZ_ERRORS = (
    *(OSError, ValueError, EOFError, IndexError, OverflowError, SyntaxError, tokenize.TokenError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError),  # the last: encrypted or not supported
)
"""Raised by zipfile, the decompressors and numpy's header parser for files that are not as they should be."""


@contextmanager
def _npz_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except NPZ_ERRORS as error:
        why = str(error) if isinstance(error, RuntimeError) else getattr(error, "strerror", None)
        raise unreadable(path, why or "not a whole .npz file") from None


def npz_names(path: Path) -> list[str]:
    """The name of each of the masks, for errors.

    Raises:
        DataError: the file cannot be read, or is no single array of integers or bools, (T, H, W).
    """
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
        raise unreadable(path, "not a whole .npz file")
    return [f"{path}, mask {index}" for index in range(shape[0])]


def read_npz(path: Path) -> Iterator[Mask]:
    """One mask after the other, straight from the archive: the array as a whole may not fit in memory.

    Raises:
        DataError: the file is damaged, or a value is neither a class nor void.
    """
    with _npz_errors(path), zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        (count, height, width), dtype = _npy_header(file)
        for index in range(count):
            data = file.read(height * width * dtype.itemsize)
            values = np.frombuffer(data, dtype).reshape(height, width)
            if dtype != np.uint8 and (values.min() < 0 or values.max() > VOID):
                raise DataError(
                    f"{path}, mask {index}: values {values.min()} … {values.max()}",
                    expected=f"classes 0 … {VOID - 1}, {VOID} for void",
                    do="number the classes anew",
                )
            yield values.astype(np.uint8, copy=False)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if fortran:
        raise ValueError("column-major array")
    return shape, dtype
