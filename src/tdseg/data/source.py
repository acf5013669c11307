"""Which data a run draws from, as a part of its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tdseg.config import FrozenConfig
from tdseg.data.clip import ClipDataset
from tdseg.errors import DataError

Step = Annotated[int, Field(ge=1, le=1000)]


class Source(FrozenConfig):
    """One data set of a mixture."""

    data: Literal["camvid", "cityscapes", "nyudv2", "folder", "synthetic"] = Field(description="Kind of data set.")
    root: Path | None = Field(None, description="Folder of the data; synthetic data needs none.")
    split: str = Field("train", description="Part of the data set, by the data set's own name for it.")
    weight: float = Field(1.0, gt=0, description="Share of the training clips that are drawn from it, relative.")
    length: int = Field(1, ge=1, description="Frames per clip; 1 = stills, which become clips by camera motion.")
    step: tuple[Step, Step] = Field(
        (1, 1), description="Least and most frames from one frame of a clip to the next; drawn anew for every pair."
    )
    num_classes: int | None = Field(
        None, ge=1, le=255, description="Which label set, where the data set has several: camvid has 11 and 32."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if (self.root is None) != (self.data == "synthetic"):
            raise ValueError("root belongs to every kind of data but synthetic")
        if self.step[0] > self.step[1]:
            raise ValueError(f"step={list(self.step)} runs backwards; give the least first")
        return self


def open_source(source: Source, *, strict: bool = True) -> ClipDataset:
    """The data set that a source names.

    Args:
        source: kind, place and clips.
        strict: refuse data of which something is missing; otherwise it is left out, and said in `ClipDataset.flaws`.

    Raises:
        DataError: it is not there, not in the layout that its kind has, has another number of classes, or, with
            `strict`, something is missing.
    """
    data = _open(source, strict)
    if source.num_classes not in (None, len(data.classes)):
        raise DataError(
            f"num_classes {source.num_classes} for {data.name}",
            expected=f"{len(data.classes)}, the classes it has",
            do="leave num_classes out; camvid alone has several label sets",
        )
    return data


def _open(source: Source, strict: bool) -> ClipDataset:
    length, step = source.length, source.step
    if source.root is None:
        from tdseg.data.street import StreetClips

        return StreetClips(source.split, length=length, step=step)
    if source.data == "camvid":
        from tdseg.data.camvid import CamVid

        classes = source.num_classes or 11
        return CamVid(source.root, source.split, length=length, step=step, num_classes=classes, strict=strict)
    if source.data == "cityscapes":
        from tdseg.data.cityscapes import Cityscapes

        return Cityscapes(source.root, source.split, length=length, step=step, strict=strict)
    if source.data == "nyudv2":
        from tdseg.data.nyudv2 import NYUDv2

        return NYUDv2(source.root, source.split, length=length, step=step, strict=strict)
    from tdseg.data.folder import Folder

    return Folder(source.root, source.split, length=length, step=step, strict=strict)
