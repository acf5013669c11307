"""Your own data: images or videos with masks, or without, described by one file, data.yaml."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from tdseg.config import Byte, FrozenConfig
from tdseg.data.tracks import Shot, Track, TrackClips
from tdseg.errors import DataError, TdsegError
from tdseg.files import read_fields
from tdseg.masks.labels import BINARY, PAINTED, ClassTable, LabelError, read_pixels
from tdseg.masks.palette import Color, default_palette
from tdseg.metrics.iou import VOID
from tdseg.video import open_video
from tdseg.video.extent import FALLBACK_FPS
from tdseg.video.pictures import RGB, images_in

FILE = "data.yaml"
MOST_CLASSES = 253
LABEL = "label some of the pixels, or see whether the masks were drawn with other values or colours"


class FolderClass(FrozenConfig):
    """One class."""

    name: str = Field(min_length=1, max_length=200, description="As shown in reports.")
    color: tuple[Byte, Byte, Byte] | None = Field(None, description="RGB: of its pixels in coloured masks, and shown.")


class SplitPart(FrozenConfig):
    """Images or one video, with the masks they have."""

    images: Path | None = Field(None, description="Folder of still images.")
    video: Path | None = Field(None, description="Video file, or folder of frames in order of their names.")
    masks: Path | None = Field(
        None,
        description="Folder of PNGs named as the images or frames they belong to; for a video file, by frame number "
        "from 0. Without it nothing is labelled: for distillation.",
    )
    every: int | None = Field(
        None, ge=1, le=1_000_000, description="Frames between the clips of a video without masks; None: about a second."
    )

    @model_validator(mode="after")
    def _consistent(self) -> SplitPart:
        if (self.images is None) == (self.video is None):
            raise ValueError("a part of a split has either images or video")
        if self.every is not None and (self.video is None or self.masks is not None):
            raise ValueError("every belongs to a video without masks")
        return self


class FolderConfig(FrozenConfig):
    """The fields of data.yaml. Paths are relative to its folder."""

    classes: tuple[FolderClass, ...] = Field(
        min_length=1,
        max_length=MOST_CLASSES,
        description="In order of the mask values 0, 1, 2 …, of which those in `ignore` are left out; each a name, or "
        "name and color.",
    )
    ignore: tuple[Byte | tuple[Byte, Byte, Byte], ...] = Field(
        (), description="Mask values or RGB colours that are no class; 255 always is none."
    )
    splits: dict[str, tuple[SplitPart, ...]] = Field(min_length=1, description="Any names, such as train and val.")

    @field_validator("classes", mode="before")
    @classmethod
    def _named(cls, classes: Any) -> Any:
        return [{"name": c} if isinstance(c, str) else c for c in classes] if isinstance(classes, list) else classes

    @model_validator(mode="after")
    def _consistent(self) -> FolderConfig:
        colors = [c.color for c in self.classes if c.color]
        if colors and len(colors) < len(self.classes):
            raise ValueError("either all classes have a color or none has")
        names, colors = [c.name for c in self.classes], [*colors, *self.ignored()[1]]
        if len(set(names)) < len(names) or len(set(colors)) < len(colors):
            raise ValueError("a name or a color is there twice")
        return self

    def ignored(self) -> tuple[list[int], list[Color]]:
        """Mask values and colours that are no class."""
        return [i for i in self.ignore if isinstance(i, int)], [i for i in self.ignore if not isinstance(i, int)]

    def class_table(self) -> ClassTable:
        """The classes of the masks."""
        values, colors = self.ignored()
        free = (value for value in range(VOID) if value not in values)
        table = {value: index for index, value in zip(range(len(self.classes)), free, strict=False)}
        by_color = {c.color: index for index, c in enumerate(self.classes) if c.color}
        by_color = by_color and by_color | dict.fromkeys(colors, VOID)
        return ClassTable(table | dict.fromkeys(values, VOID), by_color, listed=FILE)


class Folder(TrackClips):
    """The parts of one split, one after the other: images are stills, a video's labelled frames have a past.

    The root holds data.yaml, which names the splits. Clips of more than one frame leave still images out.

    Raises:
        ConfigError: data.yaml has fields that are missing, unknown or wrong.
        DataError: data.yaml is missing; with `strict`, a part holds nothing, a video cannot be opened, an image or mask
            lacks the other.
    """

    def find_tracks(self) -> list[Track]:
        """See TrackClips: the tracks of each part."""
        config = read_config(self.root / FILE)
        if self.split not in config.splits:
            raise DataError(
                f"{self.root / FILE}: no split {self.split!r}",
                expected=f"one of {', '.join(config.splits)}",
                do="choose one of them, or add it",
            )
        self.title = self.root.name
        self.classes = tuple(c.name for c in config.classes)
        self.palette = tuple(c.color for c in config.classes if c.color) or default_palette(len(self.classes))
        self.labels = config.class_table()
        self._decoded: dict[Path, dict[int, RGB]] = {}
        opened = [self._open(part) for part in config.splits[self.split]]
        tracks = [track for part, _ in opened for track in part]
        self._doubt_binary([shot.label for track in tracks for shot in track.shots if shot.label])
        self.has_past = any(len(track.shots) > 1 for track in tracks)
        rates = {fps for _, fps in opened}
        self.fps = rates.pop() if len(rates) == 1 else None
        return tracks

    def _doubt_binary(self, masks: list[Path]) -> None:
        """Note that no mask has a value but 0 and 255, which is void: then there is one class to learn, or none."""
        seen = set[int]()
        for mask in masks:
            try:
                pixels = read_pixels(mask)
                classes = self.labels.classes(pixels, str(mask))
            except LabelError:  # it has other values
                return
            except DataError:  # named when it is wanted
                continue
            seen |= {*pixels.used().tolist()}
            if pixels.values.ndim == 3 or not seen <= {0, VOID} or (classes[pixels.values == VOID] != VOID).any():
                return
        if VOID in seen:
            got, do = (f"every mask {BINARY}", PAINTED) if 0 in seen else (f"every mask has {VOID} alone, void", LABEL)
            expected = "the values 0, 1 … of the classes, with 255 where there is none"
            self._doubts.append(DataError(f"{masks[0].parent}: {got}", expected=expected, do=do))

    def _open(self, part: SplitPart) -> tuple[list[Track], float | None]:
        """The tracks of a part, and the rate of a video of which every frame is labelled."""
        path, masks = self.root / (part.images or part.video or ""), list[Path]()
        if part.masks is not None:
            masks = [f for f in images_in(self.root / part.masks) if f.suffix.lower() == ".png"]
            if not masks:
                self.flaw(f"{self.root / part.masks} holds no masks", expected="a folder of PNGs", do="correct masks")
                return [], None
        if part.video is None or os.path.isdir(path):
            shots, fps = self._image_shots(path, masks), None
        else:
            shots, fps = self._video_shots(path, masks)
        if not shots:
            return [], None
        if part.images is not None:
            if masks:
                shots = self.labelled(shots, masks[0].parent)
            return [Track(shot.image.stem, [shot], [0]) for shot in shots], None
        if masks:
            ends = [i for i, shot in enumerate(shots) if shot.label]
            return [Track(path.name, shots, ends)], fps if len(ends) == len(shots) else None
        every = part.every or max(1, round(fps or FALLBACK_FPS))
        return [Track(path.name, shots, range(min(every, len(shots)) - 1, len(shots), every))], None

    def _image_shots(self, path: Path, masks: list[Path]) -> list[Shot]:
        """The images of a folder, with the masks of the same names."""
        images = images_in(path)
        if not images:
            self.flaw(f"{path} holds no images", expected="a folder of images", do="correct the path")
            return []
        by_stem, stems = {mask.stem: mask for mask in masks}, {image.stem for image in images}
        for stem, mask in by_stem.items():
            if stem not in stems:
                self.flaw(f"{mask} has no image", expected=f"an image named {stem}", do="complete or remove it")
        return [Shot(image, by_stem.get(image.stem)) for image in images]

    def _video_shots(self, path: Path, masks: list[Path]) -> tuple[list[Shot], float | None]:
        """The frames of a video file, with the masks of the same numbers, and its rate."""
        try:
            with open_video(path) as video:
                count, fps = video.info.num_frames or 0, video.info.fps
        except TdsegError as error:
            self.flaw(error.got, expected=error.expected, do=error.do)
            return [], None
        numbered = {int(digits[-1]): mask for mask in masks if (digits := re.findall(r"\d+", mask.stem))}
        shots = [Shot(path, numbered.get(i), i) for i in range(count)]
        placed = {shot.label for shot in shots}
        for mask in masks:
            if mask not in placed:
                self.flaw(
                    f"{mask}: not the mask of one frame of {path.name}, which has {count}",
                    expected=f"names that end in numbers of their own, 0 … {count - 1}",
                    do="name each mask by the number of its frame, from 0, such as 000042.png",
                )
        return shots, fps

    def _image(self, shot: Shot) -> RGB:
        if shot.number is None:
            return super()._image(shot)
        if (frames := self._decoded.get(shot.image)) is None:
            frames = self._decoded[shot.image] = self._decode(shot.image)
        if shot.number not in frames:
            raise DataError(
                f"{shot.image}: no frame {shot.number}" + (f" for {shot.label}" if shot.label else ""),
                expected="masks of frames that the video has, counted from 0",
                do="correct the number in the mask's name; if the video is cut off, get it whole",
            )
        return frames[shot.number]

    def _decode(self, path: Path) -> dict[int, RGB]:
        """The frames of a video that clips may need, by number; fewer where it ends before."""
        parts = (track.shots[max(0, end - self.reach) : end + 1] for track, end in self._ends)
        wanted = {shot.number for shots in parts for shot in shots if shot.image == path and shot.number is not None}
        with open_video(path) as video:
            return {frame.index: frame.image for frame in islice(video, max(wanted) + 1) if frame.index in wanted}


def read_config(path: Path) -> FolderConfig:
    """The fields of a data.yaml.

    Raises:
        DataError: it is missing, not YAML, or holds no fields.
        ConfigError: a field is missing, unknown or wrong.
    """
    expected, do = "a YAML file with classes and splits", "write it as docs/data.md shows"
    values = read_fields(path, DataError, expected=expected, do=do)
    return FolderConfig.parse(values, where=str(path))
