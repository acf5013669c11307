"""A network of others whose masks are known: the class of a pixel is written in its red channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tdseg.runtime.external.per_frame import PerFrameNetwork, external_config

_STEP = 8
"""Of red, from class to class."""


class Oracle(PerFrameNetwork):
    """Says of a frame of `picture` what was painted.

    Args:
        classes: by index, or how many there are.
        size: (height, width) of its input, pixels.
    """

    def __init__(self, classes: Sequence[str] | int, size: tuple[int, int]) -> None:
        count, names = (classes, ()) if isinstance(classes, int) else (len(classes), classes)
        super().__init__(external_config("oracle", count, size, classes=names), "torch", "fp32", "cpu")

    def scores(self, images: Tensor) -> Tensor:
        """See PerFrameNetwork."""
        painted = (images[:, 0].long() // _STEP).clamp(max=self.config.num_classes - 1)
        return F.one_hot(painted, self.config.num_classes).permute(0, 3, 1, 2).float()


def picture(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame, uint8 (H, W, 3), of which an oracle gives this mask: classes of its own, below 32."""
    return np.stack([mask * _STEP + _STEP // 2] * 3, -1).astype(np.uint8)
