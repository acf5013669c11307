"""The gate: what is exported gives the masks of the model it was made of, or is not left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.export.footage import Footage, Image
from tdseg.inference.stream import resized
from tdseg.masks.classmap import class_map
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.exported import ExportedNetwork
from tdseg.runtime.manifest import Parity

RESETS = 1


class Candidate(Protocol):
    """One video on its way through what was exported."""

    def reset(self) -> None:
        """Forget everything."""

    def step(self, image: Image) -> Tensor:
        """Logits (1, C, u·h, u·w) of the next frame, uint8 (h, w, 3), at the size of the network's input."""


class Explicit:
    """A network whose state goes in and comes out."""

    def __init__(self, network: ExportedNetwork) -> None:
        self.network = network
        self.reset()

    def reset(self) -> None:
        """See `Candidate`."""
        self._state = TDNetState()

    def step(self, image: Image) -> Tensor:
        """See `Candidate`."""
        images = torch.from_numpy(image).permute(2, 0, 1)[None]
        logits, self._state = self.network.advance(self.network.encode(images, self._state.path), self._state)
        return logits


@torch.inference_mode()
def compare(
    model: TDNet,
    candidate: Candidate,
    clip: Footage,
    size: tuple[int, int],
    on_frame: Callable[[], None] = lambda: None,
) -> Parity:
    """Show a clip to both, with a reset in the middle, and compare logits and masks.

    Args:
        model: what is right, in eval mode.
        candidate: what was exported.
        clip: frames of any size.
        size: (height, width) of the networks' input, pixels.
        on_frame: called after each frame.
    """
    state, errors, largest, agreements = TDNetState(), [], [], []
    scores = [ConfusionMatrix(model.config.num_classes) for _ in range(2)]
    candidate.reset()
    for index, frame in enumerate(clip.frames):
        if index == len(clip.frames) // 2:
            state = TDNetState()
            candidate.reset()
        image = resized(frame, size)
        expected, state = model.advance(model.encode(model.normalize(image), state.path), state)
        logits = candidate.step(np.ascontiguousarray(image[0].permute(1, 2, 0).numpy()))
        errors.append((logits - expected).abs().max().item())
        largest.append(expected.abs().max().item())
        masks = [_mask(expected, frame), _mask(logits, frame)]
        agreements.append(np.mean(masks[0] == masks[1]))
        if clip.labels is not None:
            for score, mask in zip(scores, masks, strict=True):
                score.update(mask, clip.labels[index])
        on_frame()
    return Parity(
        source=clip.name,
        frames=len(clip.frames),
        resets=RESETS,
        agreement=round(float(np.mean(agreements)), 6),
        max_relative_error=float(f"{max(errors) / max(largest):.3g}"),
        miou_drop=round(scores[0].miou - scores[1].miou, 3) if clip.labels is not None else None,
    )


def _mask(logits: Tensor, frame: Image) -> NDArray[np.uint8]:
    return class_map(logits[0].float().numpy(), (frame.shape[0], frame.shape[1]))
