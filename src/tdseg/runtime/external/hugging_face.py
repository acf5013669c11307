"""Models of Hugging Face's library transformers, as networks."""

from __future__ import annotations

from pathlib import Path

from tdseg.errors import ConfigError
from tdseg.runtime.network import Execution, Network


def open_hugging_face(path: Path, name: str, execution: Execution) -> Network:
    """The model in a folder of `save_pretrained`; see `open_external`."""
    raise ConfigError(f"{name}, a model of Hugging Face", expected="weights of tdseg", do="choose another model")
