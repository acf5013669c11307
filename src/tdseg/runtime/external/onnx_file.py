"""ONNX files of others, as networks."""

from __future__ import annotations

from pathlib import Path

from tdseg.errors import ConfigError
from tdseg.runtime.network import Execution, Network


def open_onnx(path: Path, name: str, execution: Execution) -> Network:
    """The network in an ONNX file; see `open_external`."""
    raise ConfigError(f"{name}, an ONNX file", expected="weights of tdseg", do="choose another model")
