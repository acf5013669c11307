"""Which clips a training step sees."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from tdseg.data.clip import Clip
from tdseg.data.source import Source, open_source
from tdseg.errors import ConfigError


class Mixture:
    """Draws clips from weighted sources. A step's clips are a function of seed and step: nothing to save or resume.

    Args:
        sources: what to draw from.
        seed: of the run.

    Raises:
        ConfigError: the sources' classes differ.
    """

    def __init__(self, sources: tuple[Source, ...], seed: int) -> None:
        self.datasets = [open_source(source) for source in sources]
        first = self.datasets[0]
        if any(tuple(dataset.classes) != tuple(first.classes) for dataset in self.datasets):
            raise ConfigError(
                f"sources with different classes: {[list(dataset.classes) for dataset in self.datasets]}",
                expected="the same classes in the same order",
                do="train on sources that share their labels",
            )
        self.classes, self.palette = tuple(first.classes), tuple(first.palette)
        self.weights = torch.tensor([source.weight for source in sources])
        self.seed = seed

    def draw(self, step: int, count: int) -> tuple[list[Clip], Generator]:
        """`count` clips for a step, and the generator for everything else that is random about the step."""
        generator = Generator().manual_seed(self.seed * 1_000_003 + step)
        clips = []
        for which in torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist():
            dataset = self.datasets[which]
            clips.append(dataset[int(torch.randint(len(dataset), (), generator=generator))])
        return clips, generator

    def class_shares(self, num_classes: int) -> Tensor:
        """(C,) share of each class among the labelled pixels of the first source."""
        counts = torch.zeros(256)
        for i in range(len(self.datasets[0])):
            counts += torch.bincount(self.datasets[0][i].labels.flatten(), minlength=256)
        return counts[:num_classes] / counts[:num_classes].sum()
