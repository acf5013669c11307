"""Networks of others: models of Hugging Face, ONNX files, functions. Of files only graphs and weights are used."""

from __future__ import annotations

import os
from pathlib import Path

from tdseg.files.publishing import contents
from tdseg.runtime.network import Execution, Network

HUGGING_FACE = "config.json"
"""What a folder of `save_pretrained` holds."""
ONNX = "model.onnx"
"""What a folder of `tdseg export` holds for a network of others, beside a model.yaml."""


def is_external(path: Path) -> bool:
    """Whether a path is a network of others: a folder of Hugging Face, FILE.onnx, or a folder with such an export."""
    holds_graph = all(os.path.isfile((path / ONNX).with_suffix(suffix)) for suffix in (".onnx", ".yaml"))
    return (
        os.path.isfile(path / HUGGING_FACE)
        or holds_graph
        or (path.suffix.lower() == ".onnx" and not os.path.isdir(path))
    )


def holds_export(folder: Path) -> bool:
    """Whether a folder holds the export of a network of others, and nothing beside."""
    suffixes = (".onnx", ".yaml")
    return os.path.isdir(folder) and contents(folder) == {Path(ONNX).stem + one for one in suffixes}


def open_external(path: Path, name: str, execution: Execution, size: tuple[int, int] | None = None) -> Network:
    """The network in a folder or file.

    Args:
        path: see `is_external`.
        name: printable, as it was given.
        execution: device, runtime and threads. Models of Hugging Face run in torch, ONNX files do not.
        size: (height, width) of the input that is asked for, pixels.

    Raises:
        ConfigError: a package that is missing, a runtime, device or size that does not fit.
        WeightsError: it cannot be read, or is no network for semantic segmentation.
    """
    if os.path.isfile(path / HUGGING_FACE):
        from tdseg.runtime.external.hugging_face import open_hugging_face

        return open_hugging_face(path, name, execution)
    from tdseg.runtime.external.onnx_file import open_onnx

    return open_onnx(path / ONNX if os.path.isdir(path) else path, name, execution, size)
