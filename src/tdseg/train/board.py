"""A run in TensorBoard: `tensorboard --logdir DIR`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from tdseg.masks.draw import overlay
from tdseg.masks.palette import Colors, color_table
from tdseg.measure.evidence import Example
from tdseg.train.watch import Run, Step, Warn, Watcher

PANEL_WIDTH = 640
"""Largest width of a picture of the three that show an example, pixels."""


class Board(Watcher):
    """Writes TensorBoard events into the folder of the run.

    A resumed run goes on in a new file, which takes back what was written after the checkpoint: curves have one point
    for each step. Events that cannot be written, as on a full disk, do not end a run.

    Args:
        warn: told once that there will be no more events.
    """

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._writer: SummaryWriter | None = None

    def start(self, run: Run) -> None:
        """Open a file of events."""
        self._frames = run.recipe.batch * run.recipe.length
        self._colors = color_table(run.model.config.palette)
        with self._surviving():
            self._writer = SummaryWriter(str(run.output), purge_step=run.start + 1)

    def step(self, step: Step) -> None:
        """Loss and its terms, learning rate, readings of the memory, images per second, share of time spent waiting."""
        seconds = max(step.seconds, 1e-9)
        self._scalars(step.number, "loss/", {"total": sum(step.terms.values()), **step.terms})
        speed = {"images_per_second": self._frames / seconds, "waiting": step.waited / seconds}
        self._scalars(step.number, "train/", {"lr": step.lr, **step.readings, **speed})

    def evaluated(self, number: int, figures: dict[str, Any], examples: list[Example]) -> None:
        """All figures that are one number, IoU of each class, and the examples: frame, label, mask."""
        single = {key: value for key, value in figures.items() if isinstance(value, (int, float))}
        self._scalars(number, "evaluation/", single)
        self._scalars(number, "iou/", {name: iou for name, iou in figures["iou"].items() if iou is not None})
        with self._surviving():
            if self._writer:
                for index, example in enumerate(examples):
                    picture = side_by_side(example, self._colors)
                    self._writer.add_image(f"examples/{index}", picture, number, dataformats="HWC")
                self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        with self._surviving():
            writer, self._writer = self._writer, None
            if writer:
                writer.close()

    def _scalars(self, number: int, prefix: str, values: dict[str, float]) -> None:
        with self._surviving():
            if self._writer:
                for name, value in values.items():
                    self._writer.add_scalar(prefix + name, value, number)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            self._warn(f"no more TensorBoard events: {error.strerror or error}")


def side_by_side(example: Example, colors: Colors) -> NDArray[np.uint8]:
    """Frame, label over it, and mask over it: uint8 (h, w, 3) RGB, each at most PANEL_WIDTH wide."""
    frame, label, mask = example
    pictures: Sequence[NDArray[np.uint8]] = (frame, overlay(frame, label, colors), overlay(frame, mask, colors))
    panels = [Image.fromarray(picture) for picture in pictures]
    for panel in panels:
        panel.thumbnail((PANEL_WIDTH, PANEL_WIDTH))
    return np.concatenate([np.asarray(panel) for panel in panels], axis=1)
