"""NET.yaml, beside NET.onnx: what a graph of others does not say of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, model_validator

from tdseg.config import MIN_SIZE, Byte, Divisor, FrozenConfig, Offset
from tdseg.errors import ConfigError
from tdseg.files import read_fields, read_text, write_whole

Layout = Literal["NCHW", "NHWC"]
_Side = Annotated[int, Field(ge=MIN_SIZE, le=16384)]


class OnnxDescription(FrozenConfig):
    """The fields of NET.yaml. What the graph itself tells need not be written, and must not be contradicted."""

    input: str | None = Field(None, description="Name of the graph's input, of which it has one: the image.")
    layout: Layout | None = Field(None, description="Axes of the input; told by the one that is 3.")
    channels: Literal["RGB", "BGR"] = Field("RGB", description="Order of the input's channels.")
    range: Literal["0..255", "0..1"] | None = Field(
        None, description="Values of a picture as the network takes it, before mean and std; uint8 graphs have 0..255."
    )
    mean: tuple[Offset, Offset, Offset] = Field(
        (0, 0, 0), description="Subtracted from the picture, in units of `range` and in the order of `channels`."
    )
    std: tuple[Divisor, Divisor, Divisor] = Field(
        (1, 1, 1), description="Divisor after the mean, in units of `range` and in the order of `channels`."
    )
    size: tuple[_Side, _Side] | None = Field(
        None,
        description="(height, width) of the input, pixels, where the graph takes several; none: that of the frames, to "
        "the nearest multiples of 32.",
    )
    output: str | None = Field(
        None, description="Name of the output that is the segmentation, where there are several."
    )
    output_layout: Layout | None = Field(
        None, description="Axes of the output; NCHW unless the input is NHWC, where it must be said."
    )
    kind: Literal["scores", "indices"] | None = Field(
        None, description="The output holds scores of all classes, or class indices; told by its type and axes."
    )
    num_classes: int | None = Field(None, ge=2, le=255, description="Needed with indices, unless classes are named.")
    classes: tuple[str, ...] = Field((), max_length=255, description="Class names by index; empty where unknown.")
    palette: tuple[tuple[Byte, Byte, Byte], ...] = Field(
        (), max_length=255, description="RGB colour of each class; empty for a default."
    )

    @model_validator(mode="after")
    def _consistent(self) -> OnnxDescription:
        counts = {"num_classes": self.num_classes, "classes": len(self.classes), "palette": len(self.palette)}
        given = {name: count for name, count in counts.items() if count}
        if len(set(given.values())) > 1:
            raise ValueError(f"as many of each, not {', '.join(f'{name}: {count}' for name, count in given.items())}")
        return self

    @property
    def count(self) -> int | None:
        """Of classes, if anything here says so."""
        return self.num_classes or len(self.classes) or len(self.palette) or None


_SIGNED = "# Written by tdseg export, with the graph beside it.\n"


def yaml_beside(graph: Path) -> Path:
    """The file that describes a graph."""
    return graph.with_suffix(".yaml")


def read_description(path: Path) -> OnnxDescription:
    """The description in a file; an empty one where there is no file.

    Raises:
        ConfigError: it is not YAML, or a field is unknown, wrong, or contradicts another.
    """
    if not os.path.exists(path):
        return OnnxDescription()
    expected = f"fields of {', '.join(OnnxDescription.model_fields)}"
    values = read_fields(path, ConfigError, expected=expected, do="correct the file, or remove it to see what it lacks")
    return OnnxDescription.parse(values, where=str(path))


def write_description(description: OnnxDescription, path: Path) -> None:
    """Write the fields that say something, and that it was us."""
    values = description.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    write_whole(path, _SIGNED + text)


def is_written(path: Path) -> bool:
    """Whether a description is of `write_description`, and not of the user."""
    try:
        return read_text(path).startswith(_SIGNED)
    except (OSError, ValueError):
        return False
