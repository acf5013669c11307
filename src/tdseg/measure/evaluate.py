"""Evaluation of a model on labelled data, by the protocols that a number must name beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.data.clip import Clip, ClipDataset
from tdseg.data.source import Source, open_source
from tdseg.errors import ConfigError
from tdseg.inference.stream import resized
from tdseg.metrics import report
from tdseg.metrics.flow import DISFlow
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.models.layers import resize
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import Network
from tdseg.runtime.torch import as_network

OnProgress = Callable[[int, int | None], None]
Showing = Literal["stream", "still", "clip"]
PROTOCOLS: dict[Showing, str] = {
    "stream": "frames streamed in order, once per starting phase, memory reset between sequences",
    "still": "each frame shown as a still for m frames and scored at the last, once per phase",
    "clip": "each labelled frame after the frames before it, up to m-1, at fixed steps, once per phase",
}


class Scored(NamedTuple):
    """One frame as each stream saw it."""

    frame: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    label: NDArray[np.uint8]
    first: bool
    """First frame of a sequence."""
    masks: list[tuple[int, NDArray[np.uint8]]]
    """Of each stream: the path that ran, and its mask."""


def open_evaluation(source: Source, model: ModelConfig) -> ClipDataset:
    """The data of a source as `evaluate` wants it: where labelled frames have a past without labels, with m-1 of it.

    A source that says a length of its own keeps it.

    Raises:
        DataError: see `open_source`.
    """
    data = open_source(source)
    if source.length > 1 or not data.has_past or model.paths == 1:
        return data
    return open_source(source.model_copy(update={"length": model.paths}))


def evaluate(model: TDNet | Network, data: ClipDataset, *, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Accuracy and steadiness of a model by the protocol for its data.

    Clips of several frames are shown as they are; video is streamed; other frames are shown as stills. Where these are
    of one video, too far apart to be one, miou_streamed says what streaming them would give.
    Arguments, result and errors are those of `score`.
    """
    model = as_network(model)
    if data.length > 1:
        return score(model, data, "clip", on_progress=on_progress)
    if data.fps is not None:
        return score(model, data, "stream", on_progress=on_progress)
    figures = score(model, data, "still", on_progress=on_progress)
    if len({data.sequence(i) for i in range(len(data))}) == len(data):
        return figures
    return {**figures, "miou_streamed": score(model, data, "stream", on_progress=on_progress)["miou"]}


def score(
    model: TDNet | Network, data: ClipDataset, protocol: Showing, *, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Accuracy and steadiness of a model, every path on every frame.

    As in a Stream, frames are resized to the model's own size, and logits to the size of the frame.

    Args:
        model: in eval mode, with the classes of the data; a fused model gives the same figures faster.
        data: stills (length 1) in order of time; for "clip", clips, of which the newest frame is scored.
        protocol: see PROTOCOLS. Paths that share their weights give the same masks at every phase once the memory is
            full, so one phase stands for all of them.
        on_progress: called with (frames done, frames in all).

    Returns:
        miou, pixel_accuracy, iou {class}: percent, at label resolution, void ignored; one confusion matrix over the
        data set for each path, then the mean over paths. per_path: mIoU of each. The keys of `Steadiness.compute`, mean
        over starting phases, of streamed video; None for others. fps: of the data. frames: number scored. protocol: in
        words.

    Raises:
        ConfigError: the model has another number of classes than the data.
        DataError: a file that cannot be read.
    """
    model = as_network(model)
    _check_classes(model, data)
    phases = model.config.distinct_paths
    matrices = [ConfusionMatrix(model.config.num_classes) for _ in range(phases)]
    streams = [Steadiness(fps=data.fps, phases=model.config.paths) for _ in range(phases)]
    is_video = protocol == "stream" and data.fps is not None
    flow = DISFlow()
    shown = _streamed(model, data) if protocol == "stream" else _shown(model, data, still=protocol == "still")
    for count, scored in enumerate(shown, 1):
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
        "protocol": f"{data.name}, {protocol}: {PROTOCOLS[protocol]}" + _beside(data, is_video),
    }


def _beside(data: ClipDataset, is_video: bool) -> str:
    """What else a reader of the figures must know."""
    few = f"; {len(data.dropped)} labelled frames with too few before them left out" if data.dropped else ""
    return few + (f"; {report.FLOW}" if is_video else "")


@torch.inference_mode()
def _streamed(model: Network, data: ClipDataset) -> Iterator[Scored]:
    """Each frame once, through a stream for every phase."""
    phases, sequence, size = range(model.config.distinct_paths), None, model.fit_size(None)
    states = [TDNetState(phase) for phase in phases]
    for index in range(len(data)):
        clip, name = data[index], data.sequence(index)
        if first := name != sequence:
            states, sequence = [TDNetState(phase) for phase in phases], name
        (frame,), masks = _frames(clip), []
        x = resized(frame, size)
        for phase in phases:
            path = states[phase].path
            logits, states[phase] = model.advance(model.encode(x, path), states[phase])
            masks.append((path, _mask(logits, frame)))
        yield Scored(frame, clip.labels[-1].cpu().numpy(), first, masks)


@torch.inference_mode()
def _shown(model: Network, data: ClipDataset, *, still: bool) -> Iterator[Scored]:
    """The newest frame of each clip by every path, after the frames before it, or after itself m-1 times."""
    m, paths, size = model.config.paths, model.config.distinct_paths, model.fit_size(None)
    for index in range(len(data)):
        clip = data[index]
        frames = _frames(clip)[-1 if still else -m :]
        inputs = [resized(frame, size) for frame in frames]
        order = [0] * m if still else range(len(frames))
        encoded: dict[tuple[int, int], Any] = {}
        masks = []
        for path in range(paths):
            state = TDNetState((path - len(order) + 1) % m)
            for at in order:
                key = (at, state.path % paths)
                if key not in encoded:
                    encoded[key] = model.encode(inputs[at], state.path)
                logits, state = model.advance(encoded[key], state)
            masks.append((path, _mask(logits, frames[-1])))
        yield Scored(frames[-1], clip.labels[-1].cpu().numpy(), True, masks)


def _check_classes(model: Network, data: ClipDataset) -> None:
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


def _frames(clip: Clip) -> list[NDArray[np.uint8]]:
    """Each frame as (H, W, 3)."""
    return [np.ascontiguousarray(frame) for frame in clip.frames.permute(0, 2, 3, 1).cpu().numpy()]


def _mask(logits: Tensor, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) class indices at the size of the frame."""
    size = (frame.shape[0], frame.shape[1])
    mask: NDArray[np.uint8] = resize(logits, size)[0].argmax(0).to(torch.uint8).cpu().numpy()
    return mask
