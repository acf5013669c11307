"""The turn of one path as a pure function of tensors: what is exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tdseg.config import ModelConfig
from tdseg.export.same import use_same
from tdseg.models.path import Encoded, NetworkPath
from tdseg.models.propagation.attention import Propagation, tokens
from tdseg.models.propagation.state import FrameMemory, MotionMemory


class StepGraph(nn.Module):
    """`TDNet.step` for one path, with the state as tensors of fixed shapes; see `tdseg.runtime.layout`.

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
        """An image, uint8 (1, H, W, 3), and the state -> logits (1, C, u·h, u·w), float32, the next state, and what
        the frame is by itself, before it meets the state: `encoded` tensors.
        """
        x = (image.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        encoded = self.path.encode(x)
        feature = encoded.value
        present: tuple[Tensor, ...] = ()
        alone = [x for x in (encoded.query, encoded.value, *(encoded.memory or ())) if x is not None]
        if isinstance(encoded.memory, MotionMemory):
            alone.pop()  # the weight of one frame, always 1
            memory = (MotionMemory(*past),)
            remembered = self.path.remember(encoded, memory)
            feature, present = self.path.merge(encoded, memory, remembered), tuple(remembered[-1])
        elif encoded.memory is not None:
            feature, present = self._attend(encoded, encoded.memory, *past)
        return self.path.classify(feature).float(), *present, *alone

    def _attend(self, encoded: Encoded, own: FrameMemory, *past: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As `Propagation.merge`, but hops over slots that are not filled give nothing.

        Args:
            past: query, where there are several hops, key and value, (1, m-1, n, ·), oldest slot first; and the number
                of slots that are filled, (1, 1, 1).
        """
        *query, key, value, frames = past
        propagation, newest = self.path.propagation, encoded.query
        assert isinstance(propagation, Propagation)
        assert newest is not None
        hops = len(propagation.phi)
        propagated = torch.zeros_like(value[:, 0])
        for hop, phi in enumerate(propagation.phi):
            asking = query[0][:, hop + 1] if hop + 1 < hops else tokens(newest)
            needed = hops - hop if propagation.partial else hops
            filled = (frames >= needed).to(value.dtype)
            propagated = filled * propagation.hop(asking, key[:, hop], propagated + value[:, hop], phi)
        feature = encoded.value + propagated.transpose(1, 2).reshape(encoded.value.shape)  # (1, d_v, h, w)
        remembered = zip((*query, key, value), own[-len(past) + 1 :], strict=True)
        slots = (torch.cat([old[:, 1:], new[:, None]], 1) for old, new in remembered)
        return feature, (*slots, (frames + 1).clamp(max=hops))
