"""A training run as one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from tdseg.config import FrozenConfig
from tdseg.data.transforms import Augmentation
from tdseg.errors import ConfigError


class Source(FrozenConfig):
    """One data set of the mixture."""

    data: Literal["camvid", "synthetic"] = Field(description="Kind of data set.")
    root: Path | None = Field(None, description="Folder of the data; synthetic data needs none.")
    weight: float = Field(1.0, gt=0, description="Share of the training clips that are drawn from it, relative.")
    length: int = Field(1, ge=1, description="Frames per clip; 1 = stills, which become clips by camera motion.")

    @model_validator(mode="after")
    def _rooted(self) -> Source:
        if (self.root is None) != (self.data == "synthetic"):
            raise ValueError("root belongs to every kind of data but synthetic")
        return self


class Optimizer(FrozenConfig):
    """AdamW with warm-up and polynomial decay."""

    lr: float = Field(gt=0, description="Peak learning rate of new layers.")
    backbone_lr: float = Field(gt=0, description="Peak learning rate of pretrained layers.")
    weight_decay: float = Field(0.01, ge=0, description="Decay of weights; norms and biases have none.")
    warmup: int = Field(100, ge=0, description="Iterations of linear warm-up.")
    power: float = Field(0.9, gt=0, description="Exponent of the polynomial decay to zero.")
    clip: float = Field(5.0, gt=0, description="Largest gradient norm.")
    ema: float = Field(0.998, ge=0, lt=1, description="Decay of the averaged weights that are evaluated and saved.")


class Losses(FrozenConfig):
    """Weights of the loss terms; cross entropy of the full prediction has weight 1."""

    sub: float = Field(0.5, ge=0, description="Cross entropy of the sub-feature alone, without propagation.")
    aux: float = Field(0.4, ge=0, description="Cross entropy of the auxiliary head.")
    agreement: float = Field(0.0, ge=0, description="Disagreement of successive frames along known camera motion.")
    balance: float = Field(1.10, gt=1, description="c of the class weights 1 / ln(c + share); larger is flatter.")


class Recipe(FrozenConfig):
    """Everything that decides a training run, with the data and the seed."""

    model: str = Field(description="Architecture, as in tdseg.list_models().")
    overrides: dict[str, Any] = Field(default_factory=dict, description="Fields of ModelConfig to override.")
    init: Path | Literal["imagenet"] = Field(description="'imagenet', or a per-frame model trained by tdseg.")
    sources: tuple[Source, ...] = Field(min_length=1, description="Training data.")
    steps: int = Field(ge=1, description="Optimizer steps.")
    batch: int = Field(ge=1, description="Clips per step.")
    length: int = Field(1, ge=1, description="Frames per training clip.")
    augmentation: Augmentation
    optimizer: Optimizer
    losses: Losses = Losses()
    freeze_norm: bool = Field(False, description="Keep the running statistics of batch norm as they are initialised.")
    seed: int = Field(0, description="Seed of initialisation, data order and augmentation.")
    checkpoint_every: int = Field(100, ge=1, description="Steps between checkpoints.")

    @classmethod
    def from_yaml(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            ConfigError: the file is missing, not YAML, or a field is unknown or out of range.
        """
        if not path.is_file():
            raise ConfigError(f"no recipe {path}", expected="a YAML file as in configs/", do="check the path")
        try:
            values = yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not YAML ({error})", expected="a recipe", do="correct the file") from None
        recipe: Recipe = cls.parse(values, where=str(path))
        return recipe
