"""Clips from weighted sources in random order, for every place in the batch of every step."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from tdseg.data.clip import Clip
from tdseg.data.source import Source, open_source
from tdseg.errors import ConfigError, DataError
from tdseg.metrics.iou import VOID
from tdseg.train.sampling import Sampling

_ATTEMPTS = 10
_COUNTED = 500
"""Frames whose labels are looked at for the class shares, at most."""


class Draw(NamedTuple):
    """A clip for one place of a batch."""

    clip: Clip | None
    """None where _ATTEMPTS clips in a row could not be read."""
    seed: int
    """Of all that is random about its augmentation."""
    problems: tuple[str, ...] = ()
    """Clips that could not be read and were replaced by this one."""
    full: bool = False
    """The process that made it has no room to keep further clips."""


class Mixture(Dataset[Draw]):
    """Draws clips from weighted sources: `mixture[n]` is the n-th clip of the run.

    `Sampling` says which that is. It is a function of (seed, n): there is nothing to save or resume, and neither the
    number of processes nor of workers matters.

    Args:
        sources: with their weights.
        seed: of the run.
        cache: keep decoded clips "memory" (in this process), on the "device", or nowhere ("none"). Clips of a source
            whose frames are drawn anew each time (step of two numbers) are never kept.
        device: of cache="device".
        room: bytes of the clips that are kept in a process at most; None: any number.

    Raises:
        ConfigError: the sources' classes differ.
        DataError: a source holds no clips, or is not there.
    """

    def __init__(
        self,
        sources: tuple[Source, ...],
        seed: int,
        cache: Literal["none", "memory", "device"] = "memory",
        device: torch.device | str = "cpu",
        room: int | None = None,
    ) -> None:
        self.datasets = [open_source(source) for source in sources]
        first = self.datasets[0]
        if any(tuple(dataset.classes) != tuple(first.classes) for dataset in self.datasets):
            raise ConfigError(
                f"sources with different classes: {[list(dataset.classes) for dataset in self.datasets]}",
                expected="the same classes in the same order",
                do="train on sources that share their labels",
            )
        for source, dataset in zip(sources, self.datasets, strict=True):
            if not len(dataset):
                raise DataError(
                    f"{source.data} {source.split} has no clip of {source.length} frames",
                    expected="at least one",
                    do="shorten the source's length, or complete the data",
                )
        self.classes, self.palette = tuple(first.classes), tuple(first.palette)
        self.weights = [source.weight for source in sources]
        self.seed = seed
        self.room = math.inf if room is None else room
        self._sampling = Sampling(self.weights, [len(dataset) for dataset in self.datasets], seed)
        self._device = device if cache == "device" else "cpu"
        self._keeps = [cache != "none" and source.step[0] == source.step[1] for source in sources]
        self._kept: dict[tuple[int, int], Clip] = {}
        self._size, self._full = 0, False  # bytes of what is kept

    def __getitem__(self, number: int) -> Draw:
        """The n-th clip. One that cannot be read is replaced by the next of its source that can be."""
        problems: list[str] = []
        which, turn = self._sampling.turn(number)
        for attempt in range(_ATTEMPTS):
            generator = Generator().manual_seed(seed_of(self.seed, number, attempt))
            seed = int(torch.randint(2**31, (), generator=generator))
            try:
                clip = self._clip(which, self._sampling.clip(which, turn + attempt), generator)
            except DataError as error:
                problems.append(error.got)
            else:
                return Draw(clip, seed, tuple(problems), self._full)
        return Draw(None, 0, tuple(problems))

    def class_shares(self) -> Tensor:
        """(C,) share of each class among the labelled pixels of the mixture, from at most 500 frames of it.

        Raises:
            DataError: no pixel is labelled.
        """
        shares = torch.zeros(len(self.classes))
        for weight, dataset in zip(self.weights, self.datasets, strict=True):
            counts = torch.zeros(256)
            stride = -(-len(dataset) * dataset.length * len(self.datasets) // _COUNTED)
            for index in range(0, len(dataset), stride):
                with suppress(DataError):  # named when it is drawn
                    clip = dataset.clip(index, Generator().manual_seed(index))
                    counts += torch.bincount(clip.labels.flatten(), minlength=256)
            counts = counts[: len(shares)]
            shares += weight * counts / counts.sum().clamp(min=1)
        if not shares.any():
            raise DataError(
                f"sources in which every pixel is unlabelled ({VOID})",
                expected="labels in one of them",
                do="check the labels, or add a labelled source",
            )
        return shares / shares.sum()

    def _clip(self, which: int, index: int, generator: Generator) -> Clip:
        if (kept := self._kept.get((which, index))) is not None:
            return kept
        clip = Clip(*(x.to(self._device) for x in self.datasets[which].clip(index, generator)))
        if self._keeps[which]:
            size = sum(x.nbytes for x in clip)
            self._full = self._full or self._size + size > self.room  # those kept stay: each comes once in an epoch
            if not self._full:
                self._kept[which, index] = clip
                self._size += size
        return clip


def seed_of(*numbers: int) -> int:
    """One 32-bit seed from several numbers, well mixed."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
