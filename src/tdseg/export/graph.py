"""The turn of one path as pure functions of tensors: what is exported."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tdseg.config import FrameView, ModelConfig
from tdseg.export.same import use_same
from tdseg.models.path import NetworkPath
from tdseg.models.propagation.base import Code, Memory
from tdseg.models.tdnet import TDNet


class EncodeGraph(nn.Module):
    """The part of a step that knows nothing of the state.

    Args:
        path: of a fused model, in eval mode.
        view: how it sees the frames.
        config: of the model.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: NetworkPath, view: FrameView, config: ModelConfig) -> None:
        super().__init__()
        self.path, self.view = path, view
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(config.std)[:, None, None])

    def forward(self, image: Tensor) -> Code:
        """An image as it is, uint8 (1, H, W, 3) -> its code."""
        x = (image.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        return self.path.encode(x, self.view).code


class MergeGraph(nn.Module):
    """The rest of a step, which is done in turn.

    Args:
        path: of a fused model, in eval mode.
    """

    def __init__(self, path: NetworkPath) -> None:
        super().__init__()
        self.path = path

    def forward(self, code: Code, past: Memory = ()) -> tuple[Tensor, ...]:
        """The code of a frame and the state, if there is any -> logits (1, C, u·h, u·w), float32, and the next one."""
        logits, present = self.path.turn(code, past)
        assert logits is not None
        return logits.float(), *present


class StepGraph(nn.Module):
    """A step of `TDNet` at one turn, from the image as it is to the state for the next frame, in two parts.

    Args:
        model: fused, in eval mode.
        turn: 0 … config.turns-1.
    """

    def __init__(self, model: TDNet, turn: int) -> None:
        super().__init__()
        path = copy.deepcopy(model.path(turn))
        use_same(path)
        self.config, self.stride = model.config, path.subnet.stride
        self.encode = EncodeGraph(path, model.config.view(turn), model.config)
        self.merge = MergeGraph(path)

    def forward(self, image: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """An image, uint8 (1, H, W, 3), and the state -> logits (1, C, u·h, u·w), float32, and the next state."""
        outputs: tuple[Tensor, ...] = self.merge(self.encode(image), past)
        return outputs
