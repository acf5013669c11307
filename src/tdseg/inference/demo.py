"""The packaged demonstration: a rendered street, whose true labels are known, segmented as any other video."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import OutputError
from tdseg.files import unwritable, whole_file
from tdseg.inference.pipeline import DEFAULT_MODEL, segment_to
from tdseg.inference.summary import SUMMARY, Summary
from tdseg.inference.writers.records import MaskWriter
from tdseg.masks import draw
from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.masks.labels import read_pixels
from tdseg.masks.palette import color_table
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.runtime.network import Execution
from tdseg.street import render_street
from tdseg.video import VideoWriter, open_video
from tdseg.zoo.load import load

FPS = 15.0


class DemoReport(NamedTuple):
    """The figures of a demonstration."""

    miou: float
    """Against the clip's own labels, percent, one confusion matrix over all frames."""
    summary: Summary


def demo(
    output: str | Path = "out/demo",
    *,
    num_frames: int = 120,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    on_progress: Callable[[int, int | None], None] | None = None,
) -> DemoReport:
    """Render a street, segment it, and leave clip.mp4, preview.png and the result of `segment_to` in a folder.

    Args:
        output: folder of the result; a former demonstration in it is replaced.
        num_frames: length of the clip.
        execution: where and how the network runs.
        on_progress: as in `segment_to`.

    Raises:
        WeightsError: the packaged weights cannot be used; nothing is written.
        OutputError: the folder holds something else, or cannot be written.
    """
    folder = Path(output)
    clip = folder / "clip.mp4"
    try:
        _check_own(folder, clip)
        load(DEFAULT_MODEL)  # weights that cannot be used are told before anything is written
        with whole_file(clip, parents=True) as path:
            labels = _render(path, num_frames)
        try:
            summary = segment_to(clip, folder, execution=execution, overwrite=True, on_progress=on_progress)
        finally:
            if not (folder / SUMMARY).exists():  # without it, the next demo would not know the clip for its own
                clip.unlink()
        confusion = ConfusionMatrix(len(CAMVID_CLASSES))
        masks = [read_pixels(MaskWriter.place(folder, index)).values for index in range(num_frames)]
        for mask, label in zip(masks, labels, strict=True):
            confusion.update(mask, label)
        best = max(range(num_frames), key=lambda index: len(np.unique(labels[index])))  # most to see
        with open_video(clip) as reader:
            frame = next(islice(reader, best, None)).image
        still = draw.preview(frame, masks[best], CAMVID_CLASSES, color_table(CAMVID_PALETTE))
        with whole_file(folder / "preview.png") as path:
            still.save(path, "PNG")
    except OSError as error:
        raise unwritable(folder, error) from error
    return DemoReport(confusion.miou, summary)


def _check_own(folder: Path, clip: Path) -> None:
    """Refuse a folder in use, unless its summary says that the clip in it was segmented there: a former demo."""
    found = sorted(file.name for file in folder.iterdir()) if folder.exists() else []
    # A demo or a run that was killed leaves a hidden .partial or .clip.mp4.partial.
    foreign = [name for name in found if not (name.startswith(".") and name.endswith(".partial"))]
    try:
        source = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["source"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or another program's
        source = ""
    if foreign and os.path.realpath(str(source)) != os.path.realpath(clip):
        raise OutputError(
            f"output folder {folder} holds {foreign[0]}, which is not the demo's",
            expected="a new folder, or that of a former demo",
            do="choose another with --output",
        )


def _render(clip: Path, num_frames: int) -> list[NDArray[np.uint8]]:
    """Write the clip, and give its labels."""
    labels = []
    size = (360, 480)
    with VideoWriter(clip, size=size, fps=FPS) as writer:
        for index, (image, label) in enumerate(render_street(num_frames=num_frames, size=size, fps=FPS)):
            writer.write(image, index / FPS)
            labels.append(label)
    return labels
