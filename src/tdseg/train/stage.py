"""The stages of a run: all that they need is opened, and seen to fit, before the first is trained."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric

from tdseg.data.clip import ClipDataset
from tdseg.errors import ConfigError
from tdseg.files import check_folder
from tdseg.masks.classes import class_difference
from tdseg.measure.evaluate import open_evaluation
from tdseg.models.propagation import kind_of
from tdseg.models.tdnet import TDNet
from tdseg.system import free_memory
from tdseg.train.checkpoints import CHECKPOINTS, check_same_run, latest_checkpoint
from tdseg.train.init import check_start
from tdseg.train.mixture import Mixture
from tdseg.train.recipe import Recipe
from tdseg.train.teacher import Teacher, load_teacher, make_teacher
from tdseg.train.trainer import make_fabric, make_network
from tdseg.train.watch import Watcher
from tdseg.zoo import catalog
from tdseg.zoo.checkpoint import WEIGHTS

_LEAST_BYTES = 24
"""For each pixel that a step trains on: floats of its channels, twice."""
PER_FRAME = "per-frame"
"""Folder of the first stage in that of the run."""


class TrainingStage:
    """A stage of a run, ready to be trained but for what an earlier one leaves.

    Args:
        recipe: of this stage alone.
        output: its folder.
        init: what it starts from.
        watchers: told of it, where this is the first process.
        before: the stage whose model this one starts from, if that is still to be trained.
        resume: go on from the newest checkpoint.

    Attributes:
        fabric: of this process.
        watchers: those to tell in this process.
        places: in each batch, that this process trains on.
        checkpoint: to go on from; None: start.
        mixture: of the training data.
        network: untrained.
        shares: (C,) of the classes among the data's labelled pixels.
        validation: to evaluate on, in the first process.
        teacher: None where there is none, and where it is the model of the stage before.

    Raises:
        ConfigError, DataError, WeightsError: see `fit`.
    """

    def __init__(
        self,
        recipe: Recipe,
        output: Path,
        init: str,
        watchers: Sequence[Watcher],
        before: TrainingStage | None,
        *,
        resume: bool,
    ) -> None:
        self.recipe, self.output, self.init = recipe, output, init
        self.fabric = make_fabric(recipe.precision)
        self.watchers = watchers if self.fabric.is_global_zero else ()
        self.places = _share(recipe, self.fabric)
        self.checkpoint = self._newest() if resume else None
        self.mixture = Mixture(
            recipe.sources, recipe.seed, recipe.cache, self.fabric.device, _room(recipe, self.fabric)
        )
        self.network = make_network(recipe, self.mixture)
        self.validation = _validation(recipe, self.network) if self.fabric.is_global_zero else None
        if before is not None:
            check_start(self.network, before.network, "per_frame")
        self.teacher = self._teacher(before)
        self.shares = self.mixture.class_shares() if recipe.losses.balance else torch.ones(len(self.mixture.classes))

    def warn(self, message: str) -> None:
        """Tell the watchers; in other processes than the first, standard error."""
        for watcher in self.watchers:
            watcher.warn(message)
        if not self.fabric.is_global_zero:
            print(f"process {self.fabric.global_rank}: {message}", file=sys.stderr)

    def _newest(self) -> dict[str, Any] | None:
        """The checkpoint to go on from, as the first process finds it; the same in all processes."""
        found = latest_checkpoint(self.output / CHECKPOINTS, self.warn) if self.fabric.is_global_zero else None
        checkpoint: dict[str, Any] | None = self.fabric.broadcast(found)
        if checkpoint is not None:
            check_same_run(checkpoint, self.recipe, self.output)
        return checkpoint

    def _teacher(self, before: TrainingStage | None) -> Teacher | None:
        config, student = self.recipe.distill, self.network.config
        if config is None:
            return None
        if config.teacher == "per-frame" and before is not None:
            with torch.device("meta"):  # it is to come: all but its weights is known
                make_teacher(config, student, TDNet(before.network.config), "per-frame")
            return None
        return load_teacher(config, student, per_frame=Path(self.init), device=self.fabric.device)


def open_stages(recipe: Recipe, output: Path, watchers: Sequence[Watcher], *, resume: bool) -> list[TrainingStage]:
    """The stages of a run that are still to be trained, in order; see `fit` for arguments and errors."""
    stages = [(recipe, output, recipe.init)]
    if recipe.per_frame is not None:
        first, folder = recipe.first_stage(), output / PER_FRAME
        stages = [(first, folder, first.init), (recipe, output, str(folder / WEIGHTS))]
    for stage, folder, _ in stages:
        if not resume and (os.path.exists(folder / CHECKPOINTS) or os.path.exists(folder / WEIGHTS)):
            raise ConfigError(f"{folder} holds a run", expected="an empty folder", do="add --resume or choose another")
        _check_length(stage)
    opened: list[TrainingStage] = []
    for stage, folder, init in stages:
        if folder == output or not os.path.isfile(folder / WEIGHTS):  # no finished first stage
            before = opened[-1] if opened else None
            opened.append(TrainingStage(stage, folder, init, watchers, before, resume=resume))
    for _, folder, _ in stages:
        check_folder(folder)
    return opened


def _check_length(recipe: Recipe) -> None:
    """Refuse clips in which no frame meets the memory that a propagation with weights of its own needs.

    Consensus has none to train, and counts what there is: it may have shorter clips.
    """
    config = catalog.model_config(recipe.model, **recipe.overrides | {"classes": (), "palette": ()})
    m, length = config.paths, recipe.length
    with torch.device("meta"):
        learns = any(True for _ in kind_of(config)(config).parameters())
    if learns and length < m:
        other = config.subnet if length == 1 else f"td{length}-{config.subnet}"
        raise ConfigError(
            f"length={length} for {recipe.model}, which has paths={m} by its name",
            expected=f"length of {m} or more: {config.propagation} begins at a frame that {m - 1} others precede, and "
            "nothing of it is trained by shorter clips",
            do=f"set length to {m}, and that of sources that are clips; or choose {other}",
        )


def _share(recipe: Recipe, fabric: Fabric) -> range:
    """The places in each batch that this process trains on."""
    world = fabric.world_size
    if recipe.batch % (world * recipe.accumulate):
        raise ConfigError(
            f"batch={recipe.batch} for {world} processes and accumulate={recipe.accumulate}",
            expected=f"a multiple of {world * recipe.accumulate}",
            do="change batch or accumulate",
        )
    size = recipe.batch // world
    least = _LEAST_BYTES * recipe.length * math.prod(recipe.augmentation.crop) * (size // recipe.accumulate)
    free = torch.cuda.mem_get_info(fabric.device)[0] if fabric.device.type == "cuda" else free_memory()
    if free is not None and least > free:
        raise ConfigError(
            f"batch={recipe.batch} of length={recipe.length} and crop={list(recipe.augmentation.crop)}, "
            f"which takes over {least >> 20} MiB",
            expected=f"what fits into the memory that is free, {free >> 20} MiB",
            do="lower batch, length or crop, or cut the batch into parts by accumulate",
        )
    return range(fabric.global_rank * size, (fabric.global_rank + 1) * size)


def _room(recipe: Recipe, fabric: Fabric) -> int | None:
    """Bytes for decoded clips in each process that loads them: half of the free memory for all of them."""
    if recipe.cache == "device" and fabric.device.type == "cuda":
        return torch.cuda.mem_get_info(fabric.device)[0] // 2
    free = free_memory()
    loading = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) * max(1, recipe.workers)
    return None if free is None else free // (2 * loading)


def _validation(recipe: Recipe, network: TDNet) -> ClipDataset | None:
    """The data to evaluate on; refused now rather than after hours where it does not fit."""
    if recipe.validation is None:
        return None
    data = open_evaluation(recipe.validation, network.config)
    ours = network.config.classes
    if difference := class_difference(ours, data.classes):
        raise ConfigError(
            f"validation on {recipe.validation.data}: {difference}",
            expected=f"the classes of the sources, {', '.join(ours)}",
            do="choose another validation, or none",
        )
    return data
