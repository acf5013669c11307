"""`tdseg train`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import DONE, err, needs, out


def train(
    config: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *fields: Annotated[str, Parameter(allow_leading_hyphen=True)],
    output: Path | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    threads: int | None = None,
) -> int:
    """Train a model as a recipe says; on several GPUs by `torchrun --nproc-per-node 4 -m tdseg.cli train …`.

    Args:
        config: The recipe, a YAML file as in configs/.
        fields: Any of its fields, with another value: --optimizer.lr 0.005 --augmentation.crop 288x384
            --sources.0.root DIR
        output: Folder of the run, for model.safetensors, card.md, checkpoints and TensorBoard; by default runs/NAME of
            the recipe's file.
        resume: Go on from the newest checkpoint there, to the same weights as a run that was never stopped.
        threads: Threads of the CPU; by default all cores.
    """
    from tdseg.errors import ConfigError
    from tdseg.system import cpu_threads
    from tdseg.train.recipe import Recipe

    if str(config).startswith("-"):
        raise ConfigError(
            f"{config} before the recipe", expected="CONFIG.yaml, then its fields", do="name the recipe first"
        )
    recipe = Recipe.from_yaml(config, fields)
    output = output or Path("runs") / config.stem
    with needs("train"):
        from tdseg.train.board import Board
        from tdseg.train.card import Card
        from tdseg.train.loop import fit
        from tdseg.train.printer import Printer
    if os.environ.get("RANK", "0") != "0":
        with cpu_threads(threads):
            fit(recipe, output, resume=resume)
        return DONE
    options = ["--output", str(output)] + ([] if threads is None else ["--threads", str(threads)])
    command = shlex.join(["tdseg", "train", str(config), *fields, *options])
    printer = Printer(out, err)
    with cpu_threads(threads):
        try:
            fit(recipe, output, resume=resume, watchers=(printer, Board(printer.warn), Card(command)))
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(f"{interrupt}\n  {command} --resume") from None
    weights, folder = shlex.quote(str(output / "model.safetensors")), shlex.quote(str(output))
    for what, line in {
        "figures": str(output / "card.md"),
        "curves": f"tensorboard --logdir {folder}",
        "masks": f"tdseg segment VIDEO --model {weights}",
    }.items():
        out.print(f"{what:9}{escape(line)}", soft_wrap=True)
    return DONE
