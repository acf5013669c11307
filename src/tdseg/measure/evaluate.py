"""Evaluation of a model on labelled data, by the protocols that a number must name beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from tdseg.config import ModelConfig
from tdseg.data.clip import ClipDataset
from tdseg.data.source import Source, open_source
from tdseg.inference.pipeline import DEFAULT_MODEL
from tdseg.inference.stream import resized
from tdseg.masks import classmap
from tdseg.masks.mapping import map_classes
from tdseg.measure.evidence import Evidence
from tdseg.metrics.basic import Mask
from tdseg.metrics.figures import FLOWS, accuracy, flow_note, temporal
from tdseg.metrics.flow import Flows
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.models.propagation import TDNetState
from tdseg.runtime.any_model import AnyModel, as_network
from tdseg.runtime.network import Execution, Network, frames_remembered
from tdseg.video.pictures import RGB
from tdseg.zoo.load import prepare

OnProgress = Callable[[int, int | None], None]
OnMasks = Callable[[RGB, Mask, list[tuple[int, Mask]]], None]
Showing = Literal["stream", "still", "clip"]
PROTOCOLS: dict[Showing, str] = {
    "stream": "frames streamed in order, once per starting phase, memory reset between sequences",
    "still": "each frame shown as a still for m frames and scored at the last, once per phase",
    "clip": "each labelled frame after the frames before it, up to m-1, at fixed steps, once per phase",
}


class Evaluation(NamedTuple):
    """A model on a data set."""

    figures: dict[str, Any]
    """As `evaluate` gives them, after the model's name, runtime and precision, and its memory: the frames that a mask
    draws on, or None."""
    palette: Sequence[tuple[int, int, int]]
    """RGB of each class."""
    evidence: Evidence
    """What is taken for what, and the frames that have most wrong."""


def evaluate_model(
    model: str | Path | AnyModel = DEFAULT_MODEL,
    *,
    memory: int | None = None,
    data: str | Source = "camvid",
    root: Path | None = None,
    split: str = "val",
    num_classes: int | None = None,
    class_map: str | Path | None = None,
    flow: tuple[str, ...] = tuple(FLOWS),
    execution: Execution = Execution(),  # noqa: B008 - immutable
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Accuracy and steadiness of a model on a data set, see `evaluate`.

    Args:
        model: as of `tdseg.segment_to`.
        memory: frames that a per-frame model is to remember, 2 … 16, or 0 for none; None: 4 for networks of others.
        data: kind of data set: camvid, cityscapes, nyudv2, folder, or synthetic, which has no root; see docs/data.md.
            In Python also a Source, which says all of the data.
        root: folder of the data set.
        split: part of the data set, by its own name for it.
        num_classes: which classes, where the data set has several sets of them: camvid has 11 and 32.
        class_map: text file with a line "class of the model = class of the data" for each, where the model has others;
            those of the data that it does not name are left out of the figures; None: by name, in any order.
        flow: what the figures along flow of streamed video are taken along, dis or farneback or both, or none.
        execution: where the model runs, and by what.
        on_progress: called with (frames done, frames in all).

    Raises:
        ConfigError, WeightsError: the model cannot be used, or lacks classes of the data.
        DataError: data that is not there, or cannot be read.
    """
    if not isinstance(data, Source):
        fields = {"data": data, "root": root, "split": split, "num_classes": num_classes}
        data = Source.parse(fields, where="tdseg eval")
    height, width = open_source(data)[0].frames.shape[-2:]
    network = prepare(model, execution, memory=memory, frame=(height, width))
    clips = open_evaluation(data, network.config)
    name = str(model) if isinstance(model, str | Path) else network.config.name
    about: dict[str, Any] = {"model": name, "runtime": network.runtime, "precision": network.precision}
    about["memory"] = frames_remembered(network)
    evidence = Evidence(len(clips.classes), len(clips))
    options: dict[str, Any] = {"class_map": class_map, "flow": flow, "on_progress": on_progress}
    figures = evaluate(network, clips, **options, on_masks=evidence.add)
    return Evaluation(about | figures, clips.palette, evidence)


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


def evaluate(
    model: AnyModel,
    data: ClipDataset,
    *,
    class_map: str | Path | None = None,
    flow: Sequence[str] = tuple(FLOWS),
    on_progress: OnProgress | None = None,
    on_masks: OnMasks | None = None,
) -> dict[str, Any]:
    """Accuracy and steadiness of a model by the protocol for its data.

    Clips of several frames are shown as they are; video is streamed; other frames are shown as stills. Where these are
    of one video, too far apart to be one, miou_streamed says what streaming them would give.
    Arguments, result and errors are those of `score`.
    """
    protocol: Showing = "clip" if data.length > 1 else "still" if data.fps is None else "stream"
    run = partial(score, model, data, class_map=class_map, on_progress=on_progress)
    figures = run(protocol, flow=flow, on_masks=on_masks)
    if protocol == "still" and len({data.sequence(i) for i in range(len(data))}) < len(data):
        figures["miou_streamed"] = run("stream", flow=())["miou"]
    return figures


