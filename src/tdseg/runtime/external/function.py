"""A function of the user's as a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.runtime.external.per_frame import FREE_SIZE, PerFrameNetwork, external_config
from tdseg.runtime.network import check_size

Function = Callable[[NDArray[np.uint8]], Any]
"""From a frame, uint8 (H, W, 3) RGB, to its class scores, floats (C, h, w): a tensor or an array."""


class FunctionNetwork(PerFrameNetwork):
    """A function that is called with frames of their own size, unless another is asked for.

    Args:
        function: called once with a black frame, to see how many classes there are; then from several threads.

    Raises:
        ConfigError: it gives something else than class scores.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._name = getattr(function, "__name__", type(function).__name__)
        classes = len(self._scores(np.zeros((*FREE_SIZE, 3), np.uint8)))
        super().__init__(external_config(self._name, classes, FREE_SIZE), "torch", "fp32", "cpu")

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network: that of the frames."""
        return check_size(size or frame or FREE_SIZE, FREE_SIZE)

    def scores(self, images: Tensor) -> Tensor:
        """See PerFrameNetwork."""
        frames = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return torch.stack([self._scores(frame) for frame in frames])

    def _scores(self, frame: NDArray[np.uint8]) -> Tensor:
        given = self._function(frame)
        scores = torch.as_tensor(given) if isinstance(given, Tensor | np.ndarray) else None
        if scores is None or scores.ndim != 3 or not scores.is_floating_point() or not scores.numel():
            got = f"{given.dtype} {tuple(given.shape)}" if scores is not None else type(given).__name__
            raise ConfigError(
                f"{self._name} gave {got} for a frame of {frame.shape}",
                expected="class scores, floats (C, h, w): a tensor or an array",
                do="move the classes to the first axis, and leave out the batch",
            )
        return scores.detach().float().cpu()
