"""Cityscapes with fine labels, and the frames before the labelled ones.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

import re
from pathlib import Path

from tdseg.data.pictures import LabelReader
from tdseg.data.tracks import Shot, Step, Track, TrackClips
from tdseg.errors import DataError, TdsegError
from tdseg.masks.classes import CITYSCAPES_CLASSES, CITYSCAPES_PALETTE
from tdseg.metrics.iou import VOID

TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The labelId of each of the 19 classes."""
LABEL_IDS = 34
NAME = re.compile(r"(?P<video>.+_\d+)_(?P<frame>\d{6})_leftImg8bit\.png")


class Cityscapes(TrackClips):
    """Each labelled frame, the 20th of a snippet of 30 at 17 Hz, with frames before it.

    Args:
        root: folder with leftImg8bit/ and gtFine/, and leftImg8bit_sequence/ for clips of more than one frame.
        split: "train" (2975 labelled frames), "val" (500) or "test" (1525, whose public labels are void).
        length: frames per clip, up to 20; predecessors have no labels.
        step: see `TrackClips`.
        strict: see `TrackClips`.

    Raises:
        DataError: the layout is another, or a label or a frame before a labelled one is missing; it is named.
    """

    classes = CITYSCAPES_CLASSES
    palette = CITYSCAPES_PALETTE

    def __init__(
        self, root: str | Path, split: str, *, length: int = 1, step: Step = (1, 1), strict: bool = True
    ) -> None:
        root = Path(root)
        folder, past = root / "leftImg8bit" / split, root / "leftImg8bit_sequence" / split
        images = sorted(folder.glob("*/*_leftImg8bit.png"))
        if not images:
            raise DataError(
                f"{folder} holds no images",
                expected="leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_labelIds.png",
                do="point root at the folder that contains leftImg8bit/ and gtFine/",
            )
        self.has_past = past.is_dir()
        if length > 1 and not self.has_past:
            raise DataError(
                f"{past} is missing",
                expected=f"leftImg8bit_sequence, whose frames come before the labelled ones, for length {length}",
                do="download leftImg8bit_sequence_trainvaltest.zip, or use length: 1",
            )
        reach = (length - 1) * step[1]
        flaws: list[TdsegError] = []
        present = {path.name for path in past.glob("*/*.png")} if reach else set()
        tracks = [track for image in images if (track := _track(root, split, image, reach, present, flaws))]
        read = LabelReader(dict.fromkeys(range(LABEL_IDS), VOID) | {i: c for c, i in enumerate(TRAIN_IDS)})
        super().__init__(f"Cityscapes {split}", tracks, read, length=length, step=step, flaws=flaws, strict=strict)


def _track(root: Path, split: str, image: Path, reach: int, present: set[str], flaws: list[TdsegError]) -> Track | None:
    """The labelled frame and `reach` frames before it; None where one is missing, which is noted as a flaw."""
    city, stem = image.parent.name, image.name.removesuffix("_leftImg8bit.png")
    label = root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png"
    match = NAME.fullmatch(image.name)
    if match is None or not label.is_file():
        flaws.append(DataError(f"{image} has no label", expected=str(label), do="complete gtFine, or remove the image"))
        return None
    frame = int(match["frame"])
    names = [f"{match['video']}_{i:06d}_leftImg8bit.png" for i in range(max(0, frame - reach), frame)]
    if missing := [name for name in names if name not in present]:
        flaws.append(
            DataError(
                f"{image.name}: missing sequence frames {', '.join(missing)}",
                expected=f"the {reach} frames before it in leftImg8bit_sequence/{split}/{city}",
                do="unpack leftImg8bit_sequence again, or use smaller length and step",
            )
        )
        return None
    past = [Shot(root / "leftImg8bit_sequence" / split / city / name) for name in names]
    return Track(stem, [*past, Shot(image, label)], [len(past)])
