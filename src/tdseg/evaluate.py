"""Evaluation of a model on video data, by the protocols that a number must name beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.data.clip import Clip
from tdseg.errors import ConfigError
from tdseg.metrics import report
from tdseg.metrics.flow import DISFlow
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.models.tdnet import TDNet

OnProgress = Callable[[int, int | None], None]
Showing = Literal["stream", "still"]
PROTOCOLS: dict[Showing, str] = {
    "stream": "frames streamed in order, once per starting phase, memory reset between sequences",
    "still": "each frame shown as a still for m frames and scored at the last, once per phase",
}


class VideoDataset(Protocol):
    """Labelled frames in order of sequence and time."""

    @property
    def name(self) -> str:
        """Printable."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Class names by index."""
        ...

    @property
    def fps(self) -> float | None:
        """Frames per second; None if neighbouring frames are too far apart to be a video."""
        ...

    def sequence(self, index: int) -> str:
        """The video that an item was taken from."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Clip:
        """A clip of one frame."""
        ...


class Scored(NamedTuple):
    """One frame as each stream saw it."""

    frame: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    label: NDArray[np.uint8]
    first: bool
    """First frame of a sequence."""
    masks: list[tuple[int, NDArray[np.uint8]]]
    """Of each stream: the path that ran, and its mask."""


def evaluate(model: TDNet, data: VideoDataset, *, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Accuracy and steadiness of a model by the protocol for its data: video is streamed.

    Frames too far apart to be a video are shown as stills; miou_streamed then says what streaming them would give.
    Arguments, result and errors are those of `score`.
    """
    if data.fps is not None:
        return score(model, data, "stream", on_progress=on_progress)
    figures = score(model, data, "still", on_progress=on_progress)
    return {**figures, "miou_streamed": score(model, data, "stream", on_progress=on_progress)["miou"]}


def score(
    model: TDNet, data: VideoDataset, protocol: Showing, *, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Accuracy and steadiness of a model, every path on every frame.

    Args:
        model: with the classes of the data; a fused model gives the same figures faster.
        data: stills (length 1) in order of time.
        protocol: "stream" or "still", see PROTOCOLS. Paths that share their weights give the same masks at every phase
            once the memory is full, so one phase stands for all of them.
        on_progress: called with (frames done, frames in all).

    Returns:
        miou, pixel_accuracy, iou {class}: percent, at label resolution, void ignored; one confusion matrix over the
        data set for each path, then the mean over paths. per_path: mIoU of each. The keys of `Steadiness.compute`, mean
        over starting phases, of streamed video; None for stills and where frames are too far apart. fps: of the data.
        frames: number scored. protocol: in words.

    Raises:
        ConfigError: the model has another number of classes than the data.
    """
    _check_classes(model, data)
    model = model.eval()
    phases = len(model.paths)
    matrices = [ConfusionMatrix(model.config.num_classes) for _ in range(phases)]
    streams = [Steadiness(fps=data.fps, phases=model.config.paths) for _ in range(phases)]
    is_video = protocol == "stream" and data.fps is not None
    flow = DISFlow()
    for count, scored in enumerate((_streamed if protocol == "stream" else _still)(model, data), 1):
        if on_progress:
            on_progress(count, len(data))
        for path, mask in scored.masks:
            matrices[path % phases].update(mask, scored.label)
        if not is_video:
            continue
        if scored.first:
            flow.start()
            for phase, stream in enumerate(streams):
                stream.start(phase)
        motion = flow.step(scored.frame)
        for stream, (_, mask) in zip(streams, scored.masks, strict=True):
            stream.update(mask, label=scored.label, flow=motion)
    return {
        **report.accuracy(matrices, data.classes),
        "per_path": [report.accuracy([matrix], data.classes)["miou"] for matrix in matrices],
        **report.temporal(streams),
        "fps": data.fps,
        "frames": len(data),
        "protocol": f"{data.name}, {protocol}: {PROTOCOLS[protocol]}" + (f"; {report.FLOW}" if is_video else ""),
    }


@torch.inference_mode()
def _streamed(model: TDNet, data: VideoDataset) -> Iterator[Scored]:
    """Each frame once, through a stream for every phase."""
    phases, sequence = range(len(model.paths)), ""
    states = [model.initial_state(phase) for phase in phases]
    for clip, name in _items(data):
        if first := name != sequence:
            states, sequence = [model.initial_state(phase) for phase in phases], name
        x, masks = model.normalize(clip.frames), []
        for phase in phases:
            path = states[phase].path
            logits, states[phase] = model.step(x, states[phase])
            masks.append((path, _mask(logits)))
        yield _scored(clip, first, masks)


@torch.inference_mode()
def _still(model: TDNet, data: VideoDataset) -> Iterator[Scored]:
    m = model.config.paths
    for clip, _ in _items(data):
        still, masks = model.normalize(clip.frames)[None].expand(-1, m, -1, -1, -1), []
        for path in range(len(model.paths)):
            logits = model.forward_clip(still, model.initial_state((path + 1) % m), "last").logits[:, 0]
            masks.append((path, _mask(logits)))
        yield _scored(clip, True, masks)


def _check_classes(model: TDNet, data: VideoDataset) -> None:
    names = model.config.classes or data.classes  # a model may not know theirs
    apart = [f"{ours} is {theirs}" for ours, theirs in zip(names, data.classes, strict=False) if _differ(ours, theirs)]
    if model.config.num_classes != len(data.classes) or apart:
        raise ConfigError(
            f"{model.config.name} with {model.config.num_classes} classes on {data.name} with {len(data.classes)}"
            + (f"; first {apart[0]}" if apart else ""),
            expected="a model trained on the classes of the data",
            do="choose another model or data set",
        )


def _differ(one: str, other: str) -> bool:
    return one.casefold() != other.casefold()


def _items(data: VideoDataset) -> Iterator[tuple[Clip, str]]:
    return ((data[i], data.sequence(i)) for i in range(len(data)))


def _scored(clip: Clip, first: bool, masks: list[tuple[int, NDArray[np.uint8]]]) -> Scored:
    frame = np.ascontiguousarray(clip.frames[0].permute(1, 2, 0).numpy())
    return Scored(frame, clip.labels[0].numpy(), first, masks)


def _mask(logits: Tensor) -> NDArray[np.uint8]:
    mask: NDArray[np.uint8] = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask
