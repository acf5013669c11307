"""A run on the terminal: progress where there is one, a line now and then where there is not."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tdseg.measure.evidence import Example
from tdseg.metrics.figures import FIGURES, shown
from tdseg.models.tdnet import TDNet
from tdseg.train.watch import Run, Step, Watcher

QUIET = 10.0
"""Seconds of training between two lines, where there is no terminal."""


class Printer(Watcher):
    """Prints what a run does.

    Args:
        out: where results go.
        err: where progress and warnings go.
    """

    def __init__(self, out: Console, err: Console) -> None:
        self.out = out
        self.err = err
        self._progress: Progress | None = None

    def start(self, run: Run) -> None:
        """Say what is trained, and from where it goes on."""
        recipe = run.recipe
        self._recipe, self._newest = recipe, deque[Step](maxlen=50)
        self._silent = QUIET  # so that the first step is seen
        if run.start:
            self._print(f"resumed at step {run.start}")
        self._print(f"{recipe.model}, {recipe.steps} steps, into {run.output}")
        if self.err.is_terminal:
            columns = (MofNCompleteColumn(), BarColumn(16), TextColumn("{task.description}"))
            self._progress = Progress(
                *columns, console=self.err, transient=True, redirect_stdout=self.out.is_terminal, refresh_per_second=4
            )
            self._task = self._progress.add_task("", total=recipe.steps, completed=run.start)
            self._progress.start()

    def step(self, step: Step) -> None:
        """Move on."""
        self._newest.append(step)
        if self._progress:
            self._progress.update(self._task, completed=step.number, description=self._pace())
            return
        self._silent += step.seconds
        if self._silent >= QUIET or step.number == self._recipe.steps:
            self._silent = 0.0
            self.err.print(f"step {step.number}/{self._recipe.steps}  {self._pace()}", soft_wrap=True)

    def evaluated(self, number: int, figures: dict[str, Any], examples: list[Example]) -> None:
        """Print the headline figures."""
        known = [
            f"{FIGURES[key][0]} {shown(key, figures[key])}"
            for key in ("miou", "tc", "tc_farneback")
            if figures.get(key) is not None
        ]
        self._print(f"step {number}: {', '.join(known)} ({figures['protocol'].partition(':')[0]})")

    def warn(self, message: str) -> None:
        """Print it where it is seen."""
        self.err.print(f"[yellow]warning:[/] {escape(message)}", soft_wrap=True)

    def finish(self, model: TDNet, weights: Path) -> None:
        """Say what was written."""
        self._print(f"wrote {weights}")

    def close(self) -> None:
        """Take the progress from the terminal."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _pace(self) -> str:
        """Means over the newest steps, for the eye."""
        steps, recipe = self._newest, self._recipe
        seconds = sum(step.seconds for step in steps) or 1e-9
        names = dict.fromkeys(name for step in steps for name in step.terms)
        means = {name: sum(step.terms.get(name, 0.0) for step in steps) / len(steps) for name in names}
        readings = "".join(f"  {name.replace('_', ' ')} {value:.1f}" for name, value in steps[-1].readings.items())
        left = timedelta(seconds=round(seconds / len(steps) * (recipe.steps - steps[-1].number)))
        return (
            f"loss {sum(means.values()):.3f} ({', '.join(f'{name} {mean:.3f}' for name, mean in means.items())})"
            f"{readings}  lr {steps[-1].lr:.2e}  {len(steps) * recipe.batch * recipe.length / seconds:.1f} images/s"
            f"  {sum(step.waited for step in steps) / seconds:.0%} waiting  {left} left"
        )

    def _print(self, line: str) -> None:
        self.out.print(escape(line), soft_wrap=True)
