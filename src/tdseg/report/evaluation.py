"""The page of `tdseg eval`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tdseg.metrics.figures import FIGURES, shown
from tdseg.report.markup import Html, rgb
from tdseg.report.page import A, card, cards, figure, page, section
from tdseg.report.plots import bars

ACCURACY = ("miou", "miou_streamed", "pixel_accuracy")
STEADINESS = tuple(key for key in FIGURES if key not in (*ACCURACY, "per_path", "flip_rate_by_phase"))


def evaluation_page(figures: dict[str, Any], palette: Sequence[tuple[int, int, int]]) -> str:
    """A page of what `tdseg.measure.evaluate.evaluate` gives.

    Args:
        figures: its keys, and model, runtime, precision and memory.
        palette: RGB of each class.
    """
    facts = [("frames", str(figures["frames"])), ("runtime", f"{figures['runtime']} {figures['precision']}")]
    if figures.get("memory"):
        facts.append(("memory", f"of {figures['memory']} frames"))
    if figures["fps"]:
        facts.append(("video", f"at {figures['fps']:g} Hz"))
    facts.append(("protocol", figures["protocol"]))
    body = [cards(*_cards(figures, ACCURACY)), _classes(figures["iou"], palette)]
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


def _split(figures: dict[str, Any], key: str) -> Html | None:
    """Bars of the values of each path; None where there is only one."""
    values = figures.get(key) or []
    known = [value for value in values if value is not None]
    if len(values) < 2 or len(known) < len(values):
        return None
    what, top = ("path", 100) if key == "per_path" else ("phase", max(known))
    rows = [(f"{what} {index}", [(A, value, shown(key, value))]) for index, value in enumerate(values)]
    return figure(FIGURES[key].name, bars(rows, top=top))
