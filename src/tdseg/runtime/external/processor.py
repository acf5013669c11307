"""What an image processor of Hugging Face does to a picture, as its configuration says; its class is not needed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field, FiniteFloat, model_validator
from torch import Tensor

from tdseg.config import Divisor, FrozenConfig, Side
from tdseg.errors import WeightsError
from tdseg.files import parse_json, read_text

_FILES = (
    ("processor_config.json", "image_processor"),
    ("preprocessor_config.json", None),
    ("processor_config.json", "video_processor"),
    ("video_preprocessor_config.json", None),
)
"""Where the configuration is looked for, in this order: file, and what of it; None: all."""
_UNNORMALISED = "MobileViT"
"""Processors, by the beginning of their name, that by default do not normalise, and turn RGB into BGR."""
_LARGEST = 16384

Triple = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Divisors = tuple[Divisor, Divisor, Divisor]


class Edges(FrozenConfig):
    """Sides of a picture, pixels: both of them, or the shorter, the longer, or both as a limit."""

    height: Side | None = Field(None, description="With width: the size, whatever the aspect of the picture.")
    width: Side | None = Field(None, description="See height.")
    shortest_edge: Side | None = Field(None, description="The shorter side, at the aspect of the picture.")
    longest_edge: Side | None = Field(None, description="What the longer side is at most.")

    @model_validator(mode="after")
    def _consistent(self) -> Edges:
        both = self.height is not None and self.width is not None
        if (self.height is None) != (self.width is None) or both == bool(self.shortest_edge or self.longest_edge):
            raise ValueError("height and width, or shortest_edge, longest_edge or both")
        return self


class ProcessorConfig(FrozenConfig):
    """The part of a processor's configuration that says what a model sees. Fields of other purposes are left."""

    model_config = ConfigDict(extra="ignore")

    do_resize: bool = Field(True, description="Pictures are resized as size says.")
    size: Side | Edges | None = Field(None, description="Size of a picture; a number is a square, or the shorter side.")
    max_size: Side | None = Field(None, description="What the longer side is at most, where size is a number.")
    do_center_crop: bool | None = Field(None, description="Pictures lose their edges; by default with a crop_size.")
    crop_size: Side | Edges | None = Field(None, description="Size of what is left then.")
    keep_aspect_ratio: bool = Field(False, description="Height and width are scaled alike, by what changes them less.")
    ensure_multiple_of: int = Field(1, ge=1, le=1024, description="Sides are multiples of it, the nearest ones.")
    size_divisor: int = Field(1, ge=0, le=1024, description="Sides are multiples of it, the next larger ones.")
    do_rescale: bool = Field(True, description="Values 0..255 are multiplied by rescale_factor.")
    rescale_factor: Divisor = Field(1 / 255, description="See do_rescale.")
    do_normalize: bool = Field(True, description="Values lose image_mean and are divided by image_std.")
    image_mean: Triple | None = Field(None, description="By channel, of rescaled values.")
    image_std: Divisors | None = Field(None, description="By channel, of rescaled values.")
    do_flip_channel_order: bool = Field(False, description="The model takes BGR.")

    @model_validator(mode="after")
    def _consistent(self) -> ProcessorConfig:
        if self.do_normalize and (self.image_mean is None or self.image_std is None):
            raise ValueError("image_mean and image_std, or do_normalize of false")
        return self

    def normalization(self) -> tuple[Tensor, Tensor]:
        """Mean and std, (3, 1, 1), of channels in 0..255, in the model's order."""
        factor = self.rescale_factor if self.do_rescale else 1.0
        mean, std = (self.image_mean, self.image_std) if self.do_normalize else (None, None)
        values = torch.tensor([mean or (0.0,) * 3, std or (1.0,) * 3], dtype=torch.float64) / factor
        shift, scale = values.float()[:, :, None, None]
        return shift, scale

    def fit(self, frame: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) at which the model sees a frame, whole, pixels.

        What a center crop would leave is the size of the frame instead, at its own aspect: a crop has no mask of what
        it lost.

        Args:
            frame: (height, width), pixels.
        """
        size = _scaled(frame, self._edges(), self.keep_aspect_ratio) if self.do_resize else frame
        divisor, multiple = self.size_divisor or 1, self.ensure_multiple_of
        height, width = (min(max(side, 1), _LARGEST) for side in size)
        height, width = (math.ceil(round(side / multiple) * multiple / divisor) * divisor for side in (height, width))
        return max(height, multiple), max(width, multiple)

    def _edges(self) -> Edges | None:
        crop = self.crop_size if self.do_center_crop is not False else None
        if isinstance(crop, int):
            return Edges(shortest_edge=crop)
        if crop is not None:
            sides = [side for side in (crop.height, crop.width, crop.shortest_edge) if side]
            return Edges(shortest_edge=min(sides)) if sides else crop
        if isinstance(self.size, int):
            # A limit to the longer side goes with a size of the shorter one: so detectors have it.
            by_edge = Edges(shortest_edge=self.size, longest_edge=self.max_size)
            return by_edge if self.max_size else Edges(height=self.size, width=self.size)
        return self.size


def _scaled(frame: tuple[int, int], edges: Edges | None, keep_aspect: bool) -> tuple[int, int]:
    """(height, width) of a frame, resized."""
    if edges is None:
        return frame
    if edges.height and edges.width:
        if not keep_aspect:
            return edges.height, edges.width
        scale = min((edges.width / frame[1], edges.height / frame[0]), key=lambda scale: abs(1 - scale))
    else:
        scale = edges.shortest_edge / min(frame) if edges.shortest_edge else math.inf
        scale = min(scale, edges.longest_edge / max(frame) if edges.longest_edge else math.inf)
    return round(scale * frame[0]), round(scale * frame[1])


def read_processor(folder: Path, name: str) -> ProcessorConfig:
    """The configuration of a model's processor.

    Args:
        folder: of `save_pretrained`.
        name: for errors.

    Raises:
        WeightsError: there is none, or it cannot be read.
        ConfigError: a value in it is of no use.
    """
    for file, part in _FILES:
        if not os.path.isfile(folder / file):
            continue
        values = read_json(folder / file, name)
        found = values if part is None else values.get(part)
        if not isinstance(found, dict):
            continue
        kind = str(found.get("image_processor_type") or found.get("feature_extractor_type") or "")
        plain = kind.startswith(_UNNORMALISED)
        known = {"do_normalize": not plain, "do_flip_channel_order": plain}
        # Processors write null for what they leave to their defaults.
        return ProcessorConfig.parse(
            known | {key: value for key, value in found.items() if value is not None}, where=f"{name}, {file}"
        )
    raise WeightsError(
        f"{name}: no configuration of its image processor",
        expected="preprocessor_config.json beside config.json: how pictures are resized and normalised",
        do="save the processor, too, with save_pretrained, or copy its file from where the model is from",
    )


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file of a model.

    Raises:
        WeightsError: it cannot be read, or is something else.
    """
    try:
        values = parse_json(read_text(path))
        why = "" if isinstance(values, dict) else f"is a {type(values).__name__}"
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "is not JSON"
    if why:
        raise WeightsError(
            f"{name}: {path.name}: {why}",
            expected="a JSON object, as save_pretrained writes it",
            do="download or save it again",
        )
    return dict(values)
