"""NYUDv2, indoor frames with 40 classes, with or without the raw frames before them.

Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images", ECCV 2012; the classes are those of
Gupta, Arbelaez & Malik, "Perceptual Organization and Recognition of Indoor Scenes from RGB-D Images", CVPR 2013.
"""

from __future__ import annotations

import os

from tdseg.data.tracks import Shot, Track, TrackClips
from tdseg.masks.classes import NYUDV2_CLASSES
from tdseg.masks.labels import ClassTable
from tdseg.masks.palette import default_palette
from tdseg.metrics.iou import VOID
from tdseg.video.pictures import images_in


class NYUDv2(TrackClips):
    """The labelled frames, each the last of a video of its own.

    There is no official layout in files; this one is ours, see docs/data.md: images/SPLIT/ID.png (or .jpg),
    labels/SPLIT/ID.png (0 void, 1 … 40 the classes) and, for clips of more than one frame, frames/ID/ with the raw
    frames before that image, named in order of time; images with too few of them end no clip. Splits are "train" (795
    frames officially), "test" (654), or any other folder.
    """

    title = "NYUDv2"
    layout = "images/SPLIT/ID.png and labels/SPLIT/ID.png"
    classes = NYUDV2_CLASSES
    palette = default_palette(len(NYUDV2_CLASSES))
    labels = ClassTable({0: VOID} | {i + 1: i for i in range(len(NYUDV2_CLASSES))})

    def find_tracks(self) -> list[Track]:
        """See TrackClips: a track for each labelled frame."""
        past = self.root / "frames"
        self.has_past = os.path.isdir(past)
        tracks = []
        for shot in self.stills():
            before = [Shot(path) for path in images_in(past / shot.image.stem)] if self.length > 1 else []
            tracks.append(Track(shot.image.stem, [*before, shot], [len(before)]))
        return tracks
