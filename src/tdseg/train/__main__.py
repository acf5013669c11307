"""python -m tdseg.train RECIPE.yaml --output DIR [--resume]."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts
import torch

from tdseg.errors import TdsegError
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe
from tdseg.train.watch import Run, Step, Watcher

app = cyclopts.App(name="tdseg.train", help="Train a model from a recipe.")


class Lines(Watcher):
    """A line for every step."""

    def start(self, run: Run) -> None:
        """Before the first step."""
        if run.start:
            print(f"resumed at step {run.start}", flush=True)

    def step(self, step: Step) -> None:
        """Its number and losses."""
        print(f"step {step.number} loss {sum(step.terms.values()):.8g} {step.terms}", flush=True)

    def warn(self, message: str) -> None:
        """Something was survived."""
        print(f"warning: {message}", file=sys.stderr, flush=True)


@app.default
def train(recipe: Path, *, output: Path, resume: bool = False, threads: int | None = None) -> None:
    """Train a model.

    Args:
        recipe: YAML file, see configs/.
        output: folder of the run; holds model.safetensors at the end.
        resume: go on from the newest checkpoint.
        threads: CPU threads; all cores by default.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    fit(Recipe.from_yaml(recipe), output, resume=resume, watchers=[Lines()])


if __name__ == "__main__":
    try:
        app()
    except TdsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
