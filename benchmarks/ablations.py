"""The ablations of the TDNet paper and of the consensus, for the model of a recipe: trained, evaluated, one table.

python benchmarks/ablations.py CONFIG [--FIELD VALUE ...] [--teacher CONFIG] [--arms NAME ...] [--splits KIND=SPLIT ...]
                               [--jobs N] [--minutes M] [--train] [--folder DIR] [--output FILE]

CONFIG is the recipe of a TDNet with a first stage and a teacher, such as configs/streets-td4-lite0s.yaml; fields are
those of `tdseg train`. Its first stage is trained once; then each arm starts from that, and sees as many frames as any
other: the per-frame model, alone and distilled, and the TDNet by both ways to propagate, with weights of its own for
every path and with shared ones, plain, distilled from all of the teacher, and from groups of it. Every arm is a run of
its own in DIR: what is stopped goes on where it was, when the same command is given again, and --minutes ends a piece
of it. When all are there, each is evaluated on the val split of the recipe's sources, or on those that are named.

Rows that need no training of their own are made of the arms: other memory strides, paths that are missing at inference,
the per-frame model with a consensus as its memory. Each is held against the best per-frame arm at the larger input at
which that costs as much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ablations_table import GROUPED, TEACHER, evaluated, table
from page import put
from tdseg.errors import ConfigError, TdsegError
from tdseg.system import cpu_threads
from tdseg.train.loop import fit
from tdseg.train.printer import Printer
from tdseg.train.recipe import Recipe
from tdseg.train.values import merge, pairs
from tdseg.zoo.catalog import model_config
from tdseg.zoo.checkpoint import WEIGHTS

START, SHALLOW = "start", "per-frame"
DISTILLATIONS: dict[str, dict[str, Any] | None] = {
    "plain": None,
    "full": {"grouped": False},
    GROUPED: {"grouped": True},
}
"""Changes to the recipe's distillation; None: there is none."""
SHARED = ("sources", "overrides.size", "augmentation", "precision", "cache", "workers")
"""Fields of the command line that are the teacher's, too."""
POLL = 0.2
"""Seconds."""


class Arm(NamedTuple):
    """A training run."""

    recipe: Recipe
    needs: tuple[str, ...] = ()
    """Arms that it starts from, or learns from."""


