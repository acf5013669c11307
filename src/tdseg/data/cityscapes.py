"""Cityscapes with fine labels, and the frames before the labelled ones.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tdseg.data.tracks import Shot, Track, TrackClips
from tdseg.errors import DataError
from tdseg.masks.classes import CITYSCAPES_CLASSES, CITYSCAPES_PALETTE
from tdseg.masks.labels import ClassTable
from tdseg.metrics.iou import VOID

TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The labelId of each of the 19 classes."""
LABEL_IDS = 34
NAME = re.compile(r"(?P<video>.+_\d+)_(?P<frame>\d{6})_leftImg8bit\.png")


class Cityscapes(TrackClips):
    """Each labelled frame, the 20th of a snippet of 30 at 17 Hz, with up to 19 frames before it, which have no labels.

    The root holds leftImg8bit/ and gtFine/, and leftImg8bit_sequence/ for clips of more than one frame. Splits are
    "train" (2975 labelled frames), "val" (500) and "test" (1525, whose public labels are void).
    """

    title = "Cityscapes"
    layout = "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png and gtFine/SPLIT/CITY/*_gtFine_labelIds.png"
    classes = CITYSCAPES_CLASSES
    palette = CITYSCAPES_PALETTE
    labels = ClassTable(dict.fromkeys(range(LABEL_IDS), VOID) | {i: c for c, i in enumerate(TRAIN_IDS)})

    def find_tracks(self) -> list[Track]:
        """See TrackClips: a track for each labelled frame."""
        folder, past = self.root / "leftImg8bit" / self.split, self.root / "leftImg8bit_sequence" / self.split
        images = sorted(folder.glob("*/*_leftImg8bit.png"))
        if not images:
            raise self.no_images(folder)
        self.has_past = os.path.isdir(past)
        if self.length > 1 and not self.has_past:
            raise DataError(
                f"{past} is missing",
                expected=f"leftImg8bit_sequence, whose frames come before the labelled ones, for length {self.length}",
                do="download leftImg8bit_sequence_trainvaltest.zip, or use length: 1",
            )
        present = {path.name for path in past.glob("*/*.png")} if self.reach else set()
        return [track for image in images if (track := self._track(image, past, present))]

    def _track(self, image: Path, past: Path, present: set[str]) -> Track | None:
        """The labelled frame and `reach` frames before it; None where one is missing, which is a flaw."""
        city, stem = image.parent.name, image.name.removesuffix("_leftImg8bit.png")
        label = self.root / "gtFine" / self.split / city / f"{stem}_gtFine_labelIds.png"
        match = NAME.fullmatch(image.name)
        if match is None or not os.path.isfile(label):
            self.flaw(f"{image} has no label", expected=str(label), do="complete gtFine, or remove the image")
            return None
        frame = int(match["frame"])
        names = [f"{match['video']}_{i:06d}_leftImg8bit.png" for i in range(max(0, frame - self.reach), frame)]
        if missing := [name for name in names if name not in present]:
            self.flaw(
                f"{image.name}: missing sequence frames {', '.join(missing)}",
                expected=f"the {self.reach} frames before it in leftImg8bit_sequence/{self.split}/{city}",
                do="unpack leftImg8bit_sequence again, or use smaller length and step",
            )
            return None
        return Track(stem, [*(Shot(past / city / name) for name in names), Shot(image, label)], [len(names)])
