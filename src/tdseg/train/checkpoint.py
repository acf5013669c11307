"""Checkpoints of a run: everything needed to go on exactly, written atomically."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from tdseg.errors import WeightsError

_KEEP = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `step-XXXXXX.ckpt`, whole or not at all, and drop all but the newest two."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:06d}.ckpt"
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save({"step": step, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    for old in sorted(folder.glob("step-*.ckpt"))[:-_KEEP]:
        old.unlink()
    return path


def latest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint of a run, or None."""
    paths = sorted(folder.glob("step-*.ckpt"))
    if not paths:
        return None
    try:
        state: dict[str, Any] = torch.load(paths[-1], map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{paths[-1]}: damaged ({error})",
            expected="a checkpoint of tdseg",
            do="delete it to resume from the one before",
        ) from None
    return state
