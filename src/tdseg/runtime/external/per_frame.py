"""What the networks of others have in common: they give class scores of frames, one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.masks.palette import Color
from tdseg.models.propagation import TDNetState
from tdseg.runtime.network import RuntimeName, check_size

SCORES, VOTES = 2, 4
"""Cells to a side of 8 pixels of the input in which a memory holds class scores, and class indices as votes: 1/4 of the
input, and 1/2, for they say less."""


FREE_SIZE = (512, 1024)
"""(height, width) of an input that takes any, pixels, until there is a frame."""


class PerFrameNetwork(ABC):
    """A network of others. See `Network`.

    Args:
        config: see `external_config`.
        runtime, precision, device: as of Network.
    """

    concurrent = True
    align_corners = keeps_state = False
    parameters: int | None = None
    """How many it has, where that is known."""

    def __init__(self, config: ModelConfig, runtime: RuntimeName, precision: str, device: str) -> None:
        self.config, self.runtime, self.precision, self.device = config, runtime, precision, device

    @abstractmethod
    def scores(self, images: Tensor) -> Tensor:
        """Class scores of frames, uint8 RGB (B, 3, h, w): float32 (B, C, ·, ·), at a resolution of its own."""

    def graph_module(self) -> nn.Module:
        """The network as a module to export, where it is one: uint8 RGB (1, 3, h, w) -> float32 scores (1, C, ·, ·).

        In eval mode and on the CPU, with the normalisation in it.

        Raises:
            ConfigError: it is none.
        """
        raise ConfigError(
            f"export of {self.config.name}, a network of others that is no model of torch",
            expected="a per-frame model of Hugging Face, or weights of tdseg",
            do="use it as it is",
        )

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network."""
        return check_size(size or self.config.size, self.config.size)

    def encode(self, images: Tensor, path: int) -> Tensor:
        """See Network."""
        return self.scores(images)

    def advance(self, encoded: Tensor, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """See Network: there is nothing to remember."""
        return encoded, TDNetState()


def external_config(
    name: str,
    num_classes: int,
    size: tuple[int, int],
    *,
    classes: Sequence[str] = (),
    palette: Sequence[Color] = (),
    votes: bool = False,
) -> ModelConfig:
    """What is known of a network of others. Its input is RGB in 0..255: it normalises by itself.

    Args:
        name: printable.
        num_classes: C.
        size: its own (height, width) of the input, pixels.
        classes: names by index; () where unknown.
        palette: RGB by index; () for a default.
        votes: it gives class indices, as votes: one for each pixel.

    Raises:
        ConfigError: no class or over 255, or a field that does not fit.
    """
    if not 1 <= num_classes <= 255:
        raise ConfigError(
            f"{name} with {num_classes} classes", expected="1 … 255, for masks of 8 bits", do="choose another network"
        )
    fields = {
        "name": name,
        "subnet": "external",
        "paths": 1,
        "num_classes": num_classes,
        "classes": classes,
        "palette": palette,
        "size": size,
        "mean": (0, 0, 0),
        "std": (1, 1, 1),
        "head_upscale": VOTES if votes else SCORES,
    }
    return ModelConfig.parse(fields, where=name)
