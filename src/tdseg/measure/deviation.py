"""How far the outputs of one form of a model are from those of another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.models.layers import resize
from tdseg.models.propagation import TDNetState
from tdseg.runtime.network import Network


class Deviation(NamedTuple):
    """How far the outputs of one form of a model are from those of another."""

    max_relative_error: float
    """Largest difference of a logit over the largest logit."""
    agreement: float
    """Share of pixels whose most likely class is the same, 0..1."""


@torch.inference_mode()
def deviation(reference: Network, candidate: Network, frames: Iterable[Tensor]) -> Deviation:
    """Step both through a clip, each with its own state, and compare their logits at full size.

    Args:
        reference: what is right: the plain model.
        candidate: the other form of it, on the same device.
        frames: uint8 (B, 3, h, w) each, RGB.

    Raises:
        ConfigError: no frame.
    """
    states = {network: TDNetState() for network in (reference, candidate)}
    errors, largest, agreements = [], [], []
    for images in frames:
        outputs = []
        for network, state in states.items():
            logits, states[network] = network.advance(network.encode(images, state.path), state)
            outputs.append(resize(logits, (images.shape[-2], images.shape[-1])))
        expected, found = outputs
        errors.append((found - expected).abs().amax())
        largest.append(expected.abs().amax())
        agreements.append((found.argmax(1) == expected.argmax(1)).float().mean())
    if not errors:
        raise ConfigError("a clip of no frames", expected="one frame or more", do="give the frames to compare on")
    error = torch.stack(errors).amax() / torch.stack(largest).amax()
    return Deviation(float(error), float(torch.stack(agreements).mean()))
