"""What a runtime has compiled and keeps on disk, with checksums: it reads such files back without a look at them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdseg.runtime.manifest import checksum

_BLOBS, _SUM = "*.blob", ".sha256"
_log = logging.getLogger("tdseg")


@contextmanager
def trusted_blobs(folder: Path | None) -> Iterator[Path | None]:
    """A folder for what is compiled meanwhile, in which everything is as it was left; the rest is gone from it.

    Args:
        folder: of one graph, made where it is missing. None, or one that cannot be used: nothing is kept.
    """
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for blob in folder.glob(_BLOBS):
                if not _is_as_left(blob):
                    _log.info("%s is damaged, or was not finished: compiling again", blob)
                    blob.unlink()
    except OSError:
        folder = None
    yield folder
    try:
        for blob in folder.glob(_BLOBS) if folder else ():
            if not (sum_file := blob.with_name(blob.name + _SUM)).exists():
                staged = sum_file.with_name(f".{sum_file.name}-{os.getpid()}")
                staged.write_text(checksum(blob), encoding="ascii")
                staged.replace(sum_file)
    except OSError:  # compiled again next time
        pass


def _is_as_left(blob: Path) -> bool:
    sum_file = blob.with_name(blob.name + _SUM)
    try:
        if sum_file.read_text(encoding="ascii") == checksum(blob):
            return True
    except (OSError, ValueError):
        pass
    sum_file.unlink(missing_ok=True)
    return False
