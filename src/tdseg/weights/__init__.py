"""Checkpoint files: safetensors with the model's configuration inside, and the ones shipped with the package."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import WeightsError
from tdseg.models.tdnet import TDNet

WEIGHTS_DIR = Path(__file__).parent
_KEY = "tdseg"


def write_model(model: TDNet, path: Path, *, dtype: torch.dtype = torch.float16, about: dict[str, Any]) -> None:
    """Write what inference needs: weights in `dtype` and, in the metadata, the configuration.

    Auxiliary heads are left out. The file appears under its name only when whole.

    Args:
        about: facts of the training to keep with the weights, JSON-able.
    """
    tensors = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for key, value in model.state_dict().items()
        if ".aux_head." not in key
    }
    metadata = {_KEY: json.dumps({"config": model.config.model_dump(), "about": about})}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata)
    partial.replace(path)


def read_model(path: Path, *, sha256: str | None = None) -> TDNet:
    """The model in a file of `write_model`, in float32 and eval mode. Nothing in the file is ever executed.

    Raises:
        WeightsError: the file is missing, damaged, a pickle, of another program or another model.
    """
    config, tensors = _read(path, sha256)
    model = TDNet(config)
    own = model.state_dict()
    wrong = [f"{key} missing" for key in own.keys() - tensors.keys()]
    wrong += [f"{key} unknown" for key in tensors.keys() - own.keys()]
    wrong += [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own.keys() & tensors.keys()
        if own[key].shape != tensors[key].shape
    ]
    if wrong:
        raise WeightsError(
            f"{path}: weights of another model ({len(wrong)} of {len(own)} tensors: {'; '.join(sorted(wrong)[:3])})",
            expected=f"the tensors of {config.name}",
            do="use the file as tdseg wrote it",
        )
    model.load_state_dict({key: value.to(own[key].dtype) for key, value in tensors.items()})
    return model.eval()


def _read(path: Path, sha256: str | None) -> tuple[ModelConfig, dict[str, Tensor]]:
    if not path.is_file():
        raise WeightsError(f"no file {path}", expected="a .safetensors file written by tdseg", do="check the path")
    if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise WeightsError(f"{path}: damaged (checksum differs)", expected=f"sha256 {sha256}", do="reinstall tdseg")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path}: {_what_is(path)} ({error})",
            expected="a .safetensors file written by tdseg",
            do="pickled checkpoints (.pt, .pth, .pkl) can run code and are never opened here; use a safetensors file",
        ) from None
    if _KEY not in metadata:
        raise WeightsError(
            f"{path}: a safetensors file without a tdseg configuration",
            expected="a file written by tdseg, which carries its model's configuration",
            do="load it with the program that wrote it",
        )
    config: ModelConfig = ModelConfig.parse(json.loads(metadata[_KEY])["config"], where=str(path))
    return config, tensors


def _what_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"):
        return "a pickled checkpoint, not opened"
    return "not a readable safetensors file"
