"""Fabricated data sets in the layouts of real ones, a few kB each. Every picture tells its number, see `picture`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from tdseg.data.clip import Clip
from tdseg.masks.classes import CAMVID32
from tdseg.masks.palette import Palette, read_palette
from tdseg.street import render_street

SIZE = (32, 48)


def picture(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A rendered street whose first pixel is the number."""
    image = _street(size).copy()
    image[0, 0] = number >> 16, number >> 8 & 255, number & 255
    return image


@cache
def _street(size: tuple[int, int]) -> NDArray[np.uint8]:
    return next(iter(render_street(3, num_frames=1, size=size))).image


def numbers(clip: Clip) -> list[int]:
    """The numbers of a clip's pictures."""
    return [(r << 16) + (g << 8) + b for r, g, b in clip.frames[:, :, 0, 0].tolist()]


def stripes(values: Iterable[int], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A label with the values from left to right, in columns of one width; what is left over repeats the last."""
    known = list(values)
    columns = np.minimum(np.arange(size[1]) * len(known) // size[1], len(known) - 1)
    return np.tile(np.array(known, np.uint8)[columns], (size[0], 1))


def save(path: Path, array: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def segnet(
    root: Path,
    names: Iterable[str],
    split: str = "train",
    values: Iterable[int] = range(12),
    size: tuple[int, int] = SIZE,
) -> Path:
    """CamVid as prepared for SegNet; names such as 0016E5_07959."""
    for name in names:
        save(root / "images" / split / f"{name}.png", picture(int(name.rpartition("_")[2].lstrip("f")), size))
        save(root / "labels" / split / f"{name}.png", stripes(values, size))
    return root


def camvid(root: Path, names: Iterable[str], size: tuple[int, int] = (32, 64)) -> Path:
    """CamVid in the original layout; the 32 colours in columns of two pixels."""
    colors = np.array([color for _, color, _ in CAMVID32], np.uint8)
    for name in names:
        save(root / "701_StillsRaw_full" / f"{name}.png", picture(int(name.rpartition("_")[2].lstrip("f")), size))
        save(root / "LabeledApproved_full" / f"{name}_L.png", colors[stripes(range(32), size)])
    return root


def cityscapes(
    root: Path, frames: Mapping[str, int], split: str = "train", past: int = 19, size: tuple[int, int] = SIZE
) -> Path:
    """Cityscapes: the labelled frame of each video, such as {"aachen_000000": 19}, and so many before it."""
    for video, labelled in frames.items():
        city = video.split("_")[0]
        for frame in range(labelled - past, labelled + 1):
            kind = "leftImg8bit_sequence" if past else "leftImg8bit"
            save(root / kind / split / city / f"{video}_{frame:06d}_leftImg8bit.png", picture(frame, size))
        stem = f"{video}_{labelled:06d}"
        save(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture(labelled, size))
        save(root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png", stripes((*range(34), 255), size))
    return root


def nyudv2(root: Path, past: Mapping[str, int], split: str = "train", size: tuple[int, int] = SIZE) -> Path:
    """NYUDv2: images by name, with so many raw frames before each, numbered up to 100, the image's own number."""
    for name, count in past.items():
        save(root / "images" / split / f"{name}.png", picture(100, size))
        save(root / "labels" / split / f"{name}.png", stripes(range(41), size))
        for i in range(count):
            save(root / "frames" / name / f"r-{i}.png", picture(100 - count + i, size))
    return root


def folder(root: Path, **fields: object) -> Path:
    """data.yaml with two classes and these fields."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(yaml.safe_dump({"classes": ["road", "car"], **fields}))
    return root


def palette(root: Path) -> Palette:
    """Sky, Road, Old tree and Void, read from a file in that folder."""
    lines = ["# R G B name", "0 0 0 Sky", "", "200,10,10 Road", "10\t200\t10\tOld tree", "9 9 9 Void"]
    (root / "palette.txt").write_text("\n".join(lines))
    return read_palette(root / "palette.txt")
