"""The figures of the study as a table and pictures."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from study_charts import Point, growth, scatter
from tdseg.files import write_whole
from tdseg.report.markup import Series

Results = Mapping[str, Mapping[str, Any]]
"""Figures by NAME-SEED."""
COLUMNS = {
    "mIoU": ("miou", "{:.2f}"),
    "by path": ("per_path", "{:.1f}"),
    "TC": ("tc", "{:.2f}"),
    "flips": ("flip_rate", "{:.2%}"),
    "by phase": ("flip_rate_by_phase", "{:.1%}"),
    "flips along flow, per second": ("flow_flip_rate", "{:.3f}"),
    "parameters, M": ("parameters", "{:.1f}"),
    "multiply-adds, G": ("multiply_adds", "{:.2f}"),
}
AIM = (3.0, 2.0)
"""Of TC and mIoU over the per-frame model."""
MARKS = re.compile(r"(?<=<!-- study -->\n).*(?=<!-- /study -->)", re.DOTALL)
OTHERS = re.compile(r"^\| (`[^|]*camvid`[^|]*?) +\| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)
"""Rows of the page's table of steadiness: name, mIoU, TC."""
PER_FRAME = Series("per frame", "#ff9f5a")
SMOOTHED = Series("per frame, smoothed", "#b0b6c2")
UNTRAINED = Series("motion, not trained", "#ffd866")
ATTENTION = Series("attention, shared", "#70a0ff")
INKS = {
    "lite0": PER_FRAME,
    "twin": PER_FRAME,
    "majority": SMOOTHED,
    "logits": SMOOTHED,
    "td4-lite0": UNTRAINED,
    "untrained": UNTRAINED,
    "motion": Series("motion, trained", "#4fd1c5"),
    "attention": ATTENTION,
    "td2-attention": ATTENTION,
    "shared": ATTENTION,
    "independent": Series("attention, independent", "#c792ea"),
}
"""Of rows, by the beginning of their names."""


def table(results: Results, titles: Mapping[str, str]) -> str:
    """One line for each row, mean ± standard deviation over seeds where there are several."""
    lines = [["row", "", "seeds", *COLUMNS], ["---"] * (len(COLUMNS) + 3)]
    for name, found in _by_row(results, titles):
        cells = [_cell([values[key] for values in found], form) for key, form in COLUMNS.values()]
        lines.append([f"`{name}`", titles[name], str(len(found)), *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def show(results: Results, titles: Mapping[str, str], page: Path) -> None:
    """Put the table between its marks, and the pictures beside the page.

    Args:
        results: as the study keeps them.
        titles: of all rows, in order.
        page: which has the table of steadiness, too.
    """
    text = page.read_text(encoding="utf-8")
    others = {_short(name): (float(tc), float(miou)) for name, miou, tc in OTHERS.findall(text)}
    start = others["lite0"]
    points = [Point(name, *at, _ink(name)) for name, at in others.items()]
    lengths = {1: start}
    for name, found in _by_row(results, titles):
        tc, miou = ([values[key] for values in found] for key in ("tc", "miou"))
        at = statistics.mean(tc), statistics.mean(miou)
        points.append(Point(name, *at, _ink(name), (_spread(tc), _spread(miou))))
        if name.startswith("untrained-td"):
            lengths[int(name.removeprefix("untrained-td"))] = at
    units = ("TC on val, percent", "mIoU on val, percent")
    plots = {
        "study.svg": scatter(points, units, (start[0] + AIM[0], start[1] + AIM[1]), start[0] - 1.5, (960, 640)),
        "study-memory.svg": growth(
            list(lengths),
            "frames that a mean stands for at most",
            [
                (Series(units[1], PER_FRAME.color), [miou for _, miou in lengths.values()]),
                (Series(units[0], UNTRAINED.color), [tc for tc, _ in lengths.values()]),
            ],
        ),
    }
    for name, plot in plots.items():
        write_whole(page.parent / name, plot)
    write_whole(page, MARKS.sub(lambda _: table(results, titles), text))


def _by_row(results: Results, titles: Mapping[str, str]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The rows that were run, in order, each with the figures of its seeds."""
    for name in titles:
        if found := [values for key, values in results.items() if key.rpartition("-")[0] == name]:
            yield name, found


def _cell(values: list[Any], form: str) -> str:
    if isinstance(values[0], list):  # the range over paths; nothing where there is one
        means = [statistics.mean(of_path) for of_path in zip(*values, strict=True)]
        return f"{form.format(min(means))}–{form.format(max(means))}" if len(means) > 1 else ""
    mean, spread = form.format(statistics.mean(values)), form.format(_spread(values))
    return mean if spread == form.format(0) else f"{mean} ± {spread}"


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _short(name: str) -> str:
    """Of a row of the table of steadiness."""
    return name.replace("`", "").removeprefix("lite0-camvid, ").removesuffix("-camvid")


def _ink(name: str) -> Series:
    """By the longest beginning of the name that has a colour."""
    return INKS[max((key for key in INKS if name.startswith(key)), key=len)]
