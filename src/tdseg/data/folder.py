"""Your own data: images or videos with masks, or without, described by one file, data.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from tdseg.config import FrozenConfig
from tdseg.data.clip import Color
from tdseg.data.pictures import MOST_CLASSES, LabelReader, default_palette, images_in
from tdseg.data.tracks import Shot, Step, Track, TrackClips, paired
from tdseg.errors import DataError, TdsegError
from tdseg.metrics.iou import VOID
from tdseg.video import open_video
from tdseg.video.reader import FALLBACK_FPS

Byte = Annotated[int, Field(ge=0, le=255)]
FILE = "data.yaml"


class FolderClass(FrozenConfig):
    """One class."""

    name: str = Field(min_length=1, description="As shown in reports.")
    color: tuple[Byte, Byte, Byte] | None = Field(None, description="RGB: of its pixels in coloured masks, and shown.")


class Part(FrozenConfig):
    """Images or one video, with the masks they have."""

    images: Path | None = Field(None, description="Folder of still images.")
    video: Path | None = Field(None, description="Video file, or folder of frames in order of their names.")
    masks: Path | None = Field(
        None,
        description="Folder of PNGs named as the images or frames they belong to; for a video file, by frame number "
        "from 0. Without it nothing is labelled: for distillation.",
    )
    every: int | None = Field(
        None, ge=1, description="Frames between the clips of a video without masks; None: about a second."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Part:
        if (self.images is None) == (self.video is None):
            raise ValueError("a part of a split has either images or video")
        if self.every is not None and (self.video is None or self.masks is not None):
            raise ValueError("every belongs to a video without masks")
        return self


class FolderConfig(FrozenConfig):
    """What data.yaml says. Paths are relative to its folder."""

    classes: tuple[FolderClass, ...] = Field(
        min_length=1,
        max_length=MOST_CLASSES,
        description="In order of the mask values 0, 1, 2 …, of which those in `ignore` are left out; each a name, or "
        "name and color.",
    )
    ignore: tuple[Byte | tuple[Byte, Byte, Byte], ...] = Field(
        (), description="Mask values or RGB colours that are no class; 255 always is none."
    )
    splits: dict[str, tuple[Part, ...]] = Field(min_length=1, description="Any names, such as train and val.")

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

    def label_reader(self) -> LabelReader:
        """Turns the masks into classes."""
        values, colors = self.ignored()
        free = (value for value in range(VOID) if value not in values)
        table = {value: index for index, value in zip(range(len(self.classes)), free, strict=False)}
        by_color = {c.color: index for index, c in enumerate(self.classes) if c.color}
        return LabelReader(table | dict.fromkeys(values, VOID), by_color and by_color | dict.fromkeys(colors, VOID))


class Folder(TrackClips):
    """The parts of one split, one after the other: images are stills, a video's labelled frames have a past.

    Args:
        root: folder with data.yaml.
        split: one that data.yaml names.
        length: frames per clip. More than one leaves still images out.
        step: see `TrackClips`.
        strict: see `TrackClips`.

    Raises:
        DataError: data.yaml is missing or wrong, a part holds nothing, an image or mask lacks the other.
        VideoError: a video cannot be opened.
    """

    def __init__(
        self, root: str | Path, split: str, *, length: int = 1, step: Step = (1, 1), strict: bool = True
    ) -> None:
        root = Path(root)
        config = read_config(root / FILE)
        if split not in config.splits:
            raise DataError(
                f"{root / FILE}: no split {split!r}",
                expected=f"one of {', '.join(config.splits)}",
                do="choose one of them, or add it",
            )
        self.classes = tuple(c.name for c in config.classes)
        self.palette = tuple(
            c.color or default for c, default in zip(config.classes, default_palette(len(self.classes)), strict=True)
        )
        flaws: list[TdsegError] = []
        opened = [_open_part(part, root, flaws) for part in config.splits[split]]
        tracks = [track for part in opened for track in part.tracks]
        self.has_past = any(len(track.shots) > 1 for track in tracks)
        rates = {part.fps for part in opened}
        self.fps = rates.pop() if len(rates) == 1 else None
        super().__init__(
            f"{root.name} {split}", tracks, config.label_reader(), length=length, step=step, flaws=flaws, strict=strict
        )
        reach = (length - 1) * step[1]
        self._wanted: dict[Path, set[int]] = {}
        for track, end in self._ends:
            for shot in track.shots[max(0, end - reach) : end + 1]:
                if shot.number is not None:
                    self._wanted.setdefault(shot.image, set()).add(shot.number)
        self._decoded: dict[Path, dict[int, NDArray[np.uint8]]] = {}

    def _image(self, shot: Shot) -> NDArray[np.uint8]:
        if shot.number is None:
            return super()._image(shot)
        if shot.image not in self._decoded:
            self._decoded[shot.image] = _decode(shot.image, self._wanted[shot.image])
        frames = self._decoded[shot.image]
        if shot.number not in frames:
            raise DataError(
                f"{shot.image}: no frame {shot.number}" + (f" for {shot.label}" if shot.label else ""),
                expected="masks of frames that the video has, counted from 0",
                do="correct the number in the mask's name; if the video is cut off, get it whole",
            )
        return frames[shot.number]


def read_config(path: Path) -> FolderConfig:
    """What a data.yaml says.

    Raises:
        DataError: it is missing or not YAML.
        ConfigError: a field is missing, unknown or wrong.
    """
    expected, do = "a YAML file with classes and splits", "write it as docs/data.md shows"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", expected=expected, do=do) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not YAML ({error})", expected=expected, do=do) from None
    config: FolderConfig = FolderConfig.parse(values, where=str(path))
    return config


class _Opened(NamedTuple):
    """A part of a split."""

    tracks: list[Track]
    fps: float | None = None
    """Of a video of which every frame is labelled."""


def _open_part(part: Part, root: Path, flaws: list[TdsegError]) -> _Opened:
    masks = None if part.masks is None else [f for f in images_in(root / part.masks) if f.suffix.lower() == ".png"]
    if part.masks is not None and not masks:
        flaws.append(DataError(f"{root / part.masks} holds no masks", expected="a folder of PNGs", do="correct masks"))
        return _Opened([])
    path = root / (part.images or part.video or "")
    if part.images is None and not path.is_dir():
        return _open_file(path, masks, part.every, flaws)
    images = images_in(path)
    if not images:
        flaws.append(DataError(f"{path} holds no images", expected="a folder of images", do="correct the path"))
        return _Opened([])
    if part.images is not None:
        shots = [Shot(image) for image in images] if masks is None else _pairs(images, masks, flaws)
        return _Opened([Track(shot.image.stem, [shot], [0]) for shot in shots])
    if masks is None:
        return _Opened([_unlabelled(path, [Shot(image) for image in images], part.every or round(FALLBACK_FPS))])
    by_stem = {mask.stem: mask for mask in masks}
    _check_used(by_stem, {image.stem for image in images}, flaws)
    shots = [Shot(image, by_stem.get(image.stem)) for image in images]
    return _Opened([Track(path.name, shots, [i for i, shot in enumerate(shots) if shot.label])])


def _open_file(path: Path, masks: list[Path] | None, every: int | None, flaws: list[TdsegError]) -> _Opened:
    """A video file: its frames are known by number."""
    try:
        with open_video(path) as video:
            info = video.info
    except TdsegError as error:
        flaws.append(error)
        return _Opened([])
    count = info.num_frames or 0
    if masks is None:
        shots = [Shot(path, number=i) for i in range(count)]
        return _Opened([_unlabelled(path, shots, every or max(1, round(info.fps)))])
    numbered = {int(digits[-1]): mask for mask in masks if (digits := re.findall(r"\d+", mask.stem))}
    placed = {mask for number, mask in numbered.items() if number < count}
    flaws.extend(
        DataError(
            f"{mask}: not the mask of one frame of {path.name}, which has {count}",
            expected=f"names that end in numbers of their own, 0 … {count - 1}",
            do="name each mask by the number of its frame, from 0, such as 000042.png",
        )
        for mask in masks
        if mask not in placed
    )
    shots = [Shot(path, numbered.get(i), i) for i in range(count)]
    ends = sorted(i for i in numbered if i < count)
    return _Opened([Track(path.name, shots, ends)], info.fps if len(ends) == count else None)


def _unlabelled(path: Path, shots: list[Shot], every: int) -> Track:
    """A video of which clips end at every so many frames, the first after so many."""
    return Track(path.name, shots, range(min(every, len(shots)) - 1, len(shots), every))


def _pairs(images: list[Path], masks: list[Path], flaws: list[TdsegError]) -> list[Shot]:
    by_stem = {mask.stem: mask for mask in masks}
    _check_used(by_stem, {image.stem for image in images}, flaws)
    return paired(images, by_stem, masks[0].parent, flaws)


def _check_used(masks: dict[str, Path], stems: set[str], flaws: list[TdsegError]) -> None:
    """Note masks that belong to no image."""
    flaws.extend(
        DataError(f"{mask} has no image", expected=f"an image named {stem}", do="complete or remove it")
        for stem, mask in masks.items()
        if stem not in stems
    )


def _decode(path: Path, wanted: set[int]) -> dict[int, NDArray[np.uint8]]:
    """Those frames of a video, by number; fewer where it ends before."""
    last = max(wanted)
    frames = {}
    with open_video(path) as video:
        for frame in video:
            if frame.index in wanted:
                frames[frame.index] = frame.image
            if frame.index >= last:
                break
    return frames
