"""NYUDv2, indoor frames with 40 classes, with or without the raw frames before them.

Silberman et al., "Indoor Segmentation and Support Inference from RGBD Images", ECCV 2012; the classes are those of
Gupta, Arbelaez & Malik, "Perceptual Organization and Recognition of Indoor Scenes from RGB-D Images", CVPR 2013.
"""

from __future__ import annotations

from pathlib import Path

from tdseg.data.pictures import LabelReader, default_palette, images_in
from tdseg.data.tracks import Shot, Step, Track, TrackClips, paired
from tdseg.errors import DataError, TdsegError
from tdseg.masks.classes import NYUDV2_CLASSES
from tdseg.metrics.iou import VOID


class NYUDv2(TrackClips):
    """The labelled frames, each the last of a video of its own.

    There is no official layout in files; this one is ours, see docs/data.md.

    Args:
        root: folder with images/SPLIT/ID.png (or .jpg), labels/SPLIT/ID.png (0 void, 1 … 40 the classes) and, for clips
            of more than one frame, frames/ID/ with the raw frames before that image, named in order of time.
        split: "train" (795 frames officially), "test" (654), or any other folder.
        length: frames per clip. Images with too few raw frames end no clip.
        step: see `TrackClips`.
        strict: see `TrackClips`.

    Raises:
        DataError: the layout is another, an image lacks its label, or no image has frames enough.
    """

    classes = NYUDV2_CLASSES
    palette = default_palette(len(NYUDV2_CLASSES))

    def __init__(
        self, root: str | Path, split: str, *, length: int = 1, step: Step = (1, 1), strict: bool = True
    ) -> None:
        root = Path(root)
        folder, labels, past = root / "images" / split, root / "labels" / split, root / "frames"
        images = images_in(folder)
        if not images:
            raise DataError(
                f"{folder} holds no images",
                expected="images/SPLIT/ID.png and labels/SPLIT/ID.png",
                do="arrange the data as docs/data.md says, and point root at the folder that contains images/",
            )
        self.has_past = past.is_dir()
        flaws: list[TdsegError] = []
        tracks = []
        for shot in paired(images, {path.stem: path for path in labels.glob("*.png")}, labels, flaws):
            before = [Shot(path) for path in images_in(past / shot.image.stem)] if length > 1 else []
            tracks.append(Track(shot.image.stem, [*before, shot], [len(before)]))
        read = LabelReader({0: VOID} | {i + 1: i for i in range(len(NYUDV2_CLASSES))})
        super().__init__(f"NYUDv2 {split}", tracks, read, length=length, step=step, flaws=flaws, strict=strict)
