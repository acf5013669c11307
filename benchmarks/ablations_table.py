"""The rows of `ablations.py`: trained arms, what can be made of them without training, and their figures."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import tdseg
from tdseg.config import PLAIN, FrameView, ModelConfig
from tdseg.data.clip import ClipDataset
from tdseg.data.source import Source, open_source
from tdseg.measure.cost import multiply_adds
from tdseg.measure.evaluate import evaluate
from tdseg.metrics.basic import Mask
from tdseg.metrics.bootstrap import STRETCH, Trace, paired
from tdseg.metrics.figures import shown_between
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.models.tdnet import TDNet
from tdseg.system import cpu_threads
from tdseg.train.recipe import Recipe
from tdseg.video.pictures import RGB
from tdseg.zoo.catalog import model_config

FLOW = "farneback"
"""Along which steadiness is judged: no memory uses it."""
STRIDES = (1, 2, 4, 8)
VIEWS = (FrameView(zoom=1.25), PLAIN)
TEACHER, GROUPED = "teacher", "grouped"
"""Of the names of arms."""
STEP = 8
"""Sides of a larger input are multiples of it, pixels."""
MANY = 6
"""Videos from which on whole ones are drawn for an interval, instead of stretches."""


class Row(NamedTuple):
    """A model as it is run."""

    label: str
    model: TDNet


class Measured(NamedTuple):
    """A row on one data set."""

    miou: float
    tc: float | None
    """Percent, along Farnebäck flow; None: the data is no video."""
    trace: Trace
    """Of mIoU, every path on every frame in one confusion matrix."""
    stretch: int
    """Of the trace, for the bootstrap."""


class Table(NamedTuple):
    """All rows on all data sets."""

    data: list[str]
    rows: dict[str, tuple[float, list[Measured]]]
    """By label: multiply-adds per frame, 10⁹, and the figures by data set."""
    shallow: str
    """Label of the plain per-frame model."""
    equal: dict[str, str]
    """By label of a row, that of the per-frame model at equal cost."""


def rows(models: Mapping[str, TDNet], paths: int) -> Iterator[Row]:
    """The models as they were trained, and what else they can be.

    Args:
        models: by name of their arm.
        paths: m of the TDNet.
    """
    for name, model in models.items():
        yield Row(name, model)
        if model.config.paths == 1 and name != TEACHER:
            with_views = [()] if paths % len(VIEWS) else [(), VIEWS]
            for views in with_views:
                seen = ", views " + ", ".join(f"{view.zoom:g}" for view in views) if views else ""
                yield Row(f"{name}, consensus of {paths}{seen}", tdseg.add_memory(model, frames=paths, views=views))
        if not name.endswith(f"-{GROUPED}"):
            continue
        if model.config.propagation == "attention":
            for stride in STRIDES:
                if stride != model.config.memory_stride:
                    yield Row(f"{name}, memory stride {stride}", changed(model, memory_stride=stride))
        for missing in range(1, model.config.paths):
            yield Row(f"{name}, without the oldest {missing}", without_oldest(model, missing))


def changed(model: TDNet, **fields: Any) -> TDNet:
    """The same weights under another configuration."""
    other = TDNet(model.config.model_copy(update=fields)).eval()
    other.load_state_dict(model.state_dict())
    return other


def without_oldest(model: TDNet, missing: int) -> TDNet:
    """The model as it is when its oldest paths are missing."""
    other = changed(model)
    for path in map(other.path, range(other.config.distinct_paths)):
        path.propagation.left_out = missing
    return other


def at_costs(model: TDNet, wanted: Sequence[float]) -> list[TDNet]:
    """A per-frame model at the smallest inputs, of the same shape, at which it costs no less than each of the costs."""
    found, (height, width) = dict[float, TDNet](), model.config.size
    for larger in range(height, 4 * height, STEP):
        enlarged = changed(model, size=(larger, STEP * round(larger * width / height / STEP)))
        reached = cost(enlarged)
        found |= {each: enlarged for each in wanted if each <= reached and each not in found}
        if len(found) == len(set(wanted)):
            return [found[each] for each in wanted]
    raise AssertionError(f"{max(wanted)} G is more than 16 times what {model.config.name} costs")


def cost(model: TDNet) -> float:
    """Multiply-adds of a frame at the model's own size, mean of its paths, 10⁹."""
    return _cost(model.config)


