"""`tdseg train`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from tdseg.cli.terminal import err, needs, out, say
from tdseg.cli.verb import Call, verb
from tdseg.errors import ConfigError
from tdseg.models.tdnet import TDNet
from tdseg.system import cpu_threads
from tdseg.train.recipe import Recipe

with needs("train"):
    from tdseg.train.board import Board
    from tdseg.train.card import Card
    from tdseg.train.loop import fit
    from tdseg.train.printer import Printer

_FIELDS = "Any of its fields, with another value: --optimizer.lr 0.005 --augmentation.crop 288x384 --sources.0.root DIR"
_OUTPUT = "Folder of the run: model.safetensors, card.md, checkpoints, TensorBoard; by default runs/NAME of CONFIG."


@verb(fit, hide=["recipe", "watchers"])
def train(
    run: Call[TDNet],
    config: Annotated[Path, Parameter(help="The recipe, a YAML file as in configs/.", allow_leading_hyphen=True)],
    /,
    *fields: Annotated[str, Parameter(help=_FIELDS, allow_leading_hyphen=True)],
    output: Annotated[Path | None, Parameter(help=_OUTPUT)] = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    threads: Annotated[int | None, Parameter(help="Threads of the CPU; by default all cores.")] = None,
) -> None:
    """Print the progress of the run, and what to do with the model it leaves."""
    if str(config).startswith("-"):
        raise ConfigError(
            f"{config} before the recipe", expected="CONFIG.yaml, then its fields", do="name the recipe first"
        )
    recipe = Recipe.from_yaml(config, fields)
    output = output or Path("runs") / config.stem
    if os.environ.get("RANK", "0") != "0":
        with cpu_threads(threads):
            run(recipe=recipe, output=output)
        return
    options = ["--output", str(output)] + ([] if threads is None else ["--threads", str(threads)])
    command = shlex.join(["tdseg", "train", str(config), *fields, *options])
    printer = Printer(out, err)
    with cpu_threads(threads):
        try:
            run(recipe=recipe, output=output, watchers=(printer, Board(printer.warn), Card(command)))
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(f"{interrupt}\n  {command} --resume") from None
    weights, folder = shlex.quote(str(output / "model.safetensors")), shlex.quote(str(output))
    say(f"figures  {escape(str(output / 'card.md'))}")
    say(f"curves   tensorboard --logdir {escape(folder)}")
    say(f"masks    tdseg segment VIDEO --model {escape(weights)}")
