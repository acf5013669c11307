"""python -m tdseg.train RECIPE.yaml --output DIR [--resume]."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts
import torch

from tdseg.errors import TdsegError
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe

app = cyclopts.App(name="tdseg.train", help="Train a model from a recipe.")


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
    fit(Recipe.from_yaml(recipe), output, resume=resume, log=lambda line: print(line, flush=True))


if __name__ == "__main__":
    try:
        app()
    except TdsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
