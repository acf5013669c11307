"""An exported network as Streams take it: its state, its turns, and the engine that runs its graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


class Parts(NamedTuple):
    """A graph in two, for frames that are encoded ahead of their turn."""

    encode: Engine
    """From the image to the tensors that the manifest calls encoded."""
    merge: Engine
    """From those and the state to the outputs of the graph."""


class ExportedState(NamedTuple):
    """State between two frames of one video."""

    path: int
    """Path that runs on the next frame, 0 … m-1."""
    memory: tuple[Tensor, ...]
    """As the manifest lists it; () when empty."""


class ExportedNetwork:
    """A network of an exported folder, with the interface of a TDNet as far as Streams need it. See `Network`.

    Args:
        manifest: of the folder.
        engine: its graph, or the two parts of it.
        size: (height, width) of the input, pixels, where the engine takes no other.
    """

    training = False
    device = torch.device("cpu")

    def __init__(self, manifest: Manifest, engine: Engine | Parts, size: tuple[int, int] | None = None) -> None:
        self.manifest, self.config = manifest, manifest.model
        self._parts = engine if isinstance(engine, Parts) else None
        self.engine = engine.merge if isinstance(engine, Parts) else engine
        self.encodes_apart = self._parts is not None
        self.runtime, self.computes_on, self.precision = self.engine.name, self.engine.where, manifest.precision
        self.fixed_size = manifest.size or size
        self.multiple_of = 1 if self.fixed_size else manifest.stride
        self._turns = any(spec.name == PATH for spec in manifest.memory)
        self.distinct_paths = self.config.paths if self._turns else 1

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 RGB images (B, 3, h, w), as they are: the graphs normalise them."""
        return images

    def initial_state(self, path: int | None = None) -> ExportedState:
        """An empty memory whose first frame runs `path` (0 … m-1; None: 0)."""
        return ExportedState((path or 0) % self.config.paths, ())

    def encode(self, x: Tensor, path: int) -> Arrays:
        """What a frame is by itself; where the graph does all of a step at once, the image as it takes it."""
        image = self._image(x)
        return self._parts.encode.run([image]) if self._parts else [image]

    def advance(
        self, x: Tensor, state: ExportedState | None = None, encoded: Arrays | None = None
    ) -> tuple[Tensor, ExportedState]:
        """One frame, at the resolution of the features.

        Args:
            x: uint8 RGB image (1, 3, h, w), 0..255.
            state: what the previous call returned; None starts anew.
            encoded: `encode(x, state.path)`, where it was done ahead.

        Returns:
            Logits (1, C, u·h, u·w), float32, as of `TDNet.advance`; and the state for the next frame.

        Raises:
            ConfigError: x has another shape or dtype, or the state is of another size.
        """
        path, memory = state or self.initial_state()
        seen = encoded or self.encode(x, path)
        memory = memory or self._warm((x.shape[-2], x.shape[-1]), seen, path)
        logits, memory = self._run(path, seen, memory)
        return logits, ExportedState((path + 1) % self.config.paths, memory)

    def _warm(self, size: tuple[int, int], seen: Arrays, path: int) -> tuple[Tensor, ...]:
        """The memory that the first frame after a reset meets."""
        layout = memory_layout(self.config, self.manifest.stride, size)
        memory = tuple(
            torch.zeros(tensor.shape, dtype=getattr(torch, spec.dtype))
            for tensor, spec in zip(layout, self.manifest.memory, strict=False)
        )
        if self.config.warmup == "full":
            for other in range(path + 1, path + self.config.paths):
                _, memory = self._run(other % self.config.paths, seen, memory)
        return memory

    def _run(self, path: int, seen: Arrays, memory: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs = [*seen, *(tensor.numpy() for tensor in memory)]
        if self._turns:
            inputs.append(np.array([[path]]))
        logits, *remembered = map(torch.from_numpy, self.engine.run(inputs))
        return logits, tuple(remembered[: len(memory)])

    def _image(self, x: Tensor) -> NDArray[np.uint8]:
        size = (x.shape[-2], x.shape[-1])
        fits = size == self.fixed_size if self.fixed_size else not any(side % self.multiple_of for side in size)
        if x.ndim != 4 or x.shape[:2] != (1, 3) or x.dtype != torch.uint8 or not fits:
            height, width = self.fixed_size or (f"{self.multiple_of}·h", f"{self.multiple_of}·w")
            raise ConfigError(
                f"an image of shape {tuple(x.shape)} and {x.dtype}",
                expected=f"uint8 (1, 3, {height}, {width})",
                do="give one frame at a time, at the size that the model was exported for; a Stream resizes frames",
            )
        return x.permute(0, 2, 3, 1).contiguous().cpu().numpy()
