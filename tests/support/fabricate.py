"""A small data set, a small recipe for it, and watchers; as a program, a run of its own that can be killed.

python fabricate.py RECIPE.yaml OUTPUT [--resume] prints the losses of every step, a line of JSON each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tdseg.measure.evidence import Example
from tdseg.models.path import NetworkPath
from tdseg.models.tdnet import TDNet
from tdseg.street import render_street
from tdseg.train.recipe import Recipe
from tdseg.train.watch import Run, Step, Watcher


def write_camvid(root: Path) -> Path:
    """Six rendered frames in the layout of CamVid."""
    for split, seed in (("train", 3), ("val", 4)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for i, frame in enumerate(render_street(seed, num_frames=6, size=(90, 120))):
            Image.fromarray(frame.image).save(root / "images" / split / f"0001_{i:05}.png")
            Image.fromarray(frame.label).save(root / "labels" / split / f"0001_{i:05}.png")
    return root


def small_values(root: Path) -> dict[str, Any]:
    return {
        "model": "lite0",
        "overrides": {"head_channels": 16},
        "init": "none",
        "sources": [{"data": "camvid", "root": str(root)}],
        "steps": 4,
        "batch": 2,
        "augmentation": {"crop": [64, 96], "noise": 5, "blur": 0.2},
        "optimizer": {"lr": 1e-3, "backbone_lr": 1e-4, "warmup": 1},
        "checkpoint_every": 2,
    }


def parse(values: dict[str, Any]) -> Recipe:
    return Recipe.parse(values, where="test")


def paths_of(model: TDNet) -> list[NetworkPath]:
    return [path for path in model.paths if isinstance(path, NetworkPath)]


class Kept(Watcher):
    """Keeps all it is told; `after` is called with the number of every step."""

    def __init__(self, after: Callable[[int], None] = lambda _: None) -> None:
        self.after = after
        self.runs: list[Run] = []
        self.steps: list[Step] = []
        self.evaluations: list[tuple[int, dict[str, Any], list[Example]]] = []
        self.warnings: list[str] = []
        self.finished: list[Path] = []
        self.closed = 0

    def start(self, run: Run) -> None:
        self.runs.append(run)

    def step(self, step: Step) -> None:
        self.steps.append(step)
        self.after(step.number)

    def evaluated(self, number: int, figures: dict[str, Any], examples: list[Example]) -> None:
        self.evaluations.append((number, figures, examples))

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def finish(self, model: TDNet, weights: Path) -> None:
        self.finished.append(weights)

    def close(self) -> None:
        self.closed += 1

    @property
    def curve(self) -> list[dict[str, float]]:
        return [step.terms for step in self.steps]


class Lines(Watcher):
    """Prints where the run starts and every loss, to the last digit."""

    def start(self, run: Run) -> None:
        print(json.dumps({"start": run.start}), flush=True)

    def step(self, step: Step) -> None:
        print(json.dumps(step.terms), flush=True)


if __name__ == "__main__":
    from tdseg.train.loop import fit

    torch.set_num_threads(1)
    fit(Recipe.from_yaml(Path(sys.argv[1])), Path(sys.argv[2]), resume="--resume" in sys.argv, watchers=[Lines()])
