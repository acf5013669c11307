"""The packaged demonstration: a rendered street, whose true labels are known, segmented as any other video."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg import draw, zoo
from tdseg.data.synthetic import render_street
from tdseg.errors import OutputError
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.outputs import Summary
from tdseg.pipeline import segment_to
from tdseg.video import VideoWriter, open_video

FILES = frozenset({"clip.mp4", "preview.png", "overlay.mp4", "masks", "summary.json", ".partial"})
FPS = 15.0


class DemoReport(NamedTuple):
    """What the demonstration measured."""

    miou: float
    """Against the clip's own labels, percent, one confusion matrix over all frames."""
    summary: Summary


def demo(
    output: str | Path = "out/demo",
    *,
    num_frames: int = 120,
    device: str = "auto",
    on_progress: Callable[[int, int | None], None] | None = None,
) -> DemoReport:
    """Render a street, segment it, and leave clip.mp4, preview.png and the result of `segment_to` in a folder.

    Args:
        output: replaced if it holds a former demonstration.
        num_frames: length of the clip.
        device, on_progress: as in `segment_to`.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    folder = Path(output)
    clip = folder / "clip.mp4"
    try:
        _claim(folder)
        labels = _render(clip, num_frames)
        summary = segment_to(clip, folder, device=device, overwrite=True, on_progress=on_progress)
        confusion = ConfusionMatrix(len(zoo.CAMVID_CLASSES))
        for index, label in enumerate(labels):
            confusion.update(_mask(folder, index), label)
        best = max(range(num_frames), key=lambda index: len(np.unique(labels[index])))  # most to see
        with open_video(clip) as reader:
            frame = next(islice(reader, best, None)).image
        colors = draw.color_table(zoo.CAMVID_PALETTE)
        draw.preview(frame, _mask(folder, best), zoo.CAMVID_CLASSES, colors).save(folder / "preview.png")
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror or error}",
            expected="a folder that can be written, on a disk with free space",
            do="free some space or choose another folder with --output",
        ) from error
    return DemoReport(confusion.miou, summary)


def _claim(folder: Path) -> None:
    foreign = sorted(file.name for file in folder.iterdir() if file.name not in FILES) if folder.exists() else []
    if foreign:
        raise OutputError(
            f"output folder {folder} holds {foreign[0]}, which is not the demo's",
            expected="a new folder, or that of a former demo",
            do="choose another with --output",
        )
    folder.mkdir(parents=True, exist_ok=True)


def _render(clip: Path, num_frames: int) -> list[NDArray[np.uint8]]:
    """Write the clip, and give its labels."""
    labels = []
    height, width = size = (360, 480)
    with VideoWriter(clip, size=(height, width), fps=FPS) as writer:
        for index, (image, label) in enumerate(render_street(num_frames=num_frames, size=size, fps=FPS)):
            writer.write(image, index / FPS)
            labels.append(label)
    return labels


def _mask(folder: Path, index: int) -> NDArray[np.uint8]:
    return np.asarray(Image.open(folder / "masks" / f"{index:06d}.png"))
