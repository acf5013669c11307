"""The page of `tdseg eval`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tdseg.masks.palette import color_table
from tdseg.metrics.figures import FIGURES, shown
from tdseg.report.markup import Html, Series, key, rgb
from tdseg.report.page import A, card, cards, columns, figure, page, picture, section
from tdseg.report.plots import bars, matrix

if TYPE_CHECKING:
    from tdseg.measure.evaluate import Evaluation
    from tdseg.measure.evidence import Evidence

ACCURACY = ("miou", "miou_streamed", "pixel_accuracy")
APART = "var(--apart)"
CONFUSED = 8
"""Pairs of classes that are listed."""
BESIDE = 12
"""Classes of a matrix that leaves room beside it."""
MOST_CLASSES = 40
"""Of a matrix that can be read."""
STEADINESS = tuple(key for key in FIGURES if key not in (*ACCURACY, "per_path", "flip_rate_by_phase"))


def evaluation_page(evaluation: Evaluation) -> str:
    """A page of what `tdseg.measure.evaluate.evaluate_model` gives."""
    figures, palette, evidence = evaluation
    facts = [("frames", str(figures["frames"])), ("runtime", f"{figures['runtime']} {figures['precision']}")]
    if figures.get("memory"):
        facts.append(("memory", f"of {figures['memory']} frames"))
    if figures["fps"]:
        facts.append(("video", f"at {figures['fps']:g} Hz"))
    facts.append(("protocol", figures["protocol"]))
    body = [cards(*_cards(figures, ACCURACY)), _classes(figures["iou"], palette)]
    counts, names = evidence.matrix.counts, list(figures["iou"])
    if counts.any():
        body.append(_confused(counts, names))
    if evidence.worst:
        body.append(_examples(evidence, names, palette))
    if steady := _cards(figures, STEADINESS):
        note = "Read steadiness beside accuracy: an empty mask never flickers."
        body.append(section("Steadiness", cards(*steady), note=note))
    if rows := [row for key in ("per_path", "flip_rate_by_phase") if (row := _split(figures, key))]:
        note = "Paths take turns, and every path met every frame. Alike is good: differences show as a rhythm."
        body.append(section("Path by path", *rows, note=note))
    return page("tdseg eval", figures["model"], figures["model"], facts, *body)


def _cards(figures: dict[str, Any], keys: Sequence[str]) -> list[Html]:
    known = ((key, value) for key in keys if (value := figures.get(key)) is not None)
    return [card(FIGURES[key].name, FIGURES[key].meaning, shown(key, value)) for key, value in known]


def _classes(iou: dict[str, float | None], palette: Sequence[tuple[int, int, int]]) -> Html:
    rows = [
        (name, [(rgb(color), float("nan") if value is None else value, "–" if value is None else f"{value:.1f} %")])
        for (name, value), color in zip(iou.items(), palette, strict=True)
    ]
    note = "Intersection over union: what is right, over what is labelled or predicted so. – is in neither."
    return section("IoU by class", figure("IoU", bars(rows, top=100), meaning="percent, over all frames"), note=note)


def _confused(counts: NDArray[np.int64], names: list[str]) -> Html:
    """Which classes are taken for which: a matrix, if it can be read, and the commonest pairs."""
    heads = [*names, "no class"]
    off = counts.copy()
    np.fill_diagonal(off, 0)
    places = [divmod(int(place), len(heads)) for place in np.argsort(off, axis=None)[::-1][:CONFUSED]]
    shares = {(i, j): 100 * float(off[i, j]) / int(counts.sum()) for i, j in places if off[i, j]}
    pairs = [(f"{names[i]} → {heads[j]}", [(APART, x, f"{x:.2f} %")]) for (i, j), x in shares.items()]
    parts = []
    rows = [i for i in range(len(names)) if counts[i].any()]
    if len(rows) <= MOST_CLASSES:
        columns_ = [j for j in range(len(heads)) if counts[:, j].any() or j in rows]
        of_row = 100 * counts[np.ix_(rows, columns_)] / counts[rows].sum(1, keepdims=True)
        right = [columns_.index(i) for i in rows]
        drawing = matrix([names[i] for i in rows], [heads[j] for j in columns_], of_row, right)
        meaning = "percent of the pixels of a class, each row 100; blank: below 0.5"
        parts.append(figure("What a class is taken for", drawing, meaning=meaning))
    if pairs:
        drawing = bars(pairs, top=max(shares.values()))
        parts.append(figure("Label → mask", drawing, meaning="share of all labelled pixels, the most first"))
    note = "A row for each class of the labels, a column for each of the masks, all paths together."
    beside = len(rows) <= BESIDE
    return section("What is taken for what", *([columns(*parts)] if beside else parts), note=note)


def _examples(evidence: Evidence, names: list[str], palette: Sequence[tuple[int, int, int]]) -> Html:
    colors = color_table(palette)
    pictures = [
        figure(
            f"{worst.accuracy:.1f} % right",
            picture(worst.picture(colors, len(names)), f"frame {worst.number}: itself, what is wrong, label, mask"),
            meaning=f"frame {worst.number}",
        )
        for worst in evidence.worst
    ]
    note = (
        f"Of each of {len(evidence.worst)} equal parts of the data the frame with the fewest right pixels: above the "
        "frame itself and what is wrong, below the label and the mask."
    )
    classes = key(*(Series(name, rgb(color)) for name, color in zip(names, palette, strict=True)))
    return section("Where it is wrong", classes, columns(*pictures), note=note)


def _split(figures: dict[str, Any], key: str) -> Html | None:
    """Bars of the values of each path; None where there is only one."""
    values = figures.get(key) or []
    known = [value for value in values if value is not None]
    if len(values) < 2 or len(known) < len(values):
        return None
    what, top = ("path", 100) if key == "per_path" else ("phase", max(known))
    rows = [(f"{what} {index}", [(A, value, shown(key, value))]) for index, value in enumerate(values)]
    return figure(FIGURES[key].name, bars(rows, top=top))
