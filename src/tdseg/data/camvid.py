"""CamVid: road scenes of four videos, in the layout prepared for SegNet or in the original one.

Brostow, Fauqueur & Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009.
"""

from __future__ import annotations

import os
import re
from itertools import groupby, pairwise, takewhile
from pathlib import Path

from tdseg.data.tracks import Shot, Track, TrackClips
from tdseg.errors import DataError
from tdseg.masks.classes import CAMVID32, CAMVID32_CLASSES, CAMVID32_PALETTE, CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.masks.labels import ClassTable
from tdseg.metrics.iou import VOID
from tdseg.video.pictures import images_in

SEGNET_VOID = 11
HZ = 30.0
"""Rate that frames are numbered at."""
FARTHEST = 33
"""Frames that are farther apart than about a second are no neighbours."""
VIDEO = 3
"""Frames that are no farther apart make a video, of 10 Hz or more."""
SPLITS = ("train", "val", "test")
STILLS, COLORS = "701_StillsRaw_full", "LabeledApproved_full"
FRAMES = "frames"
NAME = re.compile(r"(.+)_f?(\d+)")


class CamVid(TrackClips):
    """CamVid's labelled frames, in order of sequence and time. Which layout it is shows in the folders.

    Frames before a labelled one are the labelled ones before it in the same sequence, at even steps of time: 1 s in
    train and test, 1/15 s in val; `step` counts these. Where the root also holds frames/, the frames of the videos
    without labels, named alike, clips of train and test are made of these, and `step` counts them: 1/30 s.

    The root holds images/SPLIT/ and labels/SPLIT/ (SegNet: 480×360, 11 classes as indices), or 701_StillsRaw_full/ and
    LabeledApproved_full/ (original: 960×720, 32 classes as colours, grouped into the 11 unless `num_classes` is 32).
    There, files train.txt, val.txt and test.txt with names of frames, if present, take the place of the official split.
    Splits are "train" (367 frames officially), "val" (101, real video at 15 Hz) and "test" (233).
    """

    title = "CamVid"
    layout = f"images/train/*.jpg and labels/train/*.png (SegNet), or {STILLS}/ and {COLORS}/ (original)"

    def find_tracks(self) -> list[Track]:
        """See TrackClips: a track for each run of frames at even steps."""
        original, num_classes = os.path.isdir(self.root / STILLS), self._num_classes or len(CAMVID_CLASSES)
        if num_classes not in ((11, 32) if original else (11,)):
            raise DataError(
                f"num_classes {num_classes} for {self.root}",
                expected="11, or 32 in the original layout" if original else "11, all that the SegNet layout has",
                do="choose one of them",
            )
        grouped = num_classes == len(CAMVID_CLASSES)
        self.classes = CAMVID_CLASSES if grouped else CAMVID32_CLASSES
        self.palette = CAMVID_PALETTE if grouped else CAMVID32_PALETTE
        if original:
            parts = {color: part if grouped else part and name for name, color, part in CAMVID32}
            self.labels = ClassTable({}, {c: self.classes.index(part) if part else VOID for c, part in parts.items()})
            shots = self._original()
        else:
            self.labels = ClassTable({i: i for i in range(SEGNET_VOID)} | {SEGNET_VOID: VOID})
            shots = self.stills()
        tracks = self._tracks(shots)
        if not os.path.isdir(frames := self.root / FRAMES):
            return tracks
        self.has_past = self.fps is None  # labelled video is its own past
        return self._with_past(frames, shots) if self.has_past and self.length > 1 else tracks

    def _with_past(self, folder: Path, shots: list[Shot]) -> list[Track]:
        """A track for each labelled frame: those right before it in its video, and itself."""
        known = {place: path for path in images_in(folder) if (place := _place(path.stem))}
        tracks = []
        for shot in shots:
            sequence, number = _place(shot.image.stem) or ("", 0)
            before = [known.get((sequence, number - back)) for back in range(1, self.reach + 1)]
            past = [Shot(path) for path in takewhile(lambda path: path is not None, before) if path]
            tracks.append(Track(shot.image.stem, [*reversed(past), shot], [len(past)]))
        return tracks

    def _original(self) -> list[Shot]:
        stills, colors = self.root / STILLS, self.root / COLORS
        lists = {name: path for name in SPLITS if os.path.isfile(path := self.root / f"{name}.txt")}
        images = images_in(stills)
        if lists:
            listed = _listed(lists[self.split]) if self.split in lists else set()
        else:
            listed = {path.stem for path in images if official_split(path.stem) == self.split}
        images = [path for path in images if path.stem in listed]
        if not images:
            raise DataError(
                f"{stills} holds no images of split {self.split!r}",
                expected=f"one of {', '.join(lists or SPLITS)}, and images such as 0016E5_07959.png",
                do="choose another split, or complete the data set",
            )
        for stem in sorted(listed - {path.stem for path in images}):
            self.flaw(f"{lists[self.split]} names {stem}", expected=f"an image {stem}.png in {STILLS}", do="add it")
        labels = {path.stem.removesuffix("_L"): path for path in colors.glob("*_L.png")}
        return self.labelled([Shot(image, labels.get(image.stem)) for image in images], colors)

    def _tracks(self, shots: list[Shot]) -> list[Track]:
        """The shots of each sequence, cut where the steps between their numbers change; sets the rate of videos."""
        placed: list[tuple[str, int, Shot]] = []
        for shot in shots:
            if place := _place(shot.image.stem):
                placed.append((*place, shot))
            else:
                expected = "a name such as 0016E5_07959.png"
                self.flaw(f"{shot.image}: no frame number", expected=expected, do="rename the file")
        tracks: list[Track] = []
        steps: set[int] = set()
        for sequence, group in groupby(sorted(placed), key=lambda frame: frame[0]):
            runs = _runs([(number, shot) for _, number, shot in group])
            for run in runs:
                name = sequence if len(runs) == 1 else f"{sequence} from {run[0][0]:05d}"
                tracks.append(Track(name, [shot for _, shot in run], range(len(run))))
                steps.update(after - before for (before, _), (after, _) in pairwise(run[:2]))
        self.fps = HZ / steps.pop() if len(steps) == 1 and max(steps) <= VIDEO else None
        return tracks


def _place(stem: str) -> tuple[str, int] | None:
    """Sequence and number of a frame, by its name."""
    match = NAME.fullmatch(stem)
    return (match[1], int(match[2])) if match else None


def official_split(stem: str) -> str | None:
    """The split of a frame, by its name (Sturgess et al., BMVC 2009); None for sequences that are not CamVid's."""
    sequence, frame = _place(stem) or ("", 0)
    if sequence == "0016E5":
        return "val" if 7959 <= frame <= 8159 else "train"
    if sequence == "0001TP":
        return "train" if frame <= 8520 else "test"
    return {"0006R0": "train", "Seq05VD": "test"}.get(sequence)


def _listed(path: Path) -> set[str]:
    """The stems that a list names, one a line; a second column, of labels, may follow."""
    return {Path(line.split()[0]).stem for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}


def _runs(frames: list[tuple[int, Shot]]) -> list[list[tuple[int, Shot]]]:
    """Frames in order of their numbers, cut into even steps. At 1 Hz these are not always 30, but up to three off."""
    runs, step = [frames[:1]], None
    for (before, _), frame in pairwise(frames):
        apart = frame[0] - before
        if apart > FARTHEST or (step is not None and abs(apart - step) > step // 10):
            runs.append([])
            step = None
        else:
            step = step or apart
        runs[-1].append(frame)
    return runs
