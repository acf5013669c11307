"""How far the outputs of one form of a model are from those of another."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.masks.classmap import class_map
from tdseg.metrics.basic import Mask, flip_share
from tdseg.metrics.iou import VOID, ConfusionMatrix
from tdseg.models.propagation import TDNetState


class Deviation(NamedTuple):
    """How far the outputs of one form of a model are from those of another."""

    max_relative_error: float
    """Largest difference of a logit over the largest logit."""
    agreement: float
    """Share of pixels whose most likely class is the same, 0..1."""
    miou_drop: float | None = None
    """mIoU lost on the labels, points; None without labels."""


class Candidate(Protocol):
    """The part of a `tdseg.runtime.network.Network` that is compared. A state without memory starts a video anew."""

    @property
    def align_corners(self) -> bool: ...  # noqa: D102

    def encode(self, images: Tensor, path: int) -> Any: ...  # noqa: D102

    def advance(self, encoded: Any, state: TDNetState) -> tuple[Tensor, TDNetState]: ...  # noqa: D102


@torch.inference_mode()
def deviation(
    reference: Candidate,
    candidate: Candidate,
    frames: Iterable[Tensor],
    *,
    resets: Collection[int] = (),
    labels: Iterable[Mask] | None = None,
) -> Deviation:
    """Step both through a clip, each with its own state, and compare logits and masks.

    Args:
        reference: what is right: the plain model.
        candidate: the other form of it.
        frames: uint8 (B, 3, h, w) each, RGB.
        resets: numbers of frames before which both forget everything.
        labels: (H, W) each, where known, for B = 1; the masks are then of their size, not of the frames'.

    Raises:
        ConfigError: no frame.
    """
    networks, states = (reference, candidate), [TDNetState(), TDNetState()]
    matrices, truth = (ConfusionMatrix(VOID), ConfusionMatrix(VOID)), iter(labels or ())
    errors, largest, agreements = [], [], []
    for index, images in enumerate(frames):
        if index in resets:
            states = [TDNetState(), TDNetState()]
        label = next(truth, None)
        size = (images.shape[-2], images.shape[-1]) if label is None else (label.shape[0], label.shape[1])
        scores, masks = [], []
        for which, network in enumerate(networks):
            logits, states[which] = network.advance(network.encode(images, states[which].path), states[which])
            scores.append(logits.float().cpu().numpy())
            masks.append(
                np.stack([class_map(of_one, size, align_corners=network.align_corners) for of_one in scores[which]])
            )
            if label is not None:
                matrices[which].update(masks[which][0], label)
        errors.append(np.abs(scores[1] - scores[0]).max())
        largest.append(np.abs(scores[0]).max())
        agreements.append(1 - flip_share(masks[0], masks[1]))
    if not errors:
        raise ConfigError("a clip of no frames", expected="one frame or more", do="give the frames to compare on")
    drop = None if labels is None else matrices[0].miou - matrices[1].miou
    return Deviation(float(max(errors) / max(largest)), float(np.mean(agreements)), drop)
