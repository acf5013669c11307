"""CamVid: road scenes of four videos, in the layout prepared for SegNet or in the original one.

Brostow, Fauqueur & Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009.
"""

from __future__ import annotations

import re
from itertools import groupby, pairwise
from pathlib import Path

from tdseg.data.pictures import LabelReader, images_in
from tdseg.data.tracks import Shot, Step, Track, TrackClips, paired
from tdseg.errors import DataError, TdsegError
from tdseg.masks.classes import CAMVID32, CAMVID32_CLASSES, CAMVID32_PALETTE, CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.metrics.iou import VOID

SEGNET_VOID = 11
HZ = 30.0
"""Rate that frames are numbered at."""
FARTHEST = 33
"""Frames that are farther apart than about a second are no neighbours."""
VIDEO = 3
"""Frames that are no farther apart make a video, of 10 Hz or more."""
SPLITS = ("train", "val", "test")
STILLS, COLORS = "701_StillsRaw_full", "LabeledApproved_full"
NAME = re.compile(r"(.+)_f?(\d+)")


class CamVid(TrackClips):
    """CamVid's labelled frames, in order of sequence and time. Which layout it is shows in the folders.

    Frames before a labelled one are the labelled ones before it in the same sequence, at even steps of time: 1 s in
    train and test, 1/15 s in val.

    Args:
        root: folder with images/SPLIT/ and labels/SPLIT/ (SegNet: 480×360, 11 classes as indices), or with
            701_StillsRaw_full/ and LabeledApproved_full/ (original: 960×720, 32 classes as colours). There, files
            train.txt, val.txt and test.txt with names of frames, if present, take the place of the official split.
        split: "train" (367 frames officially), "val" (101, real video at 15 Hz) or "test" (233).
        length: frames per clip.
        step: see `TrackClips`; in steps between labelled frames.
        num_classes: 11, or 32, which the original layout alone has.
        strict: see `TrackClips`.

    Raises:
        DataError: the layout is another, an image lacks its label, or is not named by sequence and frame.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        length: int = 1,
        step: Step = (1, 1),
        num_classes: int = 11,
        strict: bool = True,
    ) -> None:
        root = Path(root)
        original = (root / STILLS).is_dir()
        if num_classes not in ((11, 32) if original else (11,)):
            raise DataError(
                f"num_classes {num_classes} for {root}",
                expected="11, or 32 in the original layout" if original else "11, all that the SegNet layout has",
                do="choose one of them",
            )
        flaws: list[TdsegError] = []
        shots = (_original if original else _segnet)(root, split, flaws)
        runs = _runs(shots, flaws)
        self.fps = _rate(runs)
        self.classes = CAMVID_CLASSES if num_classes == 11 else CAMVID32_CLASSES
        self.palette = CAMVID_PALETTE if num_classes == 11 else CAMVID32_PALETTE
        super().__init__(
            f"CamVid {split}",
            [track for track, _ in runs],
            _color_reader(num_classes)
            if original
            else LabelReader(dict(enumerate(range(SEGNET_VOID))) | {SEGNET_VOID: VOID}),
            length=length,
            step=step,
            flaws=flaws,
            strict=strict,
        )


def official_split(sequence: str, frame: int) -> str | None:
    """The split that a frame belongs to (Sturgess et al., BMVC 2009); None for sequences that are not CamVid's."""
    if sequence == "0016E5":
        return "val" if 7959 <= frame <= 8159 else "train"
    if sequence == "0001TP":
        return "train" if frame <= 8520 else "test"
    return {"0006R0": "train", "Seq05VD": "test"}.get(sequence)


def _segnet(root: Path, split: str, flaws: list[TdsegError]) -> list[Shot]:
    folder, labels = root / "images" / split, root / "labels" / split
    images = images_in(folder)
    if not images:
        raise DataError(
            f"{folder} holds no images",
            expected=f"images/train/*.jpg and labels/train/*.png (SegNet), or {STILLS}/ and {COLORS}/ (original)",
            do="point root at the folder that contains them",
        )
    return paired(images, {path.stem: path for path in labels.glob("*.png")}, labels, flaws)


def _original(root: Path, split: str, flaws: list[TdsegError]) -> list[Shot]:
    lists = {name: root / f"{name}.txt" for name in SPLITS if (root / f"{name}.txt").is_file()}
    listed = _listed(lists[split]) if split in lists else None
    images = [
        path
        for path in images_in(root / STILLS)
        if (path.stem in listed if listed is not None else not lists and _split_of(path) == split)
    ]
    if not images:
        raise DataError(
            f"{root / STILLS} holds no images of split {split!r}",
            expected=f"one of {', '.join(lists or SPLITS)}, and images such as 0016E5_07959.png",
            do="choose another split, or complete the data set",
        )
    flaws.extend(
        DataError(f"{lists[split]} names {stem}", expected=f"an image {stem}.png in {STILLS}", do="add it")
        for stem in sorted((listed or set()) - {path.stem for path in images})
    )
    labels = {path.stem.removesuffix("_L"): path for path in (root / COLORS).glob("*_L.png")}
    return paired(images, labels, root / COLORS, flaws)


def _listed(path: Path) -> set[str]:
    """The stems that a list names, one a line; a second column, of labels, may follow."""
    return {Path(line.split()[0]).stem for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}


def _split_of(path: Path) -> str | None:
    match = NAME.fullmatch(path.stem)
    return official_split(match[1], int(match[2])) if match else None


def _runs(shots: list[Shot], flaws: list[TdsegError]) -> list[tuple[Track, int]]:
    """The shots cut where the steps between their frame numbers change, each run with its step (0: a single frame)."""
    numbered = []
    for shot in shots:
        if match := NAME.fullmatch(shot.image.stem):
            numbered.append((match[1], int(match[2]), shot))
        else:
            flaws.append(
                DataError(
                    f"{shot.image}: no frame number", expected="a name such as 0016E5_07959.png", do="rename the file"
                )
            )
    numbered.sort(key=lambda item: item[:2])
    runs = []
    for sequence, items in groupby(numbered, key=lambda item: item[0]):
        frames = [(number, shot) for _, number, shot in items]
        cuts = _cuts([number for number, _ in frames])
        for start, end in pairwise(cuts):
            part = frames[start:end]
            name = sequence if len(cuts) == 2 else f"{sequence} from {part[0][0]:05d}"
            step = part[1][0] - part[0][0] if len(part) > 1 else 0
            runs.append((Track(name, [shot for _, shot in part], range(len(part))), step))
    return runs


def _cuts(numbers: list[int]) -> list[int]:
    """Where runs of even steps begin, and the end. Numbers at 1 Hz are not always 30 apart, but up to three off."""
    cuts, step = [0], None
    for at, (before, number) in enumerate(pairwise(numbers), 1):
        apart = number - before
        if apart > FARTHEST or (step is not None and abs(apart - step) > step // 10):
            cuts.append(at)
            step = None
        else:
            step = step or apart
    return [*cuts, len(numbers)]


def _rate(runs: list[tuple[Track, int]]) -> float | None:
    """Frames per second, where all runs are videos of one rate."""
    steps = {step for _, step in runs if step}
    return HZ / steps.pop() if len(steps) == 1 and max(steps) <= VIDEO else None


def _color_reader(num_classes: int) -> LabelReader:
    if num_classes == 32:
        return LabelReader({}, {c: VOID if name == "Void" else i for i, (name, c, _) in enumerate(CAMVID32)})
    return LabelReader({}, {c: VOID if part is None else CAMVID_CLASSES.index(part) for _, c, part in CAMVID32})
