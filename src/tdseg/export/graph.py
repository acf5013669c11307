"""The turn of one path as a pure function of tensors: what is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.export.same import use_same
from tdseg.models.path import NetworkPath


class StepGraph(nn.Module):
    """A step of `TDNet` for one path, from the image as it is to the state for the next frame.

    Args:
        path: of a fused model, in eval mode; it is the graph's from now on.
        config: of the model.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: NetworkPath, config: ModelConfig) -> None:
        super().__init__()
        use_same(path)
        self.path, self.config = path, config
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(config.std)[:, None, None])

    def forward(self, image: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """An image, uint8 (1, H, W, 3), and the state -> logits (1, C, u·h, u·w), float32, the next state, and the code
        of the frame, which knows nothing of the state: `encoded` tensors.
        """
        x = (image.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        code = self.path.encode(x).code
        logits, present = self.path.turn(code, past)
        assert logits is not None
        return logits.float(), *present, *code
