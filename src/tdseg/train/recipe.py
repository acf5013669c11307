"""A training run as one YAML file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from tdseg.config import LARGE, FrozenConfig, Weight
from tdseg.data.source import MOST_FRAMES, Source
from tdseg.data.transforms import MOST_SCALES, Augmentation, Zoom
from tdseg.train.values import assign, merge, read_values

MOST_STEPS, MOST_CLIPS = 1_000_000_000, 65_536
"""Of a run, and of a batch."""
_TEMPORAL = (
    "weight_sets",
    "views",
    "groups",
    "propagation",
    "motion",
    "d_k",
    "d_v",
    "memory_stride",
    "norm",
    "norm_size",
)
"""Overrides of a TDNet that its per-frame model does not take."""


class Optimizer(FrozenConfig):
    """The optimizer with its schedule: warm-up, then polynomial decay to zero."""

    kind: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with momentum.")
    lr: float = Field(gt=0, le=100, description="Peak learning rate of new layers.")
    backbone_lr: float | None = Field(
        None, gt=0, le=100, description="Peak learning rate of pretrained layers; None: lr."
    )
    weight_decay: float = Field(0.01, ge=0, le=100, description="Decay of weights; norms and biases have none.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Of SGD.")
    warmup: int = Field(
        100, ge=0, le=MOST_STEPS, description="Steps of warm-up; the next one has the peak rate, and the decay begins."
    )
    warmup_lr: float | None = Field(
        None, gt=0, le=100, description="Rate that an exponential warm-up starts from; None: linear from zero."
    )
    power: float = Field(0.9, gt=0, le=100, description="Exponent of the polynomial decay.")
    clip: float | None = Field(5.0, gt=0, le=LARGE, description="Largest gradient norm; None: any.")
    ema: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="Decay of the averaged weights that are evaluated and saved; less in the first steps, so that the "
        "start has no share.",
    )


class Losses(FrozenConfig):
    """Weights of the loss terms; cross entropy of the full prediction has weight 1."""

    sub: Weight = Field(0.5, description="Cross entropy of the sub-feature alone, without propagation.")
    aux: Weight = Field(0.4, description="Cross entropy of the auxiliary head.")
    lovasz: Weight = Field(0.0, description="Lovász-softmax of the full prediction.")
    agreement: Weight = Field(0.0, description="Disagreement of successive frames along known camera motion.")
    balance: float | None = Field(
        1.10,
        gt=1,
        le=LARGE,
        description="c of the class weights 1 / ln(c + share); larger is flatter; None: no weights.",
    )
    ohem: float | None = Field(
        None, gt=0, lt=1, description="Count only pixels whose true class has less than this probability; None: all."
    )
    ohem_least: float = Field(
        1 / 16,
        gt=0,
        le=1,
        description="Share of the pixels that OHEM counts at least: of all of a frame, but of no more than twice those "
        "with labels.",
    )


class Distillation(FrozenConfig):
    """Terms that a frozen teacher adds to the loss."""

    teacher: str = Field(
        description="'per-frame' for the model of this run's first stage, packaged weights, a .safetensors file, or "
        "'hf://org/name' for a segmentation model of Hugging Face."
    )
    full: Weight = Field(1.0, description="Weight of KL(teacher || full prediction).")
    sub: Weight = Field(0.5, description="Weight of KL(teacher's group || sub-feature alone).")
    grouped: bool = Field(
        True, description="Each path learns from its own group of the teacher's channels; otherwise from all of them."
    )
    scaled: bool = Field(
        True, description="A group's answer is scaled by the number of groups, as the official teacher of 4 is."
    )
    temperature: float = Field(1.0, ge=0.01, le=1000, description="Divisor of both sides' logits.")
    scales: tuple[Zoom, ...] = Field(
        (1.0,), min_length=1, max_length=MOST_SCALES, description="The teacher's answers at these zooms are averaged."
    )
    flip: bool = Field(False, description="They are averaged with those on the mirrored frames, too.")


class Recipe(FrozenConfig):
    """Everything that decides a training run, with the data and the seed."""

    model: str = Field(description="Architecture, as in tdseg.list_models().")
    overrides: dict[str, Any] = Field(default_factory=dict, description="Fields of ModelConfig to override.")
    init: str = Field(
        "imagenet",
        description="'imagenet', 'none', packaged weights, or a .safetensors file: of the same model, or of the "
        "per-frame model of its sub-network.",
    )
    per_frame: dict[str, Any] | None = Field(
        None,
        description="A first stage: fields of the recipe of a per-frame model, over those of this recipe. It is "
        "trained in the folder per-frame of the run, and takes the place of init.",
    )
    sources: tuple[Source, ...] = Field(min_length=1, description="Training data.")
    validation: Source | None = Field(None, description="Data to evaluate on during training and at its end.")
    evaluate_every: int | None = Field(
        None, ge=1, le=MOST_STEPS, description="Steps between evaluations; None: at the end alone."
    )
    steps: int = Field(ge=1, le=MOST_STEPS, description="Optimizer steps.")
    batch: int = Field(
        ge=1,
        le=MOST_CLIPS,
        description="Clips per step, over all processes. Networks that pool to one position, as PSPNet does, need two "
        "at a time, or freeze_norm.",
    )
    accumulate: int = Field(
        1,
        ge=1,
        le=MOST_CLIPS,
        description="Parts that a batch is cut into, one after the other, to save memory. Labels count as in the whole "
        "batch; batch norm, OHEM and Lovász-softmax see a part at a time.",
    )
    length: int = Field(
        1,
        ge=1,
        le=MOST_FRAMES,
        description="Frames per training clip; with attention as many as the model has paths, or more.",
    )
    score: Literal["last", "all"] = Field(
        "last",
        description="Frames of a clip that the loss counts; 'last' is the paper's. Of 'all', the first m-1 are before "
        "the memory is whole.",
    )
    augmentation: Augmentation
    optimizer: Optimizer
    losses: Losses = Losses()
    distill: Distillation | None = Field(None, description="Learn from a teacher, too.")
    freeze_norm: bool = Field(
        False,
        description="Keep the running statistics of batch norm as they are initialised; those of attention's "
        "queries and keys, which have none in a first run, stay live.",
    )
    freeze_subnet: bool = Field(False, description="Train what merges and classifies, not the sub-networks.")
    dropout: float = Field(0.1, ge=0, lt=1, description="In the head, on attention weights and on what a hop gives.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field("32-true", description="Of the computation.")
    checkpoint_activations: bool = Field(False, description="Compute sub-networks twice, to save memory.")
    compile: bool = Field(False, description="Compile the sub-networks with torch.compile.")
    workers: int = Field(0, ge=0, le=256, description="Processes that load clips ahead; 0: none.")
    cache: Literal["none", "memory", "device"] = Field(
        "memory",
        description="Where decoded clips stay: nowhere, in each process that loads them, or on the device. They fill "
        "half of the free memory at most, all processes together; the others are read again.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of initialisation, data order and augmentation.")
    checkpoint_every: int = Field(100, ge=1, le=MOST_STEPS, description="Steps between checkpoints.")

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.batch % self.accumulate:
            raise ValueError(f"batch={self.batch} cannot be cut into accumulate={self.accumulate} equal parts")
        if odd := [source.length for source in self.sources if source.length not in (1, self.length)]:
            raise ValueError(f"sources give clips of length {odd[0]}, not of 1 or of length={self.length}")
        if self.distill and self.distill.teacher == "per-frame" and self.per_frame is None:
            raise ValueError("distill.teacher='per-frame' needs per_frame, the first stage")
        agreement = self.losses.agreement
        if agreement and (self.length == 1 or self.score == "last"):
            raise ValueError(
                f"losses.agreement={agreement:g} compares the frames of a clip: it needs score='all' and length of 2 "
                f"or more, not score={self.score!r} and length={self.length}"
            )
        if agreement and all(source.length > 1 for source in self.sources):
            raise ValueError(
                f"losses.agreement={agreement:g} compares stills made clips, whose motion is known: it needs one of "
                f"sources with length=1, and all have length={self.length}"
            )
        if self.cache == "device" and self.workers:
            raise ValueError("cache='device' keeps clips in the training process: workers must be 0")
        return self

    @classmethod
    def from_yaml(cls, path: Path, flags: Sequence[str] = ()) -> Recipe:
        """Read a recipe.

        Args:
            path: YAML file of the fields; `base: FILE` in it names another, relative to it, whose fields it changes.
            flags: fields as on the command line, such as ["--optimizer.lr", "0.005"], over those of the file.

        Raises:
            ConfigError: the file is missing, not YAML, or a field is unknown or out of range.
        """
        values = read_values(path)
        assign(values, flags, cls)
        return cls.parse(values, where=f"{path} with {shlex.join(flags)}" if flags else str(path))

    def first_stage(self) -> Recipe:
        """The recipe of the first stage: `per_frame` over those fields of this recipe that a per-frame model has.

        Raises:
            ConfigError: a field is unknown or does not fit.
        """
        assert self.per_frame is not None, "the caller asks"
        values = self.model_dump(mode="json", exclude_unset=True)
        model = self.model.partition("-")[2] or self.model
        values |= {"model": model, "length": 1, "per_frame": None, "distill": None}
        values["overrides"] = {name: value for name, value in self.overrides.items() if name not in _TEMPORAL}
        values["sources"] = [source | {"length": 1} for source in values["sources"]]
        values["losses"] = values.get("losses", {}) | {"agreement": 0}
        return Recipe.parse(merge(values, self.per_frame), where="per_frame")