def score(
    model: AnyModel,
    data: ClipDataset,
    protocol: Showing,
    *,
    class_map: str | Path | None = None,
    flow: Sequence[str] = tuple(FLOWS),
    on_progress: OnProgress | None = None,
    on_masks: OnMasks | None = None,
) -> dict[str, Any]:
    """Accuracy and steadiness of a model, every path on every frame.

    As in a Stream, frames are resized to the model's own size, and logits to the size of the frame.

    Args:
        model: in eval mode; a fused model gives the same figures faster.
        data: stills (length 1) in order of time; for "clip", clips, of which the newest frame is scored.
        protocol: see PROTOCOLS. Paths that share their weights give the same masks at every phase once the memory is
            full, so one phase stands for all of them.
        class_map: as of `map_classes`; the figures are those of masks in the classes of the data. Where a mask has none
            of these, it is wrong, and void along flow; labels of classes that the model has nothing for are void.
        flow: names of the flows that streamed video is judged along.
        on_progress: called with (frames done, frames in all).
        on_masks: called with each frame, its label, and for each phase the path that ran and its mask.

    Returns:
        miou, pixel_accuracy, iou {class}: percent, at label resolution, void ignored; one confusion matrix over the
        data set for each path, then the mean over paths. per_path: mIoU of each. The keys of `Steadiness.compute`, mean
        over starting phases, of streamed video; None for others. fps: of the data. frames: number scored. protocol: in
        words.

    Raises:
        ConfigError: the model lacks classes of the data.
        DataError: a file that cannot be read.
    """
    network = as_network(model)
    config, phases = network.config, network.config.turns
    known = config.classes or config.num_classes
    mapping = map_classes(known, data.classes, class_map, between=f"{config.name} on {data.name}")
    matrices = [ConfusionMatrix(len(data.classes)) for _ in range(phases)]
    streams = [Steadiness(fps=data.fps, phases=config.paths) for _ in range(phases)]
    is_video, flows = protocol == "stream" and data.fps is not None, Flows(flow)
    for count, (frame, label, first, masks) in enumerate(_shown(network, data, protocol), 1):
        if on_progress:
            on_progress(count, len(data))
        if mapping:
            label, masks = mapping.known(label), [(path, mapping(mask)) for path, mask in masks]
        for path, mask in masks:
            matrices[path].update(mask, label)
        if on_masks:
            on_masks(frame, label, masks)
        if not is_video:
            continue
        if first:
            flows.start()
            for phase, stream in enumerate(streams):
                stream.start(phase)
        motion = flows.step(frame)
        for stream, (_, mask) in zip(streams, masks, strict=True):
            stream.update(mask, label=label, flow=motion)
    dropped = f"{len(data.dropped)} labelled frames with too few before them left out" if data.dropped else ""
    told = [
        f"{data.name}, {protocol}: {PROTOCOLS[protocol]}",
        mapping.told if mapping else "",
        dropped,
        flow_note(flow) if is_video else "",
    ]
    return {
        **accuracy(matrices, data.classes),
        "per_path": [accuracy([matrix], data.classes)["miou"] for matrix in matrices],
        **temporal([stream.compute() for stream in streams]),
        "fps": data.fps,
        "frames": len(data),
        "protocol": "; ".join(filter(None, told)),
    }


@torch.inference_mode()
def _shown(
    network: Network, data: ClipDataset, protocol: Showing
) -> Iterator[tuple[RGB, Mask, bool, list[tuple[int, Mask]]]]:
    """The newest frame of each clip, its label, whether a video begins, and for each phase the path and its mask.

    A phase goes on from the frame before, or begins anew, so that its path runs on the newest frame: after the frames
    of the clip, or after the newest itself m-1 times.
    """
    m, turns = network.config.paths, network.config.turns
    states, video = [TDNetState()] * turns, None
    for index in range(len(data)):
        clip, name = data[index], data.sequence(index)
        newest = name, clip.frames.shape[-2:]
        first, video = protocol != "stream" or newest != video, newest
        pictures = clip.frames[-m if protocol == "clip" else -1 :].permute(0, 2, 3, 1).cpu().numpy()
        frames = [np.ascontiguousarray(picture) for picture in pictures]
        order = [0] * m if protocol == "still" else range(len(frames))
        height, width = frames[-1].shape[:2]
        images = [resized(frame, network.fit_size(None, (height, width))) for frame in frames]
        encode = cache(lambda at, path, images=images: network.encode(images[at], path))
        masks = []
        for phase, state in enumerate(states):
            state = TDNetState((phase - len(order) + 1) % m) if first else state
            for at in order:
                path = state.path % turns
                logits, state = network.advance(encode(at, path), state)
            states[phase] = state
            scores = logits[0].float().cpu().numpy()
            masks.append((path, classmap.class_map(scores, (height, width), align_corners=network.align_corners)))
        yield frames[-1], clip.labels[-1].cpu().numpy(), first, masks
