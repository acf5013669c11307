"""Evaluation of a model on CamVid, by the protocols that a number must name beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tdseg.data.camvid import CamVid
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import FlipRate
from tdseg.models.tdnet import TDNet

Protocol = Literal["stream", "still"]
PROTOCOLS: dict[Protocol, str] = {
    "stream": "frames streamed in order, once per starting phase, memory reset between sequences",
    "still": "each frame shown as a still for m frames and scored at the last, once per phase",
}


class Score(NamedTuple):
    """A mask with the path that made it, and its label."""

    path: int
    mask: np.ndarray
    label: np.ndarray
    first: bool
    """First frame of a sequence."""


def evaluate_camvid(model: TDNet, data: CamVid, protocol: Protocol) -> dict[str, Any]:
    """Accuracy and steadiness of a model, every path on every frame.

    Args:
        model: with the classes of the data; a fused model gives the same figures faster.
        data: stills (length 1) in order of time.
        protocol: "stream" or "still", see PROTOCOLS. Paths that share their weights give the same masks at every phase
            once the memory is full, so one phase stands for all of them.

    Returns:
        miou, pixel_accuracy, iou {class}: percent, at label resolution, void ignored; one confusion matrix over the
        data set for each path, then the mean over paths. per_path: mIoU of each. flip_rate: 0 … 1, of streamed masks,
        None for stills. frames: number scored. protocol: in words.
    """
    model = model.eval()
    phases = len(model.paths)
    matrices = [ConfusionMatrix(model.config.num_classes) for _ in range(phases)]
    flips = FlipRate()
    for phase in range(phases):
        flips.reset()
        for score in _scores(model, data, protocol, phase):
            matrices[score.path % phases].update(score.mask, score.label)
            if score.first:
                flips.reset()
            if protocol == "stream":
                flips.update(score.mask)
    iou = np.mean([matrix.iou for matrix in matrices], axis=0)
    return {
        "miou": round(float(np.nanmean(iou)), 2),
        "iou": dict(zip(data.classes, iou.round(2).tolist(), strict=True)),
        "pixel_accuracy": round(float(np.mean([matrix.pixel_accuracy for matrix in matrices])), 2),
        "per_path": [round(matrix.miou, 2) for matrix in matrices],
        "flip_rate": None if flips.value is None else round(flips.value, 5),
        "frames": len(data),
        "protocol": f"{data.images[0].parent.name}, {protocol}: {PROTOCOLS[protocol]}",
    }


@torch.inference_mode()
def _scores(model: TDNet, data: CamVid, protocol: Protocol, phase: int) -> Iterator[Score]:
    state, sequence = model.initial_state(phase), ""
    m = model.config.paths
    for i in range(len(data)):
        clip = data[i]
        label, x = clip.labels[0].numpy(), model.normalize(clip.frames)
        first = data.sequence(i) != sequence
        if protocol == "still":
            still = x[None].expand(-1, m, -1, -1, -1)
            logits = model.forward_clip(still, model.initial_state((phase + 1) % m), "last").logits[:, 0]
            yield Score(phase, _mask(logits), label, first)
            continue
        if first:
            state, sequence = model.initial_state(phase), data.sequence(i)
        path = state.path
        logits, state = model.step(x, state)
        yield Score(path, _mask(logits), label, first)


def _mask(logits: Tensor) -> np.ndarray:
    mask: np.ndarray = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask
