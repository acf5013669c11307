"""An exported network as Streams take it: its state, its turns, and the engine that runs its graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.runtime.layout import PATH, memory_layout
from tdseg.runtime.manifest import Manifest

Arrays = list[NDArray[np.generic]]


class Engine(Protocol):
    """The graph of a folder, loaded in a runtime. Any thread may run it."""

    name: str
    """Of the runtime."""
    where: str
    """Of what it computes on, as it calls it."""

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """The outputs of the graph for its inputs, both in the manifest's order, in memory of their own."""


class ExportedState(NamedTuple):
    """State between two frames of one video."""

    path: int
    """Path that runs on the next frame, 0 … m-1."""
    memory: tuple[Tensor, ...]
    """As the manifest lists it; () when empty."""


class ExportedNetwork:
    """A network of an exported folder, with the interface of a TDNet as far as Streams need it. See `Network`."""

    training = False
    distinct_paths: int
    encodes_apart = False
    device = torch.device("cpu")

    def __init__(self, manifest: Manifest, engine: Engine) -> None:
        self.manifest, self.engine = manifest, engine
        self.config: ModelConfig = manifest.model
        self.runtime = engine.name
        self.fixed_size = manifest.size
        self._turns = any(spec.name == PATH for spec in manifest.memory)
        self.distinct_paths = self.config.paths if self._turns else 1

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 RGB images (B, 3, h, w), as they are: the graphs normalise them."""
        return images

    def initial_state(self, path: int | None = None) -> ExportedState:
        """An empty memory whose first frame runs `path` (0 … m-1; None: 0)."""
        return ExportedState((path or 0) % self.config.paths, ())

    def encode(self, x: Tensor, path: int) -> None:
        """Nothing: a graph does all of a step at once."""

    def advance(
        self, x: Tensor, state: ExportedState | None = None, encoded: None = None
    ) -> tuple[Tensor, ExportedState]:
        """One frame, at the resolution of the features.

        Args:
            x: uint8 RGB image (1, 3, h, w), 0..255.
            state: what the previous call returned; None starts anew.
            encoded: None.

        Returns:
            Logits (1, C, u·h, u·w), float32, as of `TDNet.advance`; and the state for the next frame.

        Raises:
            ConfigError: x has another shape or dtype, or the state is of another size.
        """
        self._check_image(x)
        path, memory = state or self.initial_state()
        image = x.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        memory = memory or self._warm(image, path)
        logits, memory = self._run(path, image, memory)
        return logits, ExportedState((path + 1) % self.config.paths, memory)

    def _warm(self, image: NDArray[np.uint8], path: int) -> tuple[Tensor, ...]:
        """The memory that the first frame after a reset meets."""
        layout = memory_layout(self.config, self.manifest.stride, (image.shape[1], image.shape[2]))
        memory = tuple(
            torch.zeros(tensor.shape, dtype=getattr(torch, spec.dtype))
            for tensor, spec in zip(layout, self.manifest.memory, strict=False)
        )
        if self.config.warmup == "full":
            for other in range(path + 1, path + self.config.paths):
                _, memory = self._run(other % self.config.paths, image, memory)
        return memory

    def _run(
        self, path: int, image: NDArray[np.uint8], memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs = [image, *(tensor.numpy() for tensor in memory)]
        if self._turns:
            inputs.append(np.array([[path]]))
        logits, *remembered = map(torch.from_numpy, self.engine.run(inputs))
        return logits, tuple(remembered[: len(memory)])

    def _check_image(self, x: Tensor) -> None:
        size = (x.shape[-2], x.shape[-1])
        if x.ndim != 4 or x.shape[:2] != (1, 3) or x.dtype != torch.uint8 or self.fixed_size not in (None, size):
            height, width = self.fixed_size or ("h", "w")
            raise ConfigError(
                f"an image of shape {tuple(x.shape)} and {x.dtype}",
                expected=f"uint8 (1, 3, {height}, {width})",
                do="give one frame at a time, at the size that the model was exported for; a Stream resizes frames",
            )
