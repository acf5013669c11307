"""Model configuration: validated, immutable, stored inside every checkpoint."""

from __future__ import annotations

import math
import reprlib
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from tdseg.errors import ConfigError, shortened

MIN_SIZE = 64
"""Height and width of a network's input at least, pixels."""
MOST_CHANNELS = 4096
_SHORT = reprlib.Repr()
"""A few lines in YAML, whose anchors stand for others, can hold more than all memory when they are written out."""
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxtuple, _SHORT.maxdict, _SHORT.maxstring = 3, 12, 12, 12, 200
Side = Annotated[int, Field(ge=1, le=16384)]
LARGE = 1_000_000
"""What no weight, mean or divisor in use comes near."""
Divisor = Annotated[float, Field(ge=1 / LARGE, le=LARGE)]
Offset = Annotated[float, Field(ge=-LARGE, le=LARGE)]
Weight = Annotated[float, Field(ge=0, le=LARGE)]
Byte = Annotated[int, Field(ge=0, le=255)]


class FrozenConfig(BaseModel):
    """Base of all configurations: immutable, unknown keys refused, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _without_null_bytes(cls, value: Any) -> Any:
        if isinstance(value, str | PurePath) and "\0" in str(value):  # of which no file can have the name
            raise ValueError("a text without null bytes")
        return value

    @classmethod
    def parse(cls, values: dict[str, Any], *, where: str) -> Self:
        """Validate `values`; `where` names their origin in the error.

        Raises:
            ConfigError: a value is missing, unknown, of the wrong type, or contradicts another.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = shortened(".".join(map(str, first["loc"])), 200) or "the combination of fields"
            got = f"{field} is missing" if first["type"] == "missing" else f"{field} = {_SHORT.repr(first['input'])}"
            known = f"; {cls.__name__} knows {', '.join(cls.model_fields)}" if len(first["loc"]) < 2 else ""
            raise ConfigError(
                f"{where}: {got if first['loc'] else 'contradicting fields'}",
                expected=first["msg"].removeprefix("Value error, "),
                do=f"correct {field}{known}",
            ) from None


class FrameView(FrozenConfig):
    """How a path sees the frames. Its scores are brought back to the frame as it is."""

    zoom: float = Field(1.0, ge=0.25, le=4, description="Side of what it sees, over that of the frame.")
    mirror: bool = Field(False, description="It sees the frame mirrored, left to right.")


PLAIN = FrameView()
"""The frame as it is."""


class ModelConfig(FrozenConfig):
    """Everything needed to build a TDNet again, without its weights."""

    name: str = Field(description="Name of the architecture, as listed by tdseg.list_models().")
    subnet: str = Field(
        description="Kind of sub-network that turns an image into a sub-feature map z; 'custom' is the user's own."
    )
    paths: int = Field(ge=1, le=16, description="Number of paths m that take turns; 1 is a per-frame model.")
    weight_sets: int | None = Field(
        None,
        ge=1,
        le=16,
        description="Number of sets of weights, which the paths have in turn: 1 serves them all. None: one for each.",
    )
    views: tuple[FrameView, ...] = Field(
        (), description="Consensus: how the paths see the frames, in turn. None given: as they are."
    )
    groups: int = Field(
        1,
        ge=1,
        le=16,
        description="Channel groups g of the psp sub-networks: path p keeps the (p mod g)-th of g equal parts of the "
        "pyramid's channels.",
    )
    num_classes: int = Field(ge=1, le=255, description="Number of classes; 255 is left free for 'ignore'.")
    classes: tuple[str, ...] = Field((), description="Class names by index; empty where unknown.")
    palette: tuple[tuple[Byte, Byte, Byte], ...] = Field(
        (), description="RGB colour of each class; empty for a default."
    )
    size: tuple[Side, Side] = Field(description="Default (height, width) of the network's input, pixels.")
    mean: tuple[Offset, Offset, Offset] = Field(description="RGB mean subtracted from images in 0..255.")
    std: tuple[Divisor, Divisor, Divisor] = Field(description="RGB divisor after the mean, in units of 0..255.")
    d_k: int = Field(64, ge=1, le=MOST_CHANNELS, description="Channels of queries and keys.")
    d_v: int = Field(128, ge=1, le=MOST_CHANNELS, description="Channels of values; also what the head reads.")
    head: Literal["separable", "conv", "leaky"] = Field(
        "separable",
        description="3x3 convolution of the head: depthwise-separable, plain, or plain with LeakyReLU and no bias "
        "at the classes (FANet).",
    )
    head_channels: int = Field(128, ge=1, le=MOST_CHANNELS, description="Hidden channels of the head.")
    head_upscale: int = Field(
        1,
        ge=1,
        le=4,
        description="Sub-pixel factor: the head gives logits on a grid this much finer than its features.",
    )
    propagation: str = Field(
        "attention",
        description="How frames are brought together: by the paper's attention, or by the consensus of their class "
        "scores along the motion of the picture.",
    )
    motion: Literal["matching", "dis"] = Field(
        "matching",
        description="Consensus: the motion of the picture is found by matching blocks, in every runtime, or by "
        "OpenCV's dense inverse search, in torch only.",
    )
    memory_stride: int = Field(4, ge=1, le=64, description="Spatial subsampling n of what later frames keep.")
    norm: Literal["layer", "instance", "none"] = Field(
        "none",
        description="Normalisation of the merged features over the spatial axes: 'layer' has an affine of shape (h, w) "
        "as the paper, 'instance' one per channel, 'none' is the identity.",
    )
    norm_size: tuple[Side, Side] | None = Field(None, description="Stored (h, w) of the 'layer' norm's affine.")

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        for field in ("classes", "palette"):
            length = len(getattr(self, field))
            if length not in (0, self.num_classes):
                raise ValueError(f"{field} has {length} entries but num_classes is {self.num_classes}")
        if (self.norm == "layer") != (self.norm_size is not None):
            raise ValueError("norm_size belongs to norm='layer', and norm='layer' needs it")
        for field, count in (("weight_sets", self.distinct_paths), ("views", len(self.views) or 1)):
            if self.paths % count:
                raise ValueError(f"{field} of {count} for paths={self.paths}, which it does not divide")
        if self.groups > self.distinct_paths:
            raise ValueError(
                f"groups={self.groups} needs as many paths with weights of their own; paths is {self.paths}, "
                f"weight_sets {self.weight_sets}"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of all classes: "class 3" where they are unknown."""
        return self.classes or tuple(f"class {index}" for index in range(self.num_classes))

    @property
    def distinct_paths(self) -> int:
        """Number of paths with weights of their own: m, unless paths share them."""
        return self.weight_sets or self.paths

    @property
    def turns(self) -> int:
        """Number of frames after which weights and view come again."""
        return math.lcm(self.distinct_paths, len(self.views) or 1)

    def view(self, path: int) -> FrameView:
        """How path number `path` sees the frames."""
        return self.views[path % len(self.views)] if self.views else PLAIN


_RETIRED = frozenset({"warmup", "reach", "shared_paths"})
"""Fields that files of earlier versions name."""


def without_retired(values: Any) -> Any:
    """The fields of a stored ModelConfig as this version has them."""
    if not isinstance(values, dict):
        return values
    known = {key: values[key] for key in values if key not in _RETIRED}
    return known | {"weight_sets": 1} if values.get("shared_paths") else known


StoredModelConfig = Annotated[ModelConfig, BeforeValidator(without_retired)]
"""A ModelConfig as files hold it."""
