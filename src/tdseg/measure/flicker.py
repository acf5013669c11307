"""How steady are these masks? Figures for the masks of any tool; no model needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, DataError
from tdseg.masks.palette import Palette, read_palette
from tdseg.masks.reading import Masks, open_masks, size_text
from tdseg.measure.instability import MapWriter, map_files
from tdseg.metrics import report
from tdseg.metrics.flow import DISFlow
from tdseg.metrics.iou import VOID, ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.video import VideoReader, open_video

MAP_FPS = 25.0
"""Speed of the map's video where the frame rate is not known."""
MAX_FPS = 1000

Moment = tuple[NDArray[np.uint8], NDArray[np.uint8] | None, NDArray[np.uint8] | None]
"""Mask, label, frame."""


def flicker(
    masks: str | Path,
    *,
    video: str | Path | None = None,
    labels: str | Path | None = None,
    fps: float | None = None,
    palette: str | Path | None = None,
    phases: int = 1,
    map: str | Path | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Measure the masks of one video. Memory does not depend on its length.

    Args:
        masks: folder of PNGs or .npz, see `open_masks`.
        video: what they are masks of, of their size and length, for the figures along flow.
        labels: ground truth, in the forms of `masks`; where the files of both are numbered, by the same numbers or from
            another start.
        fps: frames per second, up to 1000; by default the video's own. A folder of frames has none.
        palette: file of classes, see `read_palette`; coloured masks need it.
        phases: split the flip rate by t mod phases.
        map: where to write the instability map, see `MapWriter`.
        on_progress: called with (masks done, masks in all).

    Returns:
        The keys of `tdseg.measure.evaluate.evaluate`, except per_path; None where the input does not allow a
        figure, iou empty.

    Raises:
        DataError, VideoError: an input that cannot be read, or is of another length or size than the masks.
        ConfigError: fps or phases out of range, or a map of another kind or among the inputs.
        OutputError: the map cannot be written.
    """
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise ConfigError(
            f"fps {fps}", expected=f"a number above 0, up to {MAX_FPS}", do="give the frames per second of the masks"
        )
    if map:
        _check_map(Path(map), masks, labels, video)
    classes = None if palette is None else read_palette(palette)
    predicted = open_masks(masks, classes)
    truth = None if labels is None else open_masks(labels, classes)
    if not 1 <= phases <= len(predicted):
        raise ConfigError(
            f"{phases} phases",
            expected=f"1 … {len(predicted)}, the number of masks",
            do="give the number of paths that take turns, or leave it out",
        )
    if truth:
        _check_pair(predicted, truth)
    with ExitStack() as stack:
        reader = None if video is None else stack.enter_context(open_video(video))
        if reader and fps is None and not Path(str(video)).is_dir():
            fps = reader.info.fps
        steadiness = Steadiness(fps=fps, phases=phases)
        matrix = ConfusionMatrix(len(classes.names) if classes else VOID)
        flow = DISFlow()
        writer = stack.enter_context(MapWriter(Path(map), predicted.size, fps or MAP_FPS)) if map else None
        for count, (mask, label, frame) in enumerate(_together(predicted, truth, reader), 1):
            motion = None if frame is None else flow.step(frame)
            steadiness.update(mask, label=label, flow=motion)
            if label is not None:
                matrix.update(mask, label)
            if writer:
                writer.update(mask, frame, motion)
            if on_progress:
                on_progress(count, len(predicted))
    return {
        **_accuracy(matrix, classes),
        **report.temporal([steadiness]),
        "fps": fps,
        "frames": len(predicted),
        "protocol": f"masks in {masks}" + _beside(video, labels),
    }


def _accuracy(matrix: ConfusionMatrix, classes: Palette | None) -> dict[str, Any]:
    names = classes.names if classes else [str(index) for index in range(VOID)]
    figures = report.accuracy([matrix], names)
    figures["iou"] = {name: value for name, value in figures["iou"].items() if value is not None}
    return figures


def _beside(video: str | Path | None, labels: str | Path | None) -> str:
    """What else went into the figures, in words."""
    text = "" if labels is None else f", labels in {labels}, void ignored"
    return text + ("" if video is None else f", video {video}; {report.FLOW}")


def _together(masks: Masks, labels: Masks | None, video: VideoReader | None) -> Iterator[Moment]:
    """Mask, label and frame of each moment, which are checked to be of one size and all there."""
    frames = repeat(None) if video is None else (frame.image for frame in video)
    for name, mask, label in zip(masks.names, masks, labels or repeat(None), strict=False):
        frame = next(frames, None)
        if video and frame is None:
            raise _other_length(masks, video, f"no frame for {name}" + (f" ({video.problem})" if video.problem else ""))
        if frame is not None and frame.shape[:2] != mask.shape:
            raise DataError(
                f"{name} is {size_text(mask.shape)}, its frame is {size_text(frame.shape)}",
                expected=f"masks of the size of the frames of {video and video.info.source}",
                do="resize the masks without interpolation, or give the video they were made from",
            )
        yield mask, label, frame
    if video and next(frames, None) is not None:
        raise _other_length(masks, video, f"it goes on after {masks.names[-1]}, the last mask")


def _check_pair(masks: Masks, labels: Masks) -> None:
    if len(masks) != len(labels):
        raise DataError(
            f"{len(masks)} masks in {masks.source}, {len(labels)} labels in {labels.source}",
            expected="a label for every mask, in the same order",
            do="add what is missing, or leave --labels out",
        )
    if masks.size != labels.size:
        raise DataError(
            f"{masks.names[0]} is {size_text(masks.size)}, {labels.names[0]} is {size_text(labels.size)}",
            expected="masks of the size of the labels",
            do="resize the masks without interpolation",
        )
    _check_same_numbers(masks, labels)


def _check_same_numbers(masks: Masks, labels: Masks) -> None:
    """The numbers of both, where they have some, may differ by a constant: one may count from 0, the other from 1."""
    if masks.numbers is None or labels.numbers is None:
        return
    apart = [number - other for number, other in zip(masks.numbers, labels.numbers, strict=True)]
    wrong = next((index for index, difference in enumerate(apart) if difference != apart[0]), None)
    if wrong is not None:
        raise DataError(
            f"the label of {masks.names[wrong]} would be {labels.names[wrong]}",
            expected="labels with the numbers of the masks, or with the same steps from another start",
            do="give the labels of these very frames",
        )


def _check_map(target: Path, *inputs: str | Path | None) -> None:
    """Refuse a map that would be taken for a mask, label or frame in the next run."""
    folders = {path.parent.resolve() for path in map_files(target) if path.suffix.lower() == ".png"}
    for given in inputs:
        if given is not None and os.path.isdir(given) and Path(given).resolve() in folders:
            raise ConfigError(
                f"the map {target} would lie among the files of {given}",
                expected="a place outside the folders of masks, labels and frames",
                do="choose another with --map",
            )


def _other_length(masks: Masks, video: VideoReader, what: str) -> DataError:
    return DataError(
        f"{video.info.source}: {what}",
        expected=f"{len(masks)} frames, one for each mask in {masks.source}",
        do="give the video that the masks were made from, uncut",
    )
