"""Exports that were made on the way, kept for the next time."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from functools import cache
from pathlib import Path

from tdseg.errors import WeightsError
from tdseg.files import unwritable
from tdseg.files.publishing import in_turn
from tdseg.models.tdnet import TDNet
from tdseg.runtime.manifest import checksum, exported_files, is_exported, read_manifest
from tdseg.runtime.network import RuntimeName
from tdseg.system import __version__, require

_log = logging.getLogger("tdseg")


def cache_folder() -> Path:
    """Where what was made once is kept: the environment's TDSEG_CACHE, or a folder of the user."""
    if chosen := os.environ.get("TDSEG_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tdseg"


def compiled_folder() -> Path | None:
    """Where runtimes keep what they compile; None where nothing can be written, which costs a slower start only."""
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def cached_export(model: TDNet, weights: Path, size: tuple[int, int], runtime: RuntimeName) -> Path:
    """The export of the weights in a file, from the cache or made now; one that has damage is made anew.

    Raises:
        ConfigError: a package that is missing, or masks that agree too little.
        OutputError: the cache cannot be written.
    """
    made_of = f"{checksum(weights)[:16]}-{size[0]}x{size[1]}-{__version__}.{_code_digest()}"
    folder = cache_folder() / f"{weights.stem}-{made_of}"
    try:
        with in_turn(folder):
            return _export(model, weights, size, runtime, folder)
    except OSError as error:
        raise unwritable(folder, error) from error


def _export(model: TDNet, weights: Path, size: tuple[int, int], runtime: RuntimeName, folder: Path) -> Path:
    if is_exported(folder):
        try:
            read_manifest(folder)
        except WeightsError as error:
            _log.warning("%s; exporting again", error.got)
        else:
            return folder
    if not exported_files(folder):
        shutil.rmtree(folder, ignore_errors=True)  # what is called so is ours
    require("onnx", "onnxscript", runtime)
    from tdseg.export import export

    _log.info("exporting %s at %dx%d; this is done once", weights.stem, *size)
    export(model, folder, to="onnx", size=size, overwrite=True)
    return folder


@cache
def _code_digest() -> str:
    """Of the code that a graph is made by: where it is worked on, its version says little."""
    package = Path(__file__).parents[1]
    sources = (file.read_bytes() for room in ("models", "export") for file in sorted((package / room).rglob("*.py")))
    return hashlib.sha256(b"".join(sources)).hexdigest()[:8]