def arms(recipe: Recipe, teacher: Recipe | None, folder: Path) -> dict[str, Arm]:
    """All of them by name, which is that of their folder in `folder`.

    Raises:
        ConfigError: the recipe is not of a TDNet with a first stage and a teacher.
    """
    config = model_config(recipe.model, num_classes=1, **recipe.overrides)
    if config.paths == 1 or recipe.per_frame is None or recipe.distill is None:
        raise ConfigError(
            f"a recipe of {recipe.model} {'with' if recipe.per_frame is not None else 'without'} per_frame and "
            f"{'with' if recipe.distill else 'without'} distill",
            expected="a TDNet's, whose sub-network is trained first, and which learns from a teacher",
            do="choose another recipe, such as configs/streets-td4-lite0s.yaml",
        )
    found = {START: Arm(recipe.first_stage())} | ({TEACHER: Arm(teacher)} if teacher else {})
    frames = recipe.batch * recipe.length
    changed = {"init": str(folder / START / WEIGHTS), "per_frame": None}
    learnt = {"teacher": str(folder / START / WEIGHTS)} if recipe.distill.teacher == "per-frame" else {}
    if teacher:
        learnt = {"teacher": str(folder / TEACHER / WEIGHTS)}

    def add(name: str, base: Recipe, distillation: str, **fields: Any) -> None:
        change = DISTILLATIONS[distillation]
        distill = None if change is None else {**recipe.distill.model_dump(), **learnt, **change}  # type: ignore[union-attr]
        values = merge(base.model_dump(mode="json"), changed | fields) | {"distill": distill}
        needs = (START, TEACHER) if teacher and distill else (START,)
        found[name] = Arm(Recipe.parse(values, where=f"arm {name}"), needs)

    alone = recipe.model_copy(update={"per_frame": {"batch": frames}}).first_stage()
    add(SHALLOW, alone, "plain")
    add(f"{SHALLOW}-full", alone, "full")
    family = recipe.model.partition("-")[2]
    for kind in ("consensus", "attention"):
        own: dict[str, Any] = {"propagation": kind, "weight_sets": None, "views": []}
        for distillation in DISTILLATIONS:
            add(f"{kind}-{distillation}", recipe, distillation, overrides=own)
        if config.groups == 1:
            add(f"{kind}-shared", recipe, "full", overrides=own | {"weight_sets": 1})
        for paths in (m for m in (2, 3) if m < config.paths and frames % m == 0 and m % config.groups == 0):
            clips = [source | {"length": min(source["length"], paths)} for source in recipe.model_dump()["sources"]]
            fewer = {"model": f"td{paths}-{family}", "length": paths, "batch": frames // paths, "sources": clips}
            add(f"{kind}-{paths}-paths", recipe, GROUPED, overrides=own, **fewer)
    return found


def with_needs(every: Mapping[str, Arm], names: Sequence[str]) -> dict[str, Arm]:
    """The arms of these names, those that they need, and the per-frame model, which all are held against; in order.

    Raises:
        ConfigError: there is no such arm.
    """
    if unknown := [name for name in names if name not in every]:
        raise ConfigError(f"no arm {unknown[0]}", expected=", ".join(every), do="choose among these")
    names = [SHALLOW, *names]
    wanted = {*names, *(need for name in names for need in every[name].needs)}
    return {name: arm for name, arm in every.items() if name in wanted}


def shared_fields(fields: Sequence[str]) -> list[str]:
    """Of fields of the command line, those about data and computation: they are the teacher's, too."""
    return [f"{flag}={value}" for flag, value in pairs(fields) if flag.removeprefix("--").startswith(SHARED)]


def train(every: Mapping[str, Arm], folder: Path, *, jobs: int, deadline: float) -> bool:
    """Train what is not finished, `jobs` at once, until `deadline` by `time.monotonic`; True: all is there."""
    context = multiprocessing.get_context("spawn")
    waiting = [name for name in every if not (folder / name / WEIGHTS).is_file()]
    running: dict[str, BaseProcess] = {}
    try:
        while (waiting or running) and time.monotonic() < deadline:
            ready = [name for name in waiting if not {*waiting, *running} & set(every[name].needs)]
            for name in ready[: jobs - len(running)]:
                waiting.remove(name)
                running[name] = context.Process(target=_run, args=(every[name].recipe, folder / name, jobs))
                running[name].start()
            time.sleep(POLL)
            for name in [name for name, process in running.items() if not process.is_alive()]:
                del running[name]
                if not (folder / name / WEIGHTS).is_file():
                    raise SystemExit(f"{name} ended without {WEIGHTS}: see above, and {folder / name}")
    finally:
        for process in running.values():
            process.terminate()  # ends after the step at hand, with a checkpoint of it
        for process in running.values():
            process.join()
    return not waiting and not running


def _run(recipe: Recipe, output: Path, jobs: int) -> None:
    """A run, or what is left of it, in a process of its own."""
    began, name = time.monotonic(), output.name
    os.setsid()  # what is to stop all reaches it once, by `train`: a second time would end it without a checkpoint
    try:
        output.mkdir(parents=True, exist_ok=True)
        with cpu_threads(max(1, (os.cpu_count() or 1) // jobs)), (output / "log.txt").open("a") as log:
            console = Console(file=log, width=120)
            fit(recipe, output, resume=True, watchers=(Printer(console, console),))
    except KeyboardInterrupt as interrupt:
        print(f"{name}: {interrupt}", flush=True)
    except TdsegError as error:
        sys.exit(f"{name}: {error}")
    else:
        print(f"{name}: trained, {time.monotonic() - began:.0f} s in this piece", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, evaluate, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--teacher", type=Path, help="recipe of the teacher, trained first, in place of the recipe's")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="train and show these, and what they need")
    parser.add_argument("--splits", nargs="+", default=[], metavar="KIND=SPLIT", help="evaluated instead of val")
    parser.add_argument("--jobs", type=int, default=1, help="runs, and then evaluations, at once")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="train no longer than that")
    parser.add_argument("--train", action="store_true", help="train only")
    parser.add_argument("--folder", type=Path, help="by default runs/ablations-NAME of CONFIG")
    parser.add_argument("--output", type=Path, help="a file with ablations marks")
    arguments, fields = parser.parse_known_args(argv)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # the runs end with their checkpoints, too
    deadline = time.monotonic() + 60 * arguments.minutes
    try:
        recipe = Recipe.from_yaml(arguments.config, fields)
        teacher = Recipe.from_yaml(arguments.teacher, shared_fields(fields)) if arguments.teacher else None
        folder = arguments.folder or Path("runs") / f"ablations-{arguments.config.stem}"
        every = arms(recipe, teacher, folder)
        chosen = with_needs(every, arguments.arms or list(every))
        if not train(chosen, folder, jobs=arguments.jobs, deadline=deadline):
            parser.exit(3, "stopped: the same command goes on from here\n")
        if arguments.train:
            return
        splits = dict(pair.split("=", 1) for pair in arguments.splits)
        weights = {name: folder / name / WEIGHTS for name in chosen if name != START}
        text = table(evaluated(recipe, weights, splits, arguments.jobs))
    except TdsegError as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted: the same command goes on from here\n")
    print(text)
    if arguments.output:
        put(text, "ablations", arguments.output)


if __name__ == "__main__":
    main()
