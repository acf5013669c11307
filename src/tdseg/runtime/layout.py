"""The state of a model as tensors of fixed shapes, as graphs take it and give it.

A graph cannot have fewer tensors for a shorter memory. So zeros stand for an empty one: motion's mean that stands for
no frame, or attention's slots of which none is filled.
"""

from __future__ import annotations

from typing import NamedTuple

from tdseg.config import ModelConfig

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


def past(name: str) -> str:
    """Name of a state tensor that goes into a graph."""
    return f"past_{name}"


def present(name: str) -> str:
    """Name of a state tensor that comes out of a graph."""
    return f"present_{name}"


def _cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    height, width = size
    return -(-height // stride), -(-width // stride)
