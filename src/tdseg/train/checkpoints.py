"""Checkpoints of a run: everything needed to go on exactly, written atomically.

What is random is a function of the seed and the step, so no generator's state is among it.
"""

from __future__ import annotations

import os
import reprlib
from pathlib import Path
from types import NoneType
from typing import Any

import torch

from tdseg.errors import ConfigError, OutputError, WeightsError
from tdseg.files import unwritable, whole_file
from tdseg.train.recipe import Recipe
from tdseg.train.watch import Warn
from tdseg.zoo.pickled import load_tensors

CHECKPOINTS = "checkpoints"
"""Their folder in that of the run."""
_FORMAT = 2
"""Counts up where the same recipe makes other steps than before, as by another order of clips or another schedule."""
_KEEP = 2
_MAY_CHANGE = {"steps", "checkpoint_every", "evaluate_every", "validation", "workers", "cache"}


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `step-XXXXXX.ckpt`, whole or not at all, and drop all but the newest two.

    Raises:
        OutputError: it cannot be written, on a full disk for one; those before stay.
    """
    path = folder / f"step-{step:06d}.ckpt"
    try:
        with whole_file(path, parents=True) as staged, staged.open("wb") as file:
            torch.save({"step": step, "format": _FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
    except (OutputError, RuntimeError) as error:  # torch gives some errors of the system as RuntimeError
        why = error.__cause__ or error.__context__ or error
        do = "free some space; checkpoints from before are kept"
        raise unwritable(f"the checkpoint of step {step}, {path}", why, do=do) from None
    for old in sorted(folder.glob("step-*.ckpt"))[:-_KEEP]:
        old.unlink()
    return path


def latest_checkpoint(folder: Path, warn: Warn) -> dict[str, Any] | None:
    """The newest checkpoint of a run that can be read, or None if there is none at all.

    Args:
        folder: of the checkpoints.
        warn: told of damaged ones.

    Raises:
        WeightsError: all are damaged.
    """
    paths = sorted(folder.glob("step-*.ckpt"), reverse=True)
    for path in paths:
        try:
            state: dict[str, Any] = load_tensors(path)
            if not isinstance(state, dict) or type(state.get("step")) is not int or state["step"] < 0:
                raise ValueError("no checkpoint of a run")
        except Exception as error:  # whatever a damaged file makes of torch.load
            warn(f"{path} is damaged and left out: {' '.join(str(error).split())[:200]}")
        else:
            return state
    if not paths:
        return None
    raise WeightsError(
        f"{folder}: every checkpoint is damaged", expected="one that can be read", do="start again in a new folder"
    )


def check_same_run(checkpoint: dict[str, Any], recipe: Recipe, folder: Path) -> None:
    """See to it that a checkpoint is of this recipe, up to what does not change the steps already made.

    Raises:
        ConfigError: another recipe, of which the first field that differs is named; or a version of tdseg by which the
            same recipe made other steps.
        WeightsError: it holds no recipe.
    """
    if checkpoint.get("format") != _FORMAT:
        raise ConfigError(
            f"the run in {folder} is of another version of tdseg, by which its recipe trains otherwise",
            expected=f"checkpoints of format {_FORMAT}",
            do="finish it with that version, or train in another folder",
        )
    stored = checkpoint.get("recipe")
    if not isinstance(stored, dict) or not isinstance(stored.get("per_frame"), dict | NoneType):
        raise WeightsError(
            f"the checkpoint of step {checkpoint['step']} in {folder} holds no recipe",
            expected="a checkpoint as tdseg train wrote it",
            do="remove the file, so that an earlier one is taken, or train in another folder",
        )
    before, now = _essence(stored), _essence(recipe.model_dump(mode="json"))
    for name, value in now.items():
        if before.get(name) != value:
            raise ConfigError(
                f"{name} = {value}, but the run in {folder} has {name} = {reprlib.repr(before.get(name))}",
                expected=f"the recipe that the run was started with; {', '.join(sorted(_MAY_CHANGE))} may change",
                do="give the old value, or train in another folder",
            )


def _essence(values: dict[str, Any]) -> dict[str, Any]:
    """All that decides the steps, of the first stage too."""
    kept = {name: value for name, value in values.items() if name not in _MAY_CHANGE}
    return kept | {"per_frame": _essence(kept["per_frame"])} if kept.get("per_frame") else kept
