"""The contract between data sets and training: a data set is a sequence of Clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

IGNORE = 255
"""Label of pixels and frames that no loss and no metric counts."""


class Clip(NamedTuple):
    """Frames in order of time with what is known of their labels. A still image is a clip of one frame."""

    frames: Tensor
    """(T, 3, H, W) uint8 RGB."""
    labels: Tensor
    """(T, H, W) uint8 class indices; IGNORE where unknown."""


class ClipDataset(Protocol):
    """A sequence of Clips that all have the same number of frames."""

    @property
    def classes(self) -> Sequence[str]:
        """Class names by index."""
        ...

    @property
    def palette(self) -> Sequence[tuple[int, int, int]]:
        """RGB colour of each class."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Clip: ...
