"""What a Stream, `segment`, `bench` and `evaluate` need of a network, whatever runs it."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from tdseg.config import ModelConfig


class Network(Protocol):
    """A network that keeps no state: `TDNet` itself, or an exported one in another runtime.

    One may serve any number of videos, from any number of threads.
    """

    @property
    def config(self) -> ModelConfig:
        """What it is."""

    @property
    def training(self) -> bool:
        """Whether it is in training mode, in which it is of no use here."""

    @property
    def runtime(self) -> str:
        """Name of what runs it: torch, onnxruntime or openvino."""

    @property
    def precision(self) -> str:
        """Of its weights: fp32, fp16, bf16 or int8."""

    @property
    def device(self) -> torch.device:
        """Where it takes its input and leaves its logits."""

    @property
    def computes_on(self) -> str:
        """What computes: cpu, cuda:0, or the execution provider of its runtime, such as tensorrt."""

    @property
    def distinct_paths(self) -> int:
        """Number of paths with weights of their own: m, or 1 where paths share them."""

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """The only (height, width) of the input that it takes, pixels; None where it takes any."""

    @property
    def multiple_of(self) -> int:
        """What the height and the width of the input must be multiples of, pixels."""

    @property
    def encodes_apart(self) -> bool:
        """Whether most of a step's work can be done before its turn, by `encode`."""

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 RGB images (B, 3, h, w) -> what `encode` and `advance` take as x."""

    def initial_state(self, path: int | None = None) -> Any:
        """An empty memory whose first frame runs `path`; it has that as an attribute."""

    def encode(self, x: Tensor, path: int) -> Any:
        """What can be done of a frame before its turn."""

    def advance(self, x: Tensor, state: Any = None, encoded: Any = None) -> tuple[Tensor, Any]:
        """One frame: logits (B, C, u·h, u·w) as of `TDNet.advance`, and the state for the next frame."""
