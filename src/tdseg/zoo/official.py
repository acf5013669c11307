"""Checkpoints of the official TDNet code, made ours: tables of keys say what becomes what, and what is left."""

from __future__ import annotations

import hashlib
import os
import pickle
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError, OutputError, WeightsError, first_line
from tdseg.masks import classes
from tdseg.models.tdnet import TDNet
from tdseg.zoo.catalog import model_config
from tdseg.zoo.checkpoint import mismatches, save
from tdseg.zoo.official_keys import LEFT, Entry, key_table
from tdseg.zoo.pickled import load_tensors

_MOST_NORM = 4096
CONVERTIBLE = ("psp18", "psp50", "psp101", "td2-fa18", "td2-psp50", "td4-psp18")


def convert(
    source: str | Path,
    target: str | Path,
    *,
    model: str,
    num_classes: int = 19,
    memory_stride: int | None = None,
    overwrite: bool = False,
) -> ModelConfig:
    """Read a checkpoint of the official code and write it as one .safetensors file that `tdseg.load` opens.

    Nothing in the source is executed. Weights stay float32, and the size of a stored LayerNorm is kept.

    Args:
        source: a released file, or a checkpoint of the training code (`model_state`, `module.` before every key,
            teacher and auxiliary heads in it), or the teacher itself, cut into groups: a psp101 like any other.
        target: the .safetensors file to write, which `--model` of every other command takes.
        model: which model it holds, such as td4-psp18; psp101 for a teacher.
        num_classes: classes of the checkpoint; 19 are taken to be those of Cityscapes.
        memory_stride: of a model with memory; None: 4, that of the official testing code. Its training code has 3.
        overwrite: replace the target.

    Returns:
        The configuration that was written.

    Raises:
        WeightsError: the source is missing, damaged, holds more than tensors, or is not that model's: the keys that are
            missing, too many or misshapen are named.
        ConfigError: an unknown model, or an option that does not fit.
        OutputError: the target exists, has another ending, or cannot be written.
    """
    source, target = Path(source), Path(target)
    if model not in CONVERTIBLE:
        raise ConfigError(
            f"model {model!r} to convert", expected=f"one of {', '.join(CONVERTIBLE)}", do="name the model of the file"
        )
    if memory_stride is not None and not model.startswith("td"):
        raise ConfigError(
            f"memory_stride={memory_stride} for {model}", expected="a model with memory", do="leave it out"
        )
    in_use = os.path.isdir(target) or (os.path.exists(target) and not overwrite)  # for which no name is too long
    if target.suffix != ".safetensors" or in_use or not os.path.isdir(target.parent):
        raise OutputError(
            f"output {target}" + (", which exists" if in_use else ""),
            expected="a new file that ends in .safetensors, in a folder that exists",
            do="choose another name, or give --overwrite to replace a file",
        )
    state = read_state_dict(source, expected="a checkpoint of the official TDNet code, written by torch.save")
    config = _config(source, model, state, num_classes, memory_stride)
    with torch.device("meta"):  # no memory before it is known that all fits
        network = TDNet(config).eval()
    table = list(key_table(config, pyramids=_pyramids(config, state)))
    own = network.state_dict()
    _check(source, own, table, state)
    whole = {key: torch.zeros_like(value, device="cpu") for key, value in own.items()}  # zero batches were seen
    for entry in table:
        entry.put(state[entry.theirs].float(), whole[entry.ours])
    network.load_state_dict(whole, assign=True)
    about = {"converted_from": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    save(network, target, about=about)
    return config


def read_state_dict(path: Path, *, expected: str) -> dict[str, Tensor]:
    """The state dict in a file of torch.save, without the prefixes of the official training code.

    Nothing in it is executed.

    Args:
        path: of the file.
        expected: what it should be, for the error.

    Raises:
        WeightsError: it is missing, damaged, or holds more or other than tensors.
    """

    def refused(why: str | None, do: str) -> WeightsError:
        return WeightsError(f"{path}: {why}", expected=expected, do=do)

    try:
        data = load_tensors(path)
    except OSError as error:
        raise refused(error.strerror, "check the path") from None
    except pickle.UnpicklingError as error:
        raise refused(
            f"not opened, it holds more than tensors, or no tensors at all ({first_line(error)})",
            "do not trust the file: opening such a checkpoint in full can run code",
        ) from None
    except Exception as error:  # torch raises what it meets: RuntimeError, EOFError, KeyError, ...
        raise refused(f"damaged ({type(error).__name__}: {first_line(error)})", "download it again") from None
    state = data.get("model_state", data) if isinstance(data, dict) else data
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise refused("no state dict of tensors in it", "give another file")
    named = {str(key).removeprefix("module."): value for key, value in state.items()}
    if len(named) < len(state):
        raise refused("some keys twice, with and without 'module.'", "keep one of each")
    return named


def _config(
    path: Path, model: str, state: dict[str, Tensor], num_classes: int, memory_stride: int | None
) -> ModelConfig:
    fields: dict[str, Any] = {}
    if model.startswith("td"):
        norm = state.get("layer_norm1.ln.weight")
        if norm is None or norm.ndim != 2 or not 0 < min(norm.shape) <= max(norm.shape) <= _MOST_NORM:
            raise WeightsError(
                f"{path}: layer_norm1.ln.weight {'missing' if norm is None else tuple(norm.shape)}",
                expected=f"the height and width of a feature map, up to {_MOST_NORM}",
                do="name the right --model, or give the file whole",
            )
        stride = 4 if memory_stride is None else memory_stride
        fields = {"memory_stride": stride, "norm": "layer", "norm_size": tuple(norm.shape)}
    if num_classes == len(classes.CITYSCAPES_CLASSES):
        fields |= {"classes": classes.CITYSCAPES_CLASSES, "palette": classes.CITYSCAPES_PALETTE}
    return model_config(model, num_classes=num_classes, **fields)


def _pyramids(config: ModelConfig, state: dict[str, Tensor]) -> int:
    """Groups that the official teacher is cut into; 1: it is no teacher."""
    found = sum(fnmatchcase(key, "group*.conv5.0.weight") for key in state)
    return found if config.paths == 1 and found in (2, 4) else 1


def _check(source: Path, own: dict[str, Tensor], table: list[Entry], state: dict[str, Tensor]) -> None:
    expected = {entry.theirs: own[entry.ours].new_empty(entry.shape(own[entry.ours])) for entry in table}
    taken = {key: state[key] for key in state if key in expected or not any(fnmatchcase(key, left) for left in LEFT)}
    wrong = mismatches(taken, expected)
    for key in expected.keys() - wrong.keys():
        tensor = state[key]
        if not _is_plain(tensor):
            wrong[key] = f"{key} not a plain tensor of floats: {tensor.dtype}, {tensor.layout}"
        elif not tensor.float().isfinite().all():
            wrong[key] = f"{key} not finite"
    if wrong:
        raise WeightsError(
            f"{source}: not the weights named ({len(wrong)} keys: {'; '.join(sorted(wrong.values())[:5])})",
            expected=f"the {len(expected)} tensors of that model in the official code",
            do="name the right --model and --num-classes, or give the file whole",
        )


def _is_plain(tensor: Tensor) -> bool:
    strided = type(tensor) is Tensor and tensor.layout is torch.strided and tensor.device.type == "cpu"
    return strided and tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
