"""The state of a model as tensors of fixed shapes, as graphs take it and give it.

A graph cannot have fewer tensors for a shorter memory. So zeros stand for an empty one: motion's mean that stands for
no frame, or attention's slots of which none is filled.
"""

from __future__ import annotations

from typing import NamedTuple

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.tdnet import MIN_SIZE

PATH = "path"
"""State tensor of a graph that holds several paths: the one whose turn it is."""


class MemoryTensor(NamedTuple):
    """One tensor of what a video's state remembers."""

    name: str
    shape: tuple[int, ...]


def memory_layout(config: ModelConfig, stride: int, size: tuple[int, int]) -> tuple[MemoryTensor, ...]:
    """The tensors of a state, in the order in which graphs take them; none for a per-frame model.

    Args:
        config: of the model.
        stride: pixels of the input for each position of the feature map.
        size: (height, width) of the input, pixels.
    """
    if config.paths == 1:
        return ()
    height, width = _cells(size, stride)
    if config.propagation == "motion":
        return (
            MemoryTensor("key", (1, config.d_k, height, width)),
            MemoryTensor("value", (1, config.d_v, height, width)),
            MemoryTensor("weight", (1, 1, height, width)),
        )
    slots = config.paths - 1
    rows, columns = _cells((height, width), config.memory_stride)
    positions = rows * columns
    asked = (MemoryTensor("query", (1, slots, positions, config.d_k)),) if slots > 1 else ()  # by all hops but the last
    return (
        *asked,
        MemoryTensor("key", (1, slots, positions, config.d_k)),
        MemoryTensor("value", (1, slots, positions, config.d_v)),
        MemoryTensor("frames", (1, 1, 1)),
    )


def logits_shape(config: ModelConfig, stride: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(1, C, u·h, u·w)"""
    height, width = _cells(size, stride)
    return 1, config.num_classes, config.head_upscale * height, config.head_upscale * width


def fit_size(
    size: tuple[int, int] | None, *, own: tuple[int, int], fixed: tuple[int, int] | None = None, multiple_of: int = 1
) -> tuple[int, int]:
    """The (height, width) given, pixels, or a model's own for None.

    Args:
        size: what is asked for.
        own: what the model was trained for.
        fixed: the only one that its graph takes, or None.
        multiple_of: what both sides must be multiples of.

    Raises:
        ConfigError: below 64 pixels, or none that the graph takes.
    """
    own = fixed or own
    size = size or own
    if fixed and size != own:
        raise ConfigError(
            f"size {size[0]}x{size[1]} for a model exported or loaded for {own[0]}x{own[1]}",
            expected=f"{own[0]}x{own[1]}, to which frames of any size are resized",
            do=f"leave --size out, or export or load the model for {size[0]}x{size[1]}",
        )
    if min(size) < MIN_SIZE:
        raise ConfigError(
            f"size {size[0]}x{size[1]}",
            expected=f"height and width of at least {MIN_SIZE} pixels",
            do=f"choose a larger size; the model's own is {own[0]}x{own[1]}",
        )
    if any(side % multiple_of for side in size):
        height, width = (round(side / multiple_of) * multiple_of for side in size)
        raise ConfigError(
            f"size {size[0]}x{size[1]} for a graph of any size",
            expected=f"multiples of {multiple_of} pixels",
            do=f"use --size {height}x{width}, to which frames of any size are resized",
        )
    return size


def past(name: str) -> str:
    """Name of a state tensor that goes into a graph."""
    return f"past_{name}"


def present(name: str) -> str:
    """Name of a state tensor that comes out of a graph."""
    return f"present_{name}"


def _cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    height, width = size
    return -(-height // stride), -(-width // stride)
