from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.pages import Parsed
from tdseg.measure.evaluate import Evaluation
from tdseg.measure.evidence import Evidence
from tdseg.metrics.figures import FIGURES, shown
from tdseg.report import plots
from tdseg.report.evaluation import evaluation_page
from tdseg.report.markup import Html, Series, join, tag
from tdseg.report.page import card, cards, figure, page, picture, section, table

HOSTILE = "<script>alert(1)</script>\"'&</style>"
A, B = Series("one", "#112233"), Series(HOSTILE, "var(--b)")


def plot(markup: Html) -> dict[str, Any]:
    (found,) = Parsed(page("tdseg", "x", "x", [], markup)).plots
    return found


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "a < b", Html("<br>"), class_="x", data_y=1, hidden=True, id=None, open=False) == (
        '<p class="x" data-y="1" hidden>a &lt; b<br></p>'
    )
    assert join("&", Html("&amp;")) == "&amp;&amp;"
    assert HOSTILE not in tag("p", HOSTILE, title=HOSTILE)


def test_hostile_names_stay_text() -> None:
    series = [(A, [1.0, 2, 3]), (B, [3.0, 1, 2])]
    axis = plots.over_time(3, None)
    text = page(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        [(HOSTILE, HOSTILE)],
        cards(card(HOSTILE, HOSTILE, (HOSTILE, B))),
        figure(HOSTILE, plots.lines(axis, series, HOSTILE), meaning=HOSTILE, inks=[A, B]),
        section(HOSTILE, plots.bars([(HOSTILE, [("red", 1, HOSTILE)])], top=1), note=HOSTILE),
        plots.parts([(B, 1.0, HOSTILE)]),
        table([HOSTILE, HOSTILE], [(HOSTILE, HOSTILE)]),
        picture(Image.new("RGB", (4, 4)), HOSTILE),
    )
    parsed = Parsed(text)
    assert parsed.text.count("alert(1)") >= 10
    assert parsed.plots[0]["series"][1]["name"] == HOSTILE
    assert "<script>alert" not in text


def test_lines() -> None:
    drawn = plots.lines(plots.over_time(4, 2), [(A, [0.0, math.nan, 5, 10])], "%")
    assert re.findall(r'd="([^"]*)" stroke="#112233"', drawn) == ["M0.00 100.00M66.67 50.00L100.00 0.00"]
    data = plot(drawn)
    assert (data["x"], data["unit"], data["axis"]) == ([0, 0.5, 1, 1.5], "%", "s")
    assert data["series"] == [{"name": "one", "color": "#112233", "values": [0, None, 5, 10]}]


def test_long_lines_are_thinned_and_keep_their_peaks() -> None:
    values = np.zeros(10_000)
    values[7001] = 9
    data = plot(plots.lines(plots.over_time(10_000, None), [(A, values)], "ms"))
    (series,) = data["series"]
    assert len(series["values"]) == len(data["x"]) <= plots.MOST_POINTS
    assert max(series["values"]) == 9


def test_areas_stand_on_each_other() -> None:
    drawn = plots.areas(plots.over_time(2, 1), [(A, [25.0, 50]), (Series("two", "red"), [75.0, 50])], "%", 100)
    outlines = re.findall(r'd="([^"]*Z)"', drawn)
    assert outlines == [
        "M0.00 75.00L100.00 50.00L100.00 100.00L0.00 100.00Z",
        "M0.00 0.00L100.00 0.00L100.00 50.00L0.00 75.00Z",
    ]


def test_histogram_has_all_values() -> None:
    data = plot(plots.histogram([(A, [*range(99), 10_000.0]), (B, [5.0, 5, 5])], "ms"))
    one, two = data["series"]
    assert sum(one["values"]) == pytest.approx(100, abs=0.1)
    assert sum(two["values"]) == pytest.approx(100)
    assert max(data["x"]) < 1000


@pytest.mark.parametrize("values", [[1.0], [5.0, 5, 5], [0.0, 0], [math.nan, math.nan]])
def test_plots_of_little(values: list[float]) -> None:
    axis = plots.over_time(len(values), 10)
    drawn = [plots.lines(axis, [(A, values)], "%", limit=100)]
    if not math.isnan(values[0]):
        drawn += [plots.histogram([(A, values)], "ms"), plots.areas(axis, [(A, values)], "%", 100)]
    for markup in drawn:
        assert "nan" not in markup
        assert plot(markup)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, [0, 2.5, 5, 7.5, 10]), (95.9, 98.1, [95, 96, 97, 98, 99]), (0, 1e-6, [0, 2.5e-7, 5e-7, 7.5e-7, 1e-6])],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert plots.nice_ticks(low, high) == pytest.approx(ticks)


def test_bars_fit_their_track() -> None:
    drawn = plots.bars([("x", [("red", 150.0, "150"), ("blue", math.nan, "–"), ("lime", 25.0, "25")])], top=100)
    assert re.findall(r"width:([\d.]+)%", drawn) == ["100.000", "0.000", "25.000"]


def test_a_matrix_has_a_cell_for_each_pair() -> None:
    drawn = plots.matrix(["a", HOSTILE], ["a", HOSTILE, "no class"], np.array([[99.0, 1, 0], [0, 60, 40]]), [0, 1])
    assert re.findall(r"<td[^>]*>([^<]*)</td>", drawn) == ["99", "1", "", "", "60", "40"]
    assert re.findall(r"var\(--(\w+)\) (\d+)%", drawn) == [("a", "85"), ("apart", "1"), ("a", "60"), ("apart", "40")]
    assert HOSTILE not in drawn


def test_evaluation_page() -> None:
    figures = dict.fromkeys(FIGURES) | {
        "runtime": "torch",
        "precision": "fp32",
        "model": HOSTILE,
        "miou": 61.234,
        "iou": {"Road": 90.0, HOSTILE: None},
        "per_path": [60.0, 62.0],
        "flip_rate": 0.0234,
        "flip_rate_by_phase": [0.02, None],
        "fps": 15.0,
        "frames": 9,
        "protocol": HOSTILE,
    }
    evidence = Evidence(2, frames=9)
    frame, label = np.zeros((8, 8, 3), np.uint8), np.repeat(np.array([[0], [1]], np.uint8), (4, 4), 0).repeat(8, 1)
    mask = label.copy()
    mask[4, :4] = 0  # an eighth of the second class
    evidence.add(frame, label, [(0, mask), (1, label)])
    parsed = Parsed(evaluation_page(Evaluation(figures, [(1, 2, 3), (4, 5, 6)], evidence)))
    for text in ("61.23 %", "2.34 %", "90.0 %", "path 1", "62.00 %", "at 15 Hz", HOSTILE):
        assert text in parsed.text, text
    assert f"{HOSTILE} → Road3.12 %" in parsed.text  # 4 of 128 labelled pixels
    assert "93.8 % right frame 0" in parsed.text  # of the first phase
    assert parsed.tags.count("img") == parsed.tags.count("table") == 1
    assert "flip rate by phase" not in parsed.text  # not known of every path
    assert shown("flow_flip_rate", 0.5) == "0.500 /s"
