"""How steady are these masks? Figures for the masks of any tool; no model needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tdseg.errors import ConfigError
from tdseg.masks.pairing import check_labels, frames_with_masks
from tdseg.masks.palette import Palette, read_palette
from tdseg.masks.reading import Masks, open_masks
from tdseg.measure.instability import map_files, write_map
from tdseg.metrics.basic import Mask
from tdseg.metrics.figures import FLOWS, accuracy, flow_note, temporal
from tdseg.metrics.flow import Flows
from tdseg.metrics.iou import VOID, ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.video import open_video
from tdseg.video.address import is_frames, printable
from tdseg.video.pictures import RGB

MAP_FPS = 25.0
"""Speed of the map's video where the frame rate is not known."""
MAX_FPS = 1000


def flicker(
    masks: str | Path,
    *,
    video: str | Path | None = None,
    labels: str | Path | None = None,
    fps: float | None = None,
    flow: tuple[str, ...] = tuple(FLOWS),
    palette: str | Path | None = None,
    phases: int = 1,
    map: str | Path | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Measure the masks of one video. Memory does not depend on its length.

    Args:
        masks: folder of indexed, grey or coloured PNGs, or an .npz file with one array (T, H, W).
        video: what they are masks of, of their size and length, for the figures along optical flow.
        labels: ground truth, in the forms of the masks; where the files of both are numbered, by the same numbers or
            from another start.
        fps: frames per second, up to 1000; None: the video's own. A folder of frames has none.
        flow: what the figures along flow are taken along, dis or farneback or both, which takes longer, or none; the
            map is along the first.
        palette: file with a line "R G B name" for each class; coloured masks need it.
        phases: split the flip rate by t mod phases.
        map: write where the masks flicker to FILE.png, FILE.mp4, or both into a folder.
        on_progress: called with (masks done, masks in all).

    Returns:
        The keys of `tdseg.measure.evaluate.evaluate`, except per_path; None where the input does not allow a
        figure, iou empty.

    Raises:
        DataError, VideoError: an input that cannot be read, or is of another length or size than the masks.
        ConfigError: fps or phases out of range, an unknown flow, or a map of another kind or among the inputs.
        OutputError: the map cannot be written.
    """
    if map:
        _check_map(Path(map), masks, labels, video)
    classes = None if palette is None else read_palette(palette)
    kinds = _open_kinds(masks, labels, classes, fps, phases)
    predicted = kinds[0]
    with ExitStack() as stack:
        reader = None if video is None else stack.enter_context(open_video(video))
        if reader and fps is None and not is_frames(str(video)):
            fps = reader.info.fps
        steadiness, flows = Steadiness(fps=fps, phases=phases), Flows(flow)
        matrix = ConfusionMatrix(len(classes.names) if classes else VOID)
        add_to_map = stack.enter_context(write_map(Path(map), predicted.size, fps or MAP_FPS)) if map else None
        moments: Iterable[tuple[RGB | None, Sequence[Mask]]]
        moments = frames_with_masks(reader, kinds) if reader else ((None, row) for row in zip(*kinds, strict=True))
        for count, (frame, (mask, *rest)) in enumerate(moments, 1):
            label = rest[0] if rest else None
            motion = {} if frame is None else flows.step(frame)
            steadiness.update(mask, label=label, flow=motion)
            if label is not None:
                matrix.update(mask, label)
            if add_to_map:
                add_to_map(mask, frame, next(iter(motion.values()), None))
            if on_progress:
                on_progress(count, len(predicted))
    figures = {**_accuracy(matrix, classes), **temporal([steadiness.compute()])}
    protocol = f"masks in {masks}" + ("" if labels is None else f", labels in {labels}, void ignored")
    protocol += "" if video is None else "; ".join(filter(None, (f", video {printable(video)}", flow_note(flow))))
    return {**figures, "fps": fps, "frames": len(predicted), "protocol": protocol}


def _open_kinds(
    masks: str | Path, labels: str | Path | None, classes: Palette | None, fps: float | None, phases: int
) -> list[Masks]:
    """The masks and, if there are any, their labels; options that do not fit are refused."""
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise ConfigError(
            f"fps {fps}", expected=f"a number above 0, up to {MAX_FPS}", do="give the frames per second of the masks"
        )
    kinds = [open_masks(path, classes) for path in (masks, labels) if path is not None]
    predicted, *truth = kinds
    if not 1 <= phases <= len(predicted):
        raise ConfigError(
            f"{phases} phases",
            expected=f"1 … {len(predicted)}, the number of masks",
            do="give the number of paths that take turns, or leave it out",
        )
    if truth:
        check_labels(predicted, *truth)
    return kinds


def _accuracy(matrix: ConfusionMatrix, classes: Palette | None) -> dict[str, Any]:
    """As of `accuracy`, but of the classes there are alone: without a palette any could be."""
    figures = accuracy([matrix], classes.names if classes else [str(index) for index in range(VOID)])
    return {**figures, "iou": {name: value for name, value in figures["iou"].items() if value is not None}}


def _check_map(target: Path, *inputs: str | Path | None) -> None:
    """Refuse a map that would be taken for a mask, label or frame in the next run."""
    folders = {os.path.realpath(path.parent) for path in map_files(target) if path.suffix.lower() == ".png"}
    for given in inputs:
        if given is not None and os.path.isdir(given) and os.path.realpath(given) in folders:
            raise ConfigError(
                f"the map {target} would lie among the files of {given}",
                expected="a place outside the folders of masks, labels and frames",
                do="choose another with --map",
            )
