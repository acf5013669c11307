"""The interface of propagation: what a frame leaves for later ones, and how it is merged with what earlier ones left.

A path encodes a frame, aligns the memory with it, merges both, and remembers. Everything that is remembered is a state
of tensors of fixed shapes, zeros for an empty one: so it stacks over videos, moves between devices, and exports.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError

Memory = tuple[Tensor, ...]
"""Tensors as `Propagation.layout` lists them; () for a path that remembers nothing."""


class TDNetState(NamedTuple):
    """State between two frames of one video. It holds all there is: a step is a pure function of frame and state."""

    path: int = 0
    """Path that runs on the next frame, 0 … m-1."""
    memory: Memory = ()
    """What is remembered of the frames before; () where there are none."""


class StateTensor(NamedTuple):
    """One tensor of a memory."""

    name: str
    shape: tuple[int, ...]
    """For one video; the first axis is the batch."""


class PathView(NamedTuple):
    """One frame as its path sees it, before it meets the memory."""

    image: Tensor
    """(B, 3, H, W), normalised."""
    feature: Tensor
    """z (B, C_z, h, w) of the sub-network; where propagation comes after the head, class scores (B, C, u·h, u·w)."""


class Code(Protocol):
    """A frame as propagation takes it: a named tuple of tensors, the batch their first axis."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Iterator[Tensor]: ...

    @property
    def value(self) -> Tensor:
        """(B, d_v, h, w): what the frame says by itself, and so merging gives.

        After the head (B, C, u·h, u·w), and the first of the tensors: the network ends there.
        """


C = TypeVar("C", bound=Code)


class Propagation(nn.Module, ABC, Generic[C]):
    """Brings the frame of one path together with the memory. It holds weights only; memory goes in and comes out.

    A new kind is one file with a subclass, and one entry in `tdseg.models.propagation.PROPAGATIONS`.

    Args:
        config: of the model.
        dropout: probability, where a kind uses any, in training.
    """

    after_head: ClassVar[bool] = False
    """It merges class scores, after the head of a path, instead of features before it."""
    left_out = 0
    """Slots of the memory, from the oldest, that merging leaves out: to see what each of the paths is worth."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.dropout = dropout

    @staticmethod
    @abstractmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        """The module that makes a Code of a PathView, whose feature has so many channels."""

    @staticmethod
    @abstractmethod
    def layout(config: ModelConfig, cells: tuple[int, int]) -> tuple[StateTensor, ...]:
        """The tensors of the memory, in order. An empty one is zeros: where that is no neutral value, one must count.

        Args:
            config: of the model.
            cells: (h, w), size of z.
        """

    @staticmethod
    def check_export(config: ModelConfig) -> None:
        """See that a graph can hold what the configuration asks for; it can, as a rule.

        Raises:
            ConfigError: it cannot.
        """

    def align(self, code: C, memory: Memory) -> Memory:
        """The memory brought to what the frame shows, such as along motion; here as it is."""
        return memory

    @abstractmethod
    def merge(self, code: C, aligned: Memory) -> Tensor:
        """The frame with what the aligned memory says of it, of the shape of `code.value`."""

    @abstractmethod
    def remember(self, code: C, aligned: Memory) -> Memory:
        """The memory after the frame."""

    def readings(self, code: C, memory: Memory) -> dict[str, Tensor]:
        """What training logs of a frame that meets a full memory: scalars without gradient, by name; here nothing."""
        return {}

    def start_from_features(self, encoder: nn.Module) -> bool:
        """Initialise a new path so that what it merges is of the kind of its sub-feature, which a head can read.

        Returns:
            Whether that can be: here it cannot.
        """
        return False

    def fuse(self, encoder: nn.Module) -> None:
        """Fold what inference does not need, in place; here nothing."""

    def empty(self, value: Tensor) -> Memory:
        """The memory before the first frame, for a frame whose code has this value."""
        return tuple(value.new_zeros(shape) for shape in self._shapes(value))

    def met(self, memory: Memory, value: Tensor) -> Memory:
        """The memory that a frame whose code has this value meets: an empty one for ().

        Raises:
            ConfigError: it is of frames of another batch or size.
        """
        if not memory:
            return self.empty(value)
        shapes = [tuple(tensor.shape) for tensor in memory]
        if shapes != self._shapes(value):
            raise ConfigError(
                f"a state with memory of shapes {shapes} and a frame that gives {tuple(value.shape)}",
                expected="frames of one batch and size between two resets",
                do="start from state=None when the batch or the frame size changes",
            )
        return memory

    def _shapes(self, value: Tensor) -> list[tuple[int, ...]]:
        scale = self.config.head_upscale if self.after_head else 1
        cells = (value.shape[-2] // scale, value.shape[-1] // scale)
        return [(len(value), *tensor.shape[1:]) for tensor in self.layout(self.config, cells)]


class PerFrameCode(NamedTuple):
    """A frame that is alone."""

    value: Tensor
    """(B, C_z, h, w)"""


class PerFrameEncoder(nn.Module):
    """The feature as it is."""

    def forward(self, view: PathView) -> PerFrameCode:
        """The sub-feature itself is what the head reads."""
        return PerFrameCode(view.feature)


class PerFrame(Propagation[PerFrameCode]):
    """The propagation of a per-frame model: there is none."""

    @staticmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        """See Propagation."""
        return PerFrameEncoder()

    @staticmethod
    def layout(config: ModelConfig, cells: tuple[int, int]) -> tuple[StateTensor, ...]:
        """See Propagation."""
        return ()

    def merge(self, code: PerFrameCode, aligned: Memory) -> Tensor:
        """See Propagation."""
        return code.value

    def remember(self, code: PerFrameCode, aligned: Memory) -> Memory:
        """See Propagation."""
        return ()
