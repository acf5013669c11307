"""What a TDNet remembers of earlier frames: plain named tuples of tensors, so they stack, move and export."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class FrameMemory(NamedTuple):
    """What later frames need of one frame, subsampled by the memory stride to n = h'·w' positions."""

    query: Tensor
    """(B, n, d_k)"""
    key: Tensor
    """(B, n, d_k)"""
    value: Tensor
    """(B, n, d_v)"""


class MotionMemory(NamedTuple):
    """What later frames need of a frame and of those before it, when memory is carried along motion."""

    key: Tensor
    """(B, d_k, h, w), of the newest frame: unit vectors."""
    value: Tensor
    """(B, d_v, h, w): mean of the values of what is seen in the newest frame."""
    weight: Tensor
    """(B, 1, h, w): the number of frames that the mean stands for, 1 … m."""


Memory = tuple[FrameMemory, ...] | tuple[MotionMemory, ...]


class TDNetState(NamedTuple):
    """State between two frames of one video. It holds all there is: a step is a pure function of frame and state."""

    path: int
    """Path that runs on the next frame, 0 … m-1."""
    memory: Memory
    """With attention, at most m-1 earlier frames, oldest first; with motion, one memory that stands for them."""
