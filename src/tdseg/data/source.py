"""Which data a run draws from, as a part of its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tdseg.config import FrozenConfig
from tdseg.data.clip import ClipDataset

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


def open_source(source: Source) -> ClipDataset:
    """The data set that a source names.

    Raises:
        DataError: it is not there, or not in the layout that its kind has.
    """
    if source.data == "camvid":
        from tdseg.data.camvid import CamVid

        assert source.root is not None, "Source guarantees it"
        return CamVid(source.root, source.split, length=source.length)  # type: ignore[arg-type]
    from tdseg.data.street import StreetClips

    return StreetClips(length=source.length)
