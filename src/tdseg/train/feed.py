"""Batches for the steps of a run, loaded and augmented while the device computes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Generator
from torch.utils.data import DataLoader, Dataset

from tdseg.data.transforms import Batch, make_batch
from tdseg.errors import DataError
from tdseg.train.mixture import Drawn, Mixture
from tdseg.train.recipe import Recipe

Warn = Callable[[str], None]
_MOST_LOST = 5
_BAD_SHARE, _BAD_COUNT = 0.01, 10


class Supply(NamedTuple):
    """What a step trains on, in this process."""

    parts: list[Batch]
    """recipe.accumulate of them."""
    waited: float
    """Seconds until the clips were there."""
    problems: tuple[str, ...]
    """What could not be read, and was replaced."""


def supplies(
    recipe: Recipe, mixture: Mixture, places: range, start: int, device: torch.device, warn: Warn
) -> Iterator[Supply]:
    """What each of the steps start … recipe.steps-1 trains on.

    Args:
        recipe: of the run.
        mixture: what is drawn from.
        places: this process's share of each batch.
        start: first step.
        device: where clips are augmented.
        warn: told of lost workers.

    Raises:
        DataError: workers are lost again and again, or several draws in a row cannot be read.
    """
    steps = _load(mixture, places, range(start, recipe.steps), recipe.workers, device.type == "cuda", warn)
    size = len(places) // recipe.accumulate
    while True:
        began = time.monotonic()
        drawn = next(steps, None)
        if drawn is None:
            return
        waited = time.monotonic() - began
        problems = tuple(problem for draw in drawn for problem in draw.problems)
        if any(draw.clip is None for draw in drawn):
            raise too_many(len(problems), list(dict.fromkeys(problems)))
        parts = []
        for first in range(0, len(drawn), size):
            part = drawn[first : first + size]
            clips = [draw.clip for draw in part if draw.clip is not None]
            generators = [Generator().manual_seed(draw.seed) for draw in part]
            parts.append(make_batch(clips, recipe.length, recipe.augmentation, generators, device))
        yield Supply(parts, waited, problems)


class Problems:
    """Clips that could not be read: each is named once, and too many of them end the run."""

    def __init__(self, warn: Warn) -> None:
        self.warn = warn
        self.named: dict[str, None] = {}
        self.count = 0
        self.draws = 0

    def add(self, problems: list[str], draws: int) -> None:
        """Count the draws of a step and what was bad among them.

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


class _Share(Dataset[list[Drawn]]):
    """A process's clips, by step."""

    def __init__(self, mixture: Mixture, places: range) -> None:
        self.mixture = mixture
        self.places = places

    def __getitem__(self, step: int) -> list[Drawn]:
        return [self.mixture.draw(step, place) for place in self.places]


def _load(mixture: Mixture, places: range, steps: range, workers: int, pin: bool, warn: Warn) -> Iterator[list[Drawn]]:
    """The clips of every step; of lost workers the work is done again, by new ones."""
    share, lost = _Share(mixture, places), 0
    if not workers:
        yield from (share[step] for step in steps)
        return
    while steps:
        loader = DataLoader(
            share,
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=pin,
        )
        try:
            for drawn in _quiet(loader):
                steps = steps[1:]
                yield drawn
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            lost += 1
            if lost > _MOST_LOST:
                raise DataError(
                    f"workers lost {lost} times; last: {_one_line(error)}",
                    expected="workers that live: memory for each, and room in /dev/shm",
                    do="go on with --resume and fewer --workers, or --cache none",
                ) from None
            warn(f"lost a worker before step {steps[0] + 1}, started anew: {_one_line(error)}")


def _quiet(loader: DataLoader[list[Drawn]]) -> Iterator[list[Drawn]]:
    """Iterate; a worker's death is met where its clips are awaited, not by an exception in the middle of a step."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGCHLD) if main else None
    iterator = iter(loader)
    if main:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
    yield from iterator


def _as_it_is(drawn: Any) -> Any:
    return drawn


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
