"""The packaged demonstration: a rendered street, whose true labels are known, segmented as any other video."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdseg.errors import OutputError
from tdseg.inference.folder import Summary
from tdseg.inference.pipeline import DEFAULT_MODEL, segment_to
from tdseg.masks import draw
from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.masks.palette import color_table
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.street import render_street
from tdseg.video import VideoWriter, open_video
from tdseg.zoo import load

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
        WeightsError: the packaged weights cannot be used; nothing is written.
        OutputError: the folder holds something else, or cannot be written.
    """
    folder = Path(output)
    clip = folder / "clip.mp4"
    try:
        _check_own(folder, clip)
        load.load(DEFAULT_MODEL)  # weights that cannot be used are told before anything is written
        with _named_when_whole(clip) as path:
            labels = _render(path, num_frames)
        try:
            summary = segment_to(clip, folder, device=device, overwrite=True, on_progress=on_progress)
        finally:
            if not (folder / "summary.json").exists():  # without it, the next demo would not know the clip for its own
                clip.unlink()
        confusion = ConfusionMatrix(len(CAMVID_CLASSES))
        for index, label in enumerate(labels):
            confusion.update(_mask(folder, index), label)
        best = max(range(num_frames), key=lambda index: len(np.unique(labels[index])))  # most to see
        with open_video(clip) as reader:
            frame = next(islice(reader, best, None)).image
        colors = color_table(CAMVID_PALETTE)
        with _named_when_whole(folder / "preview.png") as path:
            draw.preview(frame, _mask(folder, best), CAMVID_CLASSES, colors).save(path)
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror or error}",
            expected="a folder that can be written, on a disk with free space",
            do="free some space or choose another folder with --output",
        ) from error
    return DemoReport(confusion.miou, summary)


def _check_own(folder: Path, clip: Path) -> None:
    """Refuse a folder in use, unless its summary says that the clip in it was segmented there: a former demo."""
    foreign = sorted(file.name for file in folder.iterdir() if file.name != ".partial") if folder.exists() else []
    if foreign and not _is_source(clip, folder / "summary.json"):
        raise OutputError(
            f"output folder {folder} holds {foreign[0]}, which is not the demo's",
            expected="a new folder, or that of a former demo",
            do="choose another with --output",
        )


def _is_source(clip: Path, summary: Path) -> bool:
    try:
        source = json.loads(summary.read_text(encoding="utf-8"))["source"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or another program's
        return False
    return Path(str(source)).resolve() == clip.resolve()


@contextmanager
def _named_when_whole(path: Path) -> Iterator[Path]:
    """Where to make a file, which then takes the name `path`; nothing is left of one that failed."""
    staging = path.parent / ".partial"
    staging.mkdir(parents=True, exist_ok=True)
    try:
        yield staging / path.name
        (staging / path.name).replace(path)
    finally:
        shutil.rmtree(staging)


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
