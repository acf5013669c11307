"""Checkpoint files: safetensors with the model's configuration inside, and the ones shipped with the package."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from tdseg.config import ModelConfig, without_retired
from tdseg.errors import ConfigError, WeightsError
from tdseg.files import parse_json, unwritable, whole_file
from tdseg.models.layers import ConvNorm
from tdseg.models.propagation import PROPAGATIONS
from tdseg.models.subnets import FAMILIES, SubNetwork
from tdseg.models.tdnet import TDNet

WEIGHTS = "model.safetensors"
"""The file of the trained model in the folder of a run."""
_KEY = "tdseg"
_PICKLES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # zip archive, or a bare pickle


def save(
    model: TDNet, path: str | Path, *, dtype: torch.dtype = torch.float32, about: Mapping[str, Any] | None = None
) -> None:
    """Write a model as one .safetensors file that `load` opens: weights and, in the metadata, the configuration.

    Auxiliary heads are left out. The file appears under its name only when whole.

    Args:
        model: as it was trained, or made.
        path: the file to be; a former one is replaced.
        dtype: of the weights.
        about: facts of the training to keep with the weights, JSON-able.

    Raises:
        ConfigError: a fused model, of which no other can be made.
        WeightsError: weights that are not finite.
        OutputError: the file cannot be written; nothing of it is left.
    """
    if any(isinstance(module, ConvNorm) and module.fused for module in model.modules()):
        raise ConfigError("a fused model to save", expected="the model it was made of", do="save before calling fuse()")
    whole = {key: value.detach().cpu() for key, value in model.state_dict().items() if ".aux_head." not in key}
    if wrong := unusable(whole):
        raise WeightsError(
            f"a model to save whose weights are no numbers ({'; '.join(wrong[:3])})",
            expected="finite weights",
            do="train again with a smaller optimizer.lr, from an earlier checkpoint or from the start",
        )
    tensors = {key: _as_stored(value, dtype).contiguous() for key, value in whole.items()}
    metadata = {_KEY: json.dumps({"config": model.config.model_dump(), "about": about or {}})}
    try:
        with whole_file(Path(path)) as staged:
            staged.write_bytes(to_bytes(tensors, metadata))  # save_file would let nobody else read it
    except (SafetensorError, ValueError) as error:
        raise unwritable(path, error) from None


def _as_stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor in the type of the file; as it is where that has no such numbers."""
    if not value.is_floating_point():
        return value
    stored = value.to(dtype)
    return stored if stored.isfinite().all() else value


def unusable(tensors: Mapping[str, Tensor]) -> list[str]:
    """Which tensors of floats hold what no network computes with, in words: masks would be of one class, in silence."""
    floats = {name: value.float() for name, value in sorted(tensors.items()) if value.is_floating_point()}
    wrong = [f"{name} not finite" for name, value in floats.items() if not value.isfinite().all()]
    return wrong + [f"{name} below 0" for name, value in floats.items() if name.endswith("var") and (value < 0).any()]


def read_model(path: Path, *, sha256: str | None = None, make: Callable[[], SubNetwork] | None = None) -> TDNet:
    """The model in a file of `save`, in float32 and eval mode. Nothing in the file is ever executed.

    Raises:
        WeightsError: the file is missing, damaged, a pickle, of another program or another model.
    """
    config, tensors = _read(path, sha256)
    with torch.device("meta") if make is None else nullcontext():  # no memory before it is known that all fits
        model = TDNet(config, make=make)
    own = model.state_dict()
    wrong, what = list(mismatches(tensors, own).values()), "weights of another model"
    if not wrong:
        wrong, what = _of_other_kinds(tensors, own) or unusable(tensors), "weights that no network computes with"
    if wrong:
        raise WeightsError(
            f"{path}: {what} ({len(wrong)} of {len(own)} tensors: {'; '.join(wrong[:3])})",
            expected=f"the tensors of {config.name}, of finite numbers",
            do="use the file as tdseg wrote it",
        )
    model.load_state_dict({key: value.to(own[key].dtype) for key, value in tensors.items()}, assign=True)
    return model.eval()


def mismatches(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, str]:
    """How named tensors differ from those of a model in name and shape, in words by name, sorted; empty if they fit.

    Args:
        theirs: of a file.
        ours: of the model; on any device, "meta" among them.
    """
    wrong = {}
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs:
            wrong[name] = f"{name} missing"
        elif name not in ours:
            wrong[name] = f"{name} unknown"
        elif theirs[name].shape != ours[name].shape:
            wrong[name] = f"{name} {tuple(theirs[name].shape)} instead of {tuple(ours[name].shape)}"
    return wrong


def _of_other_kinds(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    """Tensors of a file that are whole numbers where the model has floats, or the other way round, in words."""
    kinds = [(name, tensor.dtype, ours[name].dtype) for name, tensor in sorted(theirs.items())]
    return [f"{name} {a} instead of {b}" for name, a, b in kinds if a.is_floating_point != b.is_floating_point]


def _read(path: Path, sha256: str | None) -> tuple[ModelConfig, dict[str, Tensor]]:
    def refused(why: str | None, do: str) -> WeightsError:
        return WeightsError(f"{path}: {why}", expected="a .safetensors file written by tdseg", do=do)

    if os.path.exists(path) and not os.path.isfile(path):  # devices may never end
        raise refused("no file", "check the path")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise refused(error.strerror, "check the path") from None
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path}: damaged (checksum differs)", expected=f"sha256 {sha256}", do="reinstall tdseg")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        if data[:2] in _PICKLES:
            do = "tdseg convert reads those of the official TDNet code; others can run code when opened"
            raise refused("a pickled checkpoint, not opened", do) from None
        raise refused(f"not a readable safetensors file ({error})", "copy or download it again") from None
    try:
        config = ModelConfig.parse(without_retired(parse_json(metadata[_KEY])["config"]), where=str(path))
        if config.subnet not in {*FAMILIES, "custom"} or config.propagation not in PROPAGATIONS:
            raise ValueError(f"subnet {config.subnet}, propagation {config.propagation}")
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise refused(
            f"a safetensors file without a configuration that this tdseg knows ({error!r})",
            "load it with the program, or the version of tdseg, that wrote it",
        ) from None
    return config, tensors
