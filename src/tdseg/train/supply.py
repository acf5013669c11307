"""Batches for the steps of a run, loaded and augmented while the device computes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator
from torch.utils.data import DataLoader

from tdseg.data.transforms import Augmenter, Batch
from tdseg.errors import DataError
from tdseg.train.mixture import Draw, Mixture
from tdseg.train.recipe import Recipe
from tdseg.train.watch import Warn

_MOST_LOST = 5
_BAD_SHARE, _BAD_COUNT = 0.01, 10


class Supply(NamedTuple):
    """The data of a step, in this process."""

    parts: list[Batch]
    """recipe.accumulate of them."""
    waited: float
    """Seconds until the clips were there."""
    problems: tuple[str, ...]
    """Clips that could not be read, and were replaced."""


def supplies(
    recipe: Recipe,
    mixture: Mixture,
    size: tuple[int, int],
    places: range,
    start: int,
    device: torch.device,
    warn: Warn,
) -> Iterator[Supply]:
    """The data of each of the steps start … recipe.steps-1.

    Args:
        recipe: of the run.
        mixture: of its sources.
        size: (height, width) of the network's input in use.
        places: this process's share of each batch.
        start: first step.
        device: where clips are augmented.
        warn: told of lost workers, and once when there is no room to keep further clips.

    Raises:
        DataError: workers are lost again and again, or several draws in a row cannot be read.
    """
    steps = _load(recipe, mixture, places, start, device.type == "cuda", warn)
    augment = Augmenter(recipe.augmentation, recipe.length, size).to(device)
    part = len(places) // recipe.accumulate
    began, full = time.monotonic(), False
    for draws in steps:
        waited = time.monotonic() - began
        problems = tuple(problem for draw in draws for problem in draw.problems)
        clips = [draw.clip for draw in draws if draw.clip is not None]
        if len(clips) < len(draws):
            raise too_many(len(problems), list(dict.fromkeys(problems)))
        if not full and any(draw.full for draw in draws):
            full = True
            warn(_no_room(mixture.room))
        generators = [Generator().manual_seed(draw.seed) for draw in draws]
        parts = [slice(first, first + part) for first in range(0, len(draws), part)]
        yield Supply([augment(clips[some], generators[some]) for some in parts], waited, problems)
        began = time.monotonic()


class Problems:
    """Clips that could not be read: each is named once, and too many of them end the run."""

    def __init__(self, warn: Warn) -> None:
        self.warn = warn
        self.named: dict[str, None] = {}
        self.count = 0
        self.draws = 0

    def add(self, problems: Sequence[str], draws: int) -> None:
        """Count the draws of a step and the bad ones among them.

        Raises:
            DataError: more than 10 bad draws so far that are more than 1 % of all.
        """
        self.draws += draws
        self.count += len(problems)
        for problem in problems:
            if problem not in self.named:
                self.named[problem] = None
                self.warn(f"replaced by another clip: {problem}")
        if self.count > max(_BAD_COUNT, _BAD_SHARE * self.draws):
            raise too_many(self.count, list(self.named))


def too_many(count: int, names: list[str]) -> DataError:
    """The error for data too much of which cannot be read."""
    return DataError(
        f"{count} draws that cannot be read: {'; '.join(names[:3])}{' …' if len(names) > 3 else ''}",
        expected=f"at most {_BAD_COUNT}, or {_BAD_SHARE:.0%} of all draws",
        do="repair or remove these files, then go on with --resume",
    )


def _no_room(room: float) -> str:
    return (
        f"decoded clips fill the {room / 2**20:.0f} MiB that each process has for them, half of its share of the free "
        "memory; the others are read again whenever they are drawn"
    )


def _load(recipe: Recipe, mixture: Mixture, places: range, start: int, pin: bool, warn: Warn) -> Iterator[list[Draw]]:
    """The clips of every step; of lost workers the work is done again, by new ones."""
    lost, steps, workers = 0, range(start, recipe.steps), recipe.workers
    while steps:
        order = ([step * recipe.batch + place for place in places] for step in steps)
        pinned = pin and workers > 0
        loader = DataLoader(mixture, batch_sampler=order, num_workers=workers, collate_fn=list, pin_memory=pinned)
        try:
            before, loaded = signal.getsignal(signal.SIGCHLD), iter(loader)
            if threading.current_thread() is threading.main_thread():
                # A worker's death is met where its clips are awaited, not by an exception in the middle of a step.
                signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
            for draws in loaded:
                steps = steps[1:]
                yield draws
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            lost, why = lost + 1, " ".join(str(error).split())
            if lost > _MOST_LOST:
                raise DataError(
                    f"workers lost {lost} times; last: {why}",
                    expected="workers that live: memory for each, and room in /dev/shm",
                    do="go on with --resume and fewer --workers, or --cache none",
                ) from None
            warn(f"lost a worker before step {steps[0] + 1}, started anew: {why}")
