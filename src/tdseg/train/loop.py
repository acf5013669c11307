"""The training loop: a function of recipe and folder that can be stopped and resumed at any step."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric

from tdseg.data.clip import ClipDataset
from tdseg.errors import ConfigError, OutputError
from tdseg.masks.classes import class_difference
from tdseg.measure.evaluate import evaluate, open_evaluation
from tdseg.models.tdnet import TDNet
from tdseg.system import __version__, free_memory
from tdseg.train.checkpoints import check_same_run, latest_checkpoint, save_checkpoint
from tdseg.train.distill import Distiller
from tdseg.train.init import initialise
from tdseg.train.mixture import Mixture
from tdseg.train.recipe import Recipe
from tdseg.train.supply import Problems, Supply, supplies
from tdseg.train.teacher import load_teacher
from tdseg.train.trainer import Trainer, make_fabric, make_network
from tdseg.train.watch import Example, Run, Step, Warn, Watcher
from tdseg.zoo.checkpoint import WEIGHTS, save

PER_FRAME = "per-frame"
"""Folder of the first stage in that of the run."""
_EXAMPLES = 4


def fit(recipe: Recipe, output: Path, *, resume: bool = False, watchers: Sequence[Watcher] = ()) -> TDNet:
    """Train, leaving `model.safetensors` and `checkpoints/` in `output`.

    With `recipe.per_frame` the per-frame model is trained first, in `output/per-frame`; watchers are told of it as of a
    run of its own. Under torchrun all processes train together: a batch is shared out among them, and only the first
    writes and has watchers; `output` must be in sight of all.

    Args:
        recipe: what to train, on what, and how.
        output: folder of the run.
        resume: go on from the newest checkpoint in `output`, to the same weights as an uninterrupted run; on a GPU up
            to rounding.
        watchers: told of everything.

    Returns:
        The averaged model, as written.

    Raises:
        ConfigError: `output` holds another run, or one and `resume` is not given; the loss is not finite; the batch
            cannot be shared out.
        DataError: data is missing, or too much of it cannot be read.
        WeightsError: no checkpoint can be read.
        OutputError: the model cannot be written.
        KeyboardInterrupt: asked to end by SIGINT or SIGTERM, after the step at hand and with a checkpoint of it.
    """
    stages = [(recipe, output, recipe.init)]
    if recipe.per_frame is not None:
        first, folder = recipe.first_stage(), output / PER_FRAME
        stages = [(first, folder, first.init), (recipe, output, str(folder / WEIGHTS))]
    for _, folder, _ in stages:
        if not resume and ((folder / "checkpoints").exists() or (folder / WEIGHTS).exists()):
            raise ConfigError(f"{folder} holds a run", expected="an empty folder", do="add --resume or choose another")
    for stage, folder, init in stages:
        if folder != output and (folder / WEIGHTS).is_file():
            continue  # a finished first stage
        fabric = make_fabric(stage.precision)
        told = watchers if fabric.is_global_zero else ()
        try:
            with _end_requested() as asked:
                model = _train(stage, folder, init, fabric, told, asked, resume=resume)
            fabric.barrier()
        finally:
            for watcher in told:
                watcher.close()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return model


def _train(
    recipe: Recipe,
    output: Path,
    init: str,
    fabric: Fabric,
    told: Sequence[Watcher],
    asked: Callable[[], bool],
    *,
    resume: bool,
) -> TDNet:
    """One stage, which starts from `init`; see `fit`."""

    def warn(message: str) -> None:
        for watcher in told:
            watcher.warn(message)
        if not fabric.is_global_zero:
            print(f"process {fabric.global_rank}: {message}", file=sys.stderr)

    places = _share(recipe, fabric)
    checkpoint = _newest(output / "checkpoints", recipe, fabric, warn) if resume else None
    mixture = Mixture(recipe.sources, recipe.seed, recipe.cache, fabric.device, _room(recipe, fabric))
    network = make_network(recipe, mixture)
    validation = _validation(recipe, network) if fabric.is_global_zero else None
    if checkpoint is None:
        initialise(network, init, warn)
    shares = mixture.class_shares() if recipe.losses.balance else torch.ones(len(mixture.classes))
    trainer = Trainer(recipe, fabric, network, shares, _distiller(recipe, output, network, fabric))
    start = 0
    if checkpoint is not None:
        trainer.restore(checkpoint)
        start = checkpoint["step"]
        del checkpoint
    for watcher in told:
        watcher.start(Run(recipe, output, start, trainer.average.model))

    batches = supplies(recipe, mixture, places, start, fabric.device, warn)
    problems = Problems(warn if fabric.is_global_zero else lambda _: None)
    for step, stop in _steps(trainer, batches, start, problems, asked):
        for watcher in told:
            watcher.step(step)
        done, last = step.number, step.number == recipe.steps
        if fabric.is_global_zero and (done % recipe.checkpoint_every == 0 or last or stop):
            try:
                save_checkpoint(output / "checkpoints", done, trainer.state())
            except OutputError as error:  # a full disk: the work goes on, and the next may succeed
                warn(f"{error.got}; {error.do}")
        if stop:
            raise KeyboardInterrupt(f"stopped after step {done} of {recipe.steps}; --resume goes on from there")
        if validation is not None and recipe.evaluate_every and done % recipe.evaluate_every == 0 and not last:
            _evaluate(trainer.average.model, validation, done, told)
    if fabric.is_global_zero:
        _finish(trainer, output, validation, told)
    return trainer.average.model


def _steps(
    trainer: Trainer, batches: Iterator[Supply], start: int, problems: Problems, asked: Callable[[], bool]
) -> Iterator[tuple[Step, bool]]:
    """Train from step `start` on: each step when it is done, and whether a process was asked to end."""
    recipe, fabric = trainer.recipe, trainer.fabric
    began, batch = time.monotonic(), next(batches, None)
    for step in range(start, recipe.steps):
        assert batch is not None, "there is one for every step"
        pending, current = trainer.launch(step, batch, stop=asked()), batch
        batch = next(batches, None)  # made while the device works
        outcome = trainer.read(step, *pending)
        problems.add(_gather(current.problems, fabric) if outcome.problems else [], recipe.batch)
        now = time.monotonic()
        done = Step(step + 1, outcome.terms, outcome.lr, now - began, current.waited)
        began = now
        yield done, outcome.stop


def _finish(trainer: Trainer, output: Path, validation: ClipDataset | None, told: Sequence[Watcher]) -> None:
    """Evaluate the averaged model, and write it."""
    recipe, model = trainer.recipe, trainer.average.model
    figures = _evaluate(model, validation, recipe.steps, told) if validation is not None else None
    about = {"recipe": recipe.model_dump(mode="json"), "version": __version__, "figures": figures}
    output.mkdir(parents=True, exist_ok=True)
    save(model, output / WEIGHTS, dtype=torch.float16, about=about)
    for watcher in told:
        watcher.finish(model, output / WEIGHTS)


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
    return range(fabric.global_rank * size, (fabric.global_rank + 1) * size)


def _room(recipe: Recipe, fabric: Fabric) -> int | None:
    """Bytes for decoded clips in each process that loads them: half of the free memory for all of them."""
    if recipe.cache == "device" and fabric.device.type == "cuda":
        return torch.cuda.mem_get_info(fabric.device)[0] // 2
    free = free_memory()
    loading = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) * max(1, recipe.workers)
    return None if free is None else free // (2 * loading)


def _newest(folder: Path, recipe: Recipe, fabric: Fabric, warn: Warn) -> dict[str, Any] | None:
    """The checkpoint to go on from, as the first process finds it; the same in all processes."""
    found = latest_checkpoint(folder, warn) if fabric.is_global_zero else None
    checkpoint: dict[str, Any] | None = fabric.broadcast(found)
    if checkpoint is not None:
        check_same_run(checkpoint, recipe, folder.parent)
    return checkpoint


def _distiller(recipe: Recipe, output: Path, network: TDNet, fabric: Fabric) -> Distiller | None:
    if recipe.distill is None:
        return None
    per_frame = output / PER_FRAME / WEIGHTS
    teacher = load_teacher(recipe.distill, network.config, per_frame=per_frame, device=fabric.device)
    return Distiller(recipe.distill, teacher, network.config)


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


def _evaluate(model: TDNet, data: ClipDataset, done: int, told: Sequence[Watcher]) -> dict[str, Any]:
    fused = model.fuse()
    figures = evaluate(fused, data)
    count = min(_EXAMPLES, len(data))
    examples = [_example(fused, data, i * len(data) // count) for i in range(count)]
    for watcher in told:
        watcher.evaluated(done, figures, examples)
    return figures


@torch.inference_mode()
def _example(model: TDNet, data: ClipDataset, index: int) -> Example:
    """A labelled frame, shown as a still to every path, scored at the last."""
    clip = data[index]
    frame = clip.frames[-1]
    still = model.normalize(frame[None])[None].expand(-1, model.config.paths, -1, -1, -1)
    mask = model.forward_clip(still, score="last").logits[0, 0].argmax(0).to(torch.uint8)
    image = np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
    return Example(image, clip.labels[-1].numpy(), mask.cpu().numpy())


def _gather(problems: tuple[str, ...], fabric: Fabric) -> list[str]:
    """The problems of every process, in all of them."""
    if fabric.world_size == 1:
        return list(problems)
    gathered: list[tuple[str, ...]] = [()] * fabric.world_size
    torch.distributed.all_gather_object(gathered, problems)
    return [problem for some in gathered for problem in some]


@contextmanager
def _end_requested() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came since; a second one ends at once. Outside of the main thread never."""
    asked: list[int] = []

    def remember(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt("stopped at once, without a checkpoint of the last steps")
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
