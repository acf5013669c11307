"""The training loop: a function of recipe and folder that can be stopped and resumed at any step."""

from __future__ import annotations

import signal
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
from tdseg.errors import OutputError
from tdseg.files.publishing import ENDING, whole_folder
from tdseg.measure.evaluate import evaluate
from tdseg.measure.evidence import Example
from tdseg.models.tdnet import TDNet
from tdseg.system import __version__
from tdseg.train.checkpoints import CHECKPOINTS, save_checkpoint
from tdseg.train.distill import Distiller
from tdseg.train.init import initialise
from tdseg.train.recipe import Recipe
from tdseg.train.stage import TrainingStage, open_stages
from tdseg.train.supply import Problems, Supply, supplies
from tdseg.train.teacher import load_teacher
from tdseg.train.trainer import Trainer
from tdseg.train.watch import CARD, Run, Step, Watcher
from tdseg.zoo.checkpoint import WEIGHTS, save

_EXAMPLES = 4


def fit(recipe: Recipe, output: Path, *, resume: bool = False, watchers: Sequence[Watcher] = ()) -> TDNet:
    """Train, leaving `model.safetensors` and `checkpoints/` in `output`.

    With `recipe.per_frame` the per-frame model is trained first, in `output/per-frame`; watchers are told of it as of a
    run of its own. What both stages need is opened, and seen to fit, before the first step. Under torchrun all
    processes train together: a batch is shared out among them, and only the first writes and has watchers; `output`
    must be in sight of all.

    Args:
        recipe: what to train, on what, and how.
        output: folder of the run.
        resume: go on from the newest checkpoint in `output`, to the same weights as an uninterrupted run; on a GPU up
            to rounding.
        watchers: told of everything.

    Returns:
        The averaged model, as written.

    Raises:
        ConfigError: `output` holds another run, or one and `resume` is not given; clips are too short for what the
            model propagates; what is to fit together does not; the loss is not finite; the batch cannot be shared out.
        DataError: data is missing, or too much of it cannot be read.
        WeightsError: no checkpoint, or weights that are named, can be read.
        OutputError: the model cannot be written.
        KeyboardInterrupt: asked to end by a signal, after the step at hand and with a checkpoint of it.
    """
    with _end_requested() as asked:
        stages = open_stages(recipe, output, watchers, resume=resume)
        while stages:
            stage = stages.pop(0)  # what it holds goes when it is done
            try:
                model = _train(stage, asked)
                stage.fabric.barrier()
            finally:
                for watcher in stage.watchers:
                    watcher.close()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return model


def _train(stage: TrainingStage, asked: Callable[[], bool]) -> TDNet:
    """One stage; see `fit`."""
    recipe, output, fabric, told = stage.recipe, stage.output, stage.fabric, stage.watchers
    if stage.checkpoint is None:
        initialise(stage.network, stage.init, stage.warn)
    trainer = Trainer(recipe, fabric, stage.network, stage.shares, _distiller(stage))
    start = 0
    if stage.checkpoint is not None:
        trainer.restore(stage.checkpoint)
        start, stage.checkpoint = stage.checkpoint["step"], None
    for watcher in told:
        watcher.start(Run(recipe, output, start, trainer.average.model))

    batches = supplies(recipe, stage.mixture, stage.network.config.size, stage.places, start, fabric.device, stage.warn)
    problems = Problems(stage.warn if fabric.is_global_zero else lambda _: None)
    for step, stop in _steps(trainer, batches, start, problems, asked):
        for watcher in told:
            watcher.step(step)
        done, last = step.number, step.number == recipe.steps
        if fabric.is_global_zero and (done % recipe.checkpoint_every == 0 or last or stop):
            try:
                save_checkpoint(output / CHECKPOINTS, done, trainer.state())
            except OutputError as error:  # a full disk: the work goes on, and the next may succeed
                stage.warn(f"{error.got}; {error.do}")
        if stop:
            raise KeyboardInterrupt(f"stopped after step {done} of {recipe.steps}; --resume goes on from there")
        if stage.validation is not None and recipe.evaluate_every and done % recipe.evaluate_every == 0 and not last:
            _evaluate(trainer.average.model, stage.validation, done, told)
    if fabric.is_global_zero:
        _finish(trainer, output, stage.validation, told)
    return trainer.average.model


def _distiller(stage: TrainingStage) -> Distiller | None:
    """With the teacher that was loaded, or that the stage before has made."""
    config, student = stage.recipe.distill, stage.network.config
    if config is None:
        return None
    teacher = stage.teacher or load_teacher(config, student, per_frame=Path(stage.init), device=stage.fabric.device)
    return Distiller(config, teacher, student)


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
        outcome = trainer.read(step, pending)
        problems.add(_gather(current.problems, fabric) if outcome.problems else [], recipe.batch)
        now = time.monotonic()
        done = Step(step + 1, outcome.terms, outcome.readings, outcome.lr, now - began, current.waited)
        began = now
        yield done, outcome.stop


def _finish(trainer: Trainer, output: Path, validation: ClipDataset | None, told: Sequence[Watcher]) -> None:
    """Evaluate the averaged model, and write it and what tells of it: after a kill neither is beside another's."""
    recipe, model = trainer.recipe, trainer.average.model
    figures = _evaluate(model, validation, recipe.steps, told) if validation is not None else None
    about = {"recipe": recipe.model_dump(mode="json"), "version": __version__, "figures": figures}
    with whole_folder(output, [Path(WEIGHTS), Path(CARD)]) as made:
        save(model, made / WEIGHTS, dtype=torch.float16, about=about)
        for watcher in told:
            watcher.describe(model, made / WEIGHTS)
    for watcher in told:
        watcher.finish(model, output / WEIGHTS)


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
    """Whether a signal to end came since; a second one ends at once. Outside of the main thread never."""
    asked: list[int] = []

    def remember(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt("stopped at once, without a checkpoint of the last steps")
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, remember) for number in ENDING}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