@cache
def _cost(config: ModelConfig) -> float:
    return fmean(multiply_adds(TDNet(config), config.size)) / 1e9


def evaluated(recipe: Recipe, weights: Mapping[str, Path], splits: Mapping[str, str], jobs: int = 1) -> Table:
    """Every row on a split of each of the recipe's kinds of data; val, unless `splits` names another by kind.

    Args:
        recipe: of the TDNet.
        weights: of the arms, by name.
        splits: by kind of data.
        jobs: rows that are evaluated at once.
    """
    models = {name: tdseg.load(file) for name, file in weights.items()}
    alone = [name for name, model in models.items() if model.config.paths == 1 and name != TEACHER]
    shallow, best = alone[0], models[alone[-1]]
    every = {row.label: row.model for row in rows(models, model_config(recipe.model, num_classes=1).paths)}
    costs = {label: cost(model) for label, model in every.items() if label != TEACHER}
    equal = {}
    for label, larger in zip(costs, at_costs(best, list(costs.values())), strict=True):
        equal[label] = f"{alone[-1]}, input {larger.config.size[0]}×{larger.config.size[1]}"
        every.setdefault(equal[label], larger)
    kinds = {(source.data, source.root): source for source in recipe.sources}
    sources = [
        Source(data=kind, root=root, split=splits.get(kind, "val"), num_classes=source.num_classes)
        for (kind, root), source in kinds.items()
    ]
    measure_row = partial(_measure_row, sources=sources, threads=max(1, (os.cpu_count() or 1) // jobs))
    measured = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for (label, model), figures in zip(every.items(), pool.map(measure_row, every.values()), strict=True):
            print(f"evaluated {label}", flush=True)
            measured[label] = costs.get(label) or cost(model), figures
    return Table([open_source(source).name for source in sources], measured, shallow, equal)


def _measure_row(model: TDNet, sources: Sequence[Source], threads: int) -> list[Measured]:
    with cpu_threads(threads):
        return [measure(model, open_source(source)) for source in sources]


def measure(model: TDNet, data: ClipDataset) -> Measured:
    """A model on a data set."""
    matrix, trace = ConfusionMatrix(model.config.num_classes), Trace()
    videos = [data.sequence(index) for index in range(len(data))]
    whole = len(set(videos)) >= MANY
    seen = 0

    def add(frame: RGB, label: Mask, masks: list[tuple[int, Mask]]) -> None:
        nonlocal seen
        for _, mask in masks:
            matrix.update(mask, label)
        seen += 1
        if not whole or seen == len(videos) or videos[seen] != videos[seen - 1]:
            trace.add(matrix.sums)

    figures = evaluate(model.fuse(), data, flow=(FLOW,), on_masks=add)
    return Measured(figures["miou"], figures[f"tc_{FLOW}"], trace, 1 if whole else STRETCH)


def table(measured: Table) -> str:
    """In Markdown: a row each, with what it has over the per-frame model at equal cost, and how far it goes to the deep
    one from the shallow one.
    """
    columns = ["mIoU", "over equal cost", "of the way to the teacher", "TC"]
    titles = [f"{name}: {column}" for name in measured.data for column in columns]
    lines = [["", "multiply-adds, G", *titles], ["---"] * (2 + len(titles))]
    for label, (count, figures) in measured.rows.items():
        cells = [label, f"{count:.3f}"]
        for index, figure in enumerate(figures):
            against, shallow, deep = (
                measured.rows[name][1][index] if name in measured.rows else None
                for name in (measured.equal.get(label), measured.shallow, TEACHER)
            )
            assert shallow is not None
            way = (
                (figure.miou - shallow.miou) / (deep.miou - shallow.miou) if deep and deep.miou > shallow.miou else None
            )
            cells += [
                f"{figure.miou:.2f}",
                over(figure, against) if against else "–",
                "–" if way is None else f"{way:.0%}",
                "–" if figure.tc is None else f"{figure.tc:.2f}",
            ]
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def over(figures: Measured, against: Measured) -> str:
    """What the mIoU of one has over that of another, with its interval."""
    difference = paired(against.trace, figures.trace, stretch=figures.stretch).difference
    return shown_between("miou", difference, signed=True)
