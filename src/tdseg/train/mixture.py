"""Random clips from weighted sources, for every place in the batch of every step."""

from __future__ import annotations

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

_ATTEMPTS = 10
_COUNTED = 500
"""Frames whose labels are looked at for the class shares, at most."""


class Draw(NamedTuple):
    """A clip for one place of a batch."""

    clip: Clip | None
    """None where _ATTEMPTS draws in a row could not be read."""
    seed: int
    """Of all that is random about its augmentation."""
    problems: tuple[str, ...] = ()
    """Clips that could not be read and were replaced by this one."""


class Mixture(Dataset[Draw]):
    """Draws clips from weighted sources: `mixture[step, place]` is the clip at a place of a step's batch.

    A clip is a function of (seed, step, place in the batch): there is nothing to save or resume, and neither the number
    of processes nor of workers matters.

    Args:
        sources: with their weights.
        seed: of the run.
        cache: keep decoded clips "memory" (in this process), on the "device", or nowhere ("none"). Clips of a source
            whose frames are drawn anew each time (step of two numbers) are never kept.
        device: of cache="device".

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
        self.weights = torch.tensor([source.weight for source in sources])
        self.seed = seed
        self._device = device if cache == "device" else "cpu"
        self._keeps = [cache != "none" and source.step[0] == source.step[1] for source in sources]
        self._kept: dict[tuple[int, int], Clip] = {}

    def __getitem__(self, at: tuple[int, int]) -> Draw:
        """The clip at (step, place). One that cannot be read is replaced, by a rule that is as fixed."""
        problems: list[str] = []
        for attempt in range(_ATTEMPTS):
            generator = Generator().manual_seed(seed_of(self.seed, *at, attempt))
            which = int(torch.multinomial(self.weights, 1, generator=generator))
            index = int(torch.randint(len(self.datasets[which]), (), generator=generator))
            seed = int(torch.randint(2**31, (), generator=generator))
            try:
                return Draw(self._clip(which, index, generator), seed, tuple(problems))
            except DataError as error:
                problems.append(error.got)
        return Draw(None, 0, tuple(problems))

    def class_shares(self) -> Tensor:
        """(C,) share of each class among the labelled pixels of the mixture, from at most 500 frames of it.

        Raises:
            DataError: no pixel is labelled.
        """
        shares = torch.zeros(len(self.classes))
        for weight, dataset in zip(self.weights.tolist(), self.datasets, strict=True):
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
            self._kept[which, index] = clip
        return clip


def seed_of(*numbers: int) -> int:
    """One 32-bit seed from several numbers, well mixed."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
