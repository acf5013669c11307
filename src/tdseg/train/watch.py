"""Events of a run, and who is told of them: the terminal, TensorBoard, the card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tdseg.measure.evidence import Example
from tdseg.models.tdnet import TDNet
from tdseg.train.recipe import Recipe

CARD = "card.md"
"""The file that tells of the trained model, beside it."""
Warn = Callable[[str], None]
"""Told of what was survived, such as an unreadable image."""


class Run(NamedTuple):
    """A run that starts or goes on."""

    recipe: Recipe
    output: Path
    start: int
    """Steps done before."""
    model: TDNet
    """Without its weights' meaning: for names, classes and sizes."""


class Step(NamedTuple):
    """One optimizer step."""

    number: int
    """1 … recipe.steps."""
    terms: dict[str, float]
    """Weighted loss terms; their sum was minimised."""
    readings: dict[str, float]
    """Of the memory, as `Propagation.readings` names them."""
    lr: float
    """Of new layers."""
    seconds: float
    """Wall time, loading included."""
    waited: float
    """Of these, spent waiting for clips."""


class Watcher:
    """Base of watchers: reacts to nothing. Only the process of rank 0 has any."""

    def start(self, run: Run) -> None:
        """Before the first step."""

    def step(self, step: Step) -> None:
        """After every step."""

    def evaluated(self, number: int, figures: dict[str, Any], examples: list[Example]) -> None:
        """After the averaged model was evaluated at step `number`; figures as of `tdseg.measure.evaluate.evaluate`."""

    def warn(self, message: str) -> None:
        """Something was survived, such as an unreadable image."""

    def describe(self, model: TDNet, weights: Path) -> None:
        """The averaged model is whole in `weights`, and takes its place with what is beside it: that may be CARD."""

    def finish(self, model: TDNet, weights: Path) -> None:
        """The averaged model was written to `weights`."""

    def close(self) -> None:
        """The run ends, finished or not."""
