"""The data that a run draws from, as a part of its recipe, and the kinds there are."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tdseg.config import LARGE, FrozenConfig

if TYPE_CHECKING:
    from tdseg.data.clip import ClipDataset

KINDS = {
    "camvid": "tdseg.data.camvid:CamVid",
    "cityscapes": "tdseg.data.cityscapes:Cityscapes",
    "nyudv2": "tdseg.data.nyudv2:NYUDv2",
    "folder": "tdseg.data.folder:Folder",
    "synthetic": "tdseg.data.rendered:StreetClips",
}
"""Module and class of each kind of data set, which is called as `tracks.TrackClips` is. A new kind is a line here."""


def _registered(kind: str) -> str:
    if kind not in KINDS:
        *first, last = map(repr, KINDS)
        raise PydanticCustomError("kind", f"Input should be {', '.join(first)} or {last}")
    return kind


MOST_FRAMES = 1000
"""Of a training clip."""
Gap = Annotated[int, Field(ge=1, le=1000)]
Kind = Annotated[str, AfterValidator(_registered), Field(json_schema_extra={"enum": [*KINDS]})]


class Source(FrozenConfig):
    """One data set of a mixture."""

    data: Kind = Field(description="Kind of data set.")
    root: Path | None = Field(
        None, description="Folder of the data; synthetic data needs none, and keeps there what it renders."
    )
    split: str = Field("train", description="Part of the data set, by the data set's own name for it.")
    weight: float = Field(
        1.0,
        ge=1 / LARGE,
        le=LARGE,
        description="Share of the training clips that are drawn from it, relative; each of its clips comes once before "
        "one comes again.",
    )
    length: int = Field(
        1, ge=1, le=MOST_FRAMES, description="Frames per clip; 1 = stills, which become clips by camera motion."
    )
    step: tuple[Gap, Gap] = Field(
        (1, 1), description="Least and most frames from one frame of a clip to the next; drawn anew for every pair."
    )
    num_classes: int | None = Field(
        None, ge=1, le=255, description="Which label set, where the data set has several: camvid has 11 and 32."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if self.root is None and self.data != "synthetic":
            raise ValueError("every kind of data but synthetic needs a root")
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
    module, _, name = KINDS[source.data].partition(":")
    dataset: ClipDataset = getattr(import_module(module), name)(
        source.root,
        source.split,
        length=source.length,
        step=source.step,
        num_classes=source.num_classes,
        strict=strict,
    )
    return dataset
