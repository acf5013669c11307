"""Models of Hugging Face's library transformers, as networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tdseg.errors import ConfigError
from tdseg.runtime.external.pretrained import load_pretrained, load_tokens
from tdseg.runtime.external.processor import read_processor
from tdseg.runtime.external.segmenter import HuggingFaceNetwork
from tdseg.runtime.external.videomt import VideomtNetwork
from tdseg.runtime.network import Execution
from tdseg.system import resolve_device

TASK = "the task is semantic"
"""What OneFormer is told."""


def open_hugging_face(path: Path, name: str, execution: Execution) -> HuggingFaceNetwork:
    """The model in a folder of `save_pretrained`; see `open_external`."""
    if execution.runtime not in ("auto", "torch"):
        raise ConfigError(
            f"runtime {execution.runtime} for {name}, a model of Hugging Face",
            expected="torch, or auto",
            do="export it with `tdseg export`, and give the folder that it writes",
        )
    if replace(execution, autocast=None).form:
        raise ConfigError(
            f"{name}, a model of Hugging Face, in another form",
            expected="the model as it is, or in the precision of autocast",
            do="leave fuse, winograd, channels_last, compile and cuda_graphs out",
        )
    resolve_device(execution.device)  # before weights are read
    model = load_pretrained(path, name)
    processor = read_processor(path, name)
    kind = model.config.model_type
    if kind == "videomt":
        return VideomtNetwork(model, processor, name, execution)
    tokens = load_tokens(path, name, TASK, model.config.task_seq_len) if kind == "oneformer" else None
    return HuggingFaceNetwork(model, processor, name, execution, tokens)
