"""CamVid in the layout prepared for SegNet: 480×360, 11 classes, images/ and labels/ by split.

Brostow, Fauqueur & Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from tdseg.data.clip import IGNORE, Clip
from tdseg.errors import DataError
from tdseg.labels import CAMVID_CLASSES, CAMVID_PALETTE

VOID = 11
Split = Literal["train", "val", "test"]


class CamVid:
    """CamVid frames with labels, in order of sequence and time.

    Args:
        root: folder that holds images/{train,val,test}/*.jpg (or .png) and labels/{train,val,test}/*.png.
        split: "train" (367 frames), "val" (101, real video at 15 Hz) or "test" (233).
        length: frames per clip. 1 gives stills; more gives each labelled frame with its predecessors of the same
            sequence, 1 s apart in train and test.

    Raises:
        DataError: the layout is another, an image lacks its label, or a label is out of range.
    """

    def __init__(self, root: str | Path, split: Split, *, length: int = 1) -> None:
        self.root = Path(root)
        self.split = split
        folder = self.root / "images" / split
        self.images = sorted(path for path in folder.glob("*") if path.suffix.lower() in {".jpg", ".png"})
        if not self.images:
            raise DataError(
                f"{folder} holds no images",
                expected="CamVid in the SegNet layout: images/train/*.jpg and labels/train/*.png",
                do="point root at the folder that contains images/ and labels/",
            )
        for path in self.images:
            if not self._label_path(path).is_file():
                raise DataError(
                    f"{path.name} has no label", expected=str(self._label_path(path)), do="complete the data set"
                )
        self.length = length
        runs = [self.images[i : i + length] for i in range(len(self.images) - length + 1)]
        self.clips = [run for run in runs if len({_sequence(path) for path in run}) == 1]
        self._cache: dict[Path, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def name(self) -> str:
        """Such as "CamVid val"."""
        return f"CamVid {self.split}"

    @property
    def fps(self) -> float | None:
        """Frames per second where the frames are a video: 15 for val, every second of 30 Hz; None for the others."""
        return 15.0 if self.split == "val" else None

    @property
    def classes(self) -> Sequence[str]:
        """Names of the 11 classes."""
        return CAMVID_CLASSES

    @property
    def palette(self) -> Sequence[tuple[int, int, int]]:
        """Their colours."""
        return CAMVID_PALETTE

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Clip:
        frames, labels = zip(*(self._load(path) for path in self.clips[index]), strict=True)
        return Clip(torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(labels)))

    def sequence(self, index: int) -> str:
        """The video that a clip was taken from, such as "0016E5"."""
        return _sequence(self.clips[index][-1])

    def _label_path(self, path: Path) -> Path:
        return self.root / "labels" / path.parent.name / f"{path.stem}.png"

    def _load(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        if path not in self._cache:
            label_path = self._label_path(path)
            image, label = _read(path, "RGB"), _read(label_path)
            if label.shape != image.shape[:2] or label.max() > VOID:
                raise DataError(
                    f"{label_path.name}: shape {label.shape}, largest value {label.max()}",
                    expected=f"one class index 0 … {VOID} for each pixel of the image {image.shape[:2]}",
                    do="use the 11-class index labels of the SegNet preparation",
                )
            self._cache[path] = image, np.where(label == VOID, IGNORE, label).astype(np.uint8)
        return self._cache[path]


def _read(path: Path, mode: str | None = None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode) if mode else image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises
        raise DataError(
            f"{path}: {error}", expected="an image that can be read", do="copy the data set again"
        ) from None


def _sequence(path: Path) -> str:
    """ "0016E5" of "0016E5_07959.jpg"."""
    return path.stem.split("_")[0]
