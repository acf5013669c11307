"""Reference outputs of the official code, on weights and frames that anyone can draw again.

state-dict-keys.json.gz has the keys and shapes of every official model. A file of a folder of goldens has
`logits[i] = output[..., ::step, ::step]` of frame i, with `size` = H, W and the `seed` of weights and frames.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from support.places import ROOT, SHARED

FIXTURES = ROOT / "tests" / "zoo" / "golden"
FULL = SHARED / "golden"
"""The same at four times the resolution, where it is at hand."""
FILES = tuple(sorted(path.stem for path in FIXTURES.glob("*.npz") if not path.stem.startswith("teacher")))


class Golden(NamedTuple):
    model: str
    memory_stride: int
    state: dict[str, Tensor]
    frames: Tensor
    """(n, 3, H, W)"""
    step: int
    logits: Tensor
    """(n, C, h, w); of the training code: row p is what path p makes of the newest frame."""
    by_path: bool


def golden(folder: Path, file: str) -> Golden:
    with np.load(folder / f"{file}.npz") as stored:
        values = dict(stored)
    seed, height, width = int(values["seed"]), *map(int, values["size"])
    by_path = file.endswith("-stride3")
    model = file.removesuffix("-stride3").removesuffix("-train")
    norm = tuple(map(int, values["norm"])) if "norm" in values else (-(-height // 8), -(-width // 8))
    logits = torch.from_numpy(values["logits"])
    frames = np.random.default_rng(seed).standard_normal((len(logits), 3, height, width)).astype(np.float32)
    return Golden(
        model,
        3 if by_path else 4,
        draw_state(file.removesuffix("-stride3"), seed, norm),
        torch.from_numpy(frames),
        int(values["step"]),
        logits,
        by_path,
    )


def draw_state(name: str, seed: int, norm: tuple[int, ...]) -> dict[str, Tensor]:
    """A state dict of an official model, with LayerNorms of the given size."""
    return {
        key: _draw(key, norm if key.startswith("layer_norm") else shape, seed) for key, shape in shapes(name).items()
    }


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of an official model."""
    keys = json.loads(gzip.decompress((FIXTURES / "state-dict-keys.json.gz").read_bytes()))[name]
    return {key: tuple(shape) for key, shape in keys}


def _draw(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    rng: Any = np.random.default_rng(zlib.crc32(f"{seed}:{key}".encode()))
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    values: NDArray[np.float64]
    if key.endswith(("running_mean", ".bias")):
        values = rng.normal(0, 0.1, shape)
    elif len(shape) == 4:
        values = rng.normal(0, (1 / np.prod(shape[1:])) ** 0.5, shape)
    else:  # running_var and the weights of norms
        values = rng.uniform(0.5, 1.5, shape)
    return torch.from_numpy(values).float()
