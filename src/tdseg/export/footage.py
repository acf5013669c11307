"""The frames that an export is checked on, and calibrated with: in order, for both need state."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.data.source import Source, open_source
from tdseg.masks.classes import CAMVID_CLASSES
from tdseg.street import render_street
from tdseg.video import open_video

Image = NDArray[np.uint8]


class Footage(NamedTuple):
    """Frames of one video."""

    name: str
    frames: list[Image]
    """(H, W, 3) each, RGB."""
    labels: list[Image] | None
    """(H, W) each; None where they are unknown or of other classes."""


def open_footage(
    source: str | Path | Source | None, count: int, size: tuple[int, int], classes: tuple[str, ...]
) -> Footage:
    """Some frames of a source, from its beginning.

    Args:
        source: a video or a folder of frames; labelled data; None: a rendered street.
        count: frames, at most: a source may have fewer.
        size: (height, width) of a rendered street, pixels.
        classes: of the model, to know whether labels are of its classes.

    Raises:
        VideoError, DataError: the source cannot be opened, or holds no frame.
    """
    if source is None:
        street = list(render_street(num_frames=count, size=size))
        frames, labels = [list(column) for column in zip(*street, strict=True)]
        return Footage("a rendered street", frames, labels if classes == CAMVID_CLASSES else None)
    if isinstance(source, Source):
        data = open_source(source)
        clips = [data[index] for index in range(min(count, len(data)))]
        frames = [np.ascontiguousarray(clip.frames[-1].permute(1, 2, 0).numpy()) for clip in clips]
        return Footage(data.name, frames, [clip.labels[-1].numpy() for clip in clips])
    with open_video(source) as reader:
        return Footage(reader.info.source, [frame.image for frame in islice(reader, count)], None)
