"""Plots that fit any width: lines and areas as SVG that stretches, all text as HTML that does not.

The script of the page shows the values under the pointer; what it needs stands in `data-plot`, as JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.report.markup import Html, Series, swatch, tag

MOST_POINTS = 600
"""Of a line; more cannot be told apart on a screen."""
MOST_BINS = 40

Values = NDArray[np.float64]
Row = Sequence[float] | NDArray[np.floating]


class Axis(NamedTuple):
    """Time, or what else a plot has along the bottom."""

    values: Values
    """(T,), growing."""
    unit: str

    def across(self, x: Values) -> Values:
        """Values as places from left to right, percent."""
        places: Values = 100 * (x - self.values[0]) / (float(self.values[-1] - self.values[0]) or 1.0)
        return places


def over_time(count: int, fps: float | None) -> Axis:
    """The axis of so many frames: in seconds, or in frames where there is no rate."""
    frames = np.arange(count, dtype=float)
    return Axis(frames / fps, "s") if fps else Axis(frames, "frame")


def lines(axis: Axis, series: Sequence[tuple[Series, Row]], unit: str, *, limit: float = math.inf) -> Html:
    """Lines over an axis, whose other axis goes from 0, or from the least value where all are nearer to the limit.

    Args:
        axis: of T values.
        series: T values each; NaN: none there. Of a long one, what is far from the rest stays visible.
        unit: of the values.
        limit: what no value can exceed.
    """
    every = np.concatenate([np.asarray(values, float) for _, values in series])
    known = every[np.isfinite(every)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    low = min(low, 0.99 * high) if low > limit / 2 else 0.0
    ticks = nice_ticks(low, high or 1.0)
    if ticks[-1] > limit:
        ticks = [*(tick for tick in ticks if tick < limit), limit]
    x, thinned = _thinned(axis, series, _farthest)
    shapes = [_path(_points(x, y, axis, ticks), ink.color) for ink, y in thinned]
    return _plot(axis, ticks, unit, shapes, x, thinned)


def areas(axis: Axis, series: Sequence[tuple[Series, Row]], unit: str, top: float) -> Html:
    """Areas, one upon the other, which together reach the top at most; arguments as in `lines`."""
    x, thinned = _thinned(axis, series, np.mean)
    ticks, shapes, floor = [0.0, top / 2, top], [], np.zeros(len(x))
    for ink, y in thinned:
        upper, lower = _points(x, floor + y, axis, ticks), _points(x, floor, axis, ticks)
        outline = _d([*upper, *reversed(lower)]) + "Z"
        shapes.append(tag("path", d=outline, fill=ink.color, class_="area"))
        floor = floor + y
    return _plot(axis, ticks, unit, shapes, x, thinned, class_="plot tall")


def histogram(series: Sequence[tuple[Series, Row]], unit: str) -> Html:
    """How often values occur, in percent of each series, with a line at each median; the last bin has all above p99."""
    arrays = [np.asarray(values, float) for _, values in series]
    low, high = min(values.min() for values in arrays), max(np.percentile(values, 99) for values in arrays)
    bins = min(MOST_BINS, 8 + max(map(len, arrays)) // 8)
    edges = np.linspace(low, max(high, 1.001 * low + 1e-9), bins + 1)
    counts = [np.histogram(np.minimum(values, edges[-1]), edges)[0] for values in arrays]
    shares = [100 * count / len(values) for count, values in zip(counts, arrays, strict=True)]
    axis, ticks = Axis(edges, unit), nice_ticks(0, max(float(share.max()) for share in shares))
    shapes = []
    for (ink, _), values, share in zip(series, arrays, shares, strict=True):
        steps = _points(np.repeat(edges, 2)[1:-1], np.repeat(share, 2), axis, ticks)
        shapes.append(tag("path", d=_d([(0, 100), *steps, (100, 100)]) + "Z", fill=ink.color, class_="bin"))
        shapes.append(_path(steps, ink.color))
        median = _points(np.full(2, np.median(values)), np.array([0, ticks[-1]]), axis, ticks)
        shapes.append(tag("path", d=_d(median), stroke=ink.color, class_="median"))
    centres = (edges[1:] + edges[:-1]) / 2
    return _plot(axis, ticks, "%", shapes, centres, [(ink, y) for (ink, _), y in zip(series, shares, strict=True)])


def bars(rows: Sequence[tuple[str, Sequence[tuple[str, float, str]]]], *, top: float) -> Html:
    """Bars from left to right.

    Args:
        rows: (name, bars); of each bar its colour, its value (NaN: none), and the value as text.
        top: the value of a bar over the whole width.
    """
    return tag(
        "div",
        *(
            tag("div", tag("span", name, class_="name"), tag("div", *(_bar(*bar, top) for bar in group)), class_="row")
            for name, group in rows
        ),
        class_="bars",
    )


def matrix(rows: Sequence[str], columns: Sequence[str], percent: Values, right: Sequence[int]) -> Html:
    """Numbers in a table that colours show; it scrolls sideways where it is too wide.

    Args:
        rows, columns: names.
        percent: (R, C), 0 … 100.
        right: of each row the column that is good to be high.
    """
    head = tag("tr", tag("th"), *(tag("th", tag("span", name)) for name in columns))
    body = (
        tag("tr", tag("th", name), *(_cell(value, j == good) for j, value in enumerate(values)))
        for name, values, good in zip(rows, percent.tolist(), right, strict=True)
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body), class_="matrix"), class_="scroll")


def parts(series: Sequence[tuple[Series, float, str]]) -> Html:
    """One bar of parts that add up; of each its value, and the value as text."""
    total = sum(value for _, value, _ in series) or 1.0
    strip = (
        tag("div", style=f"width:{100 * value / total:.3f}%;background:{ink.color}", title=f"{ink.name}: {text}")
        for ink, value, text in series
    )
    names = (tag("span", swatch(ink.color), ink.name, " ", tag("b", text)) for ink, _, text in series)
    return tag("div", tag("div", *strip, class_="strip"), tag("div", *names, class_="key"), class_="parts")


def nice_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers, equally far apart, the first at most `low` and the last at least `high`."""
    rough = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def milliseconds(value: float) -> str:
    """With its unit; tenths below 100."""
    return f"{value:.{0 if value >= 99.95 else 1}f} ms"


def number(value: float) -> str:
    """With as many digits as a reader wants: four at most, no zeros at the end."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


# --- parts of a plot ------------------------------------------------------------------------------------------------


def _plot(
    axis: Axis,
    ticks: Sequence[float],
    unit: str,
    shapes: Sequence[Html],
    x: Values,
    series: Sequence[tuple[Series, Values]],
    *,
    class_: str = "plot",
) -> Html:
    """Shapes in a square of 100 × 100 with y downwards, the axes around them, and the values for the script."""
    bottom, top = ticks[0], ticks[-1]
    levels = [100 * (tick - bottom) / (top - bottom) for tick in ticks]
    grid = (tag("path", d=f"M0 {100 - level:.3f}H100", class_="grid") for level in levels)
    first, last = float(axis.values[0]), float(axis.values[-1])
    below = [tick for tick in nice_ticks(first, max(last, first + 1e-9)) if first <= tick <= last] or [first]
    data = {
        "unit": unit,
        "axis": axis.unit,
        "x": _rounded(x),
        "at": _rounded(axis.across(x)),
        "series": [{"name": ink.name, "color": ink.color, "values": _rounded(values)} for ink, values in series],
    }
    svg = tag("svg", *grid, *shapes, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")
    return tag(
        "div",
        tag("div", *_labels(unit, ticks, levels, "bottom"), class_="y"),
        tag("div", svg, class_="field"),
        tag("div", *_labels(axis.unit, below, axis.across(np.array(below)), "left"), class_="x"),
        class_=class_,
        data_plot=json.dumps(data, separators=(",", ":")),
        data_time=axis.unit in {"s", "frame"},
    )


def _labels(unit: str, ticks: Sequence[float], places: Row, side: str) -> Iterator[Html]:
    """The last has the unit; those at the ends of the axis stay within it."""
    for tick, place in zip(ticks, places, strict=True):
        end, text = "begin" if place < 3 else "end" if place > 97 else None, number(tick)
        if tick == ticks[-1]:
            text = f"frame {text}" if unit == "frame" else f"{text} {unit}"
        yield tag("span", text, style=f"{side}:{place:.3f}%", class_=end)


def _cell(percent: float, good: bool) -> Html:
    color = f"color-mix(in srgb, var({'--a' if good else '--apart'}) {min(percent, 85):.0f}%, transparent)"
    shown = percent >= 0.5
    return tag("td", f"{percent:.0f}" if shown else "", style=f"background:{color}" if shown else None)


def _bar(color: str, value: float, text: str, top: float) -> Html:
    width = 0.0 if math.isnan(value) else 100 * min(max(value / (top or 1.0), 0.0), 1.0)
    return tag(
        "div",
        tag("div", tag("div", style=f"width:{width:.3f}%;background:{color}"), class_="track"),
        tag("span", text),
        class_="bar",
    )


def _points(x: Values, y: Values, axis: Axis, ticks: Sequence[float]) -> list[tuple[float, float]]:
    """Places in the square; NaN where there is none."""
    down = 100 - 100 * (y - ticks[0]) / (ticks[-1] - ticks[0])
    return list(zip(axis.across(x).tolist(), down.tolist(), strict=True))


def _path(points: Sequence[tuple[float, float]], color: str) -> Html:
    return tag("path", d=_d(points), stroke=color, class_="line")


def _d(points: Sequence[tuple[float, float]]) -> str:
    """Straight lines from point to point, broken where one is missing."""
    text, command = "", "M"
    for x, y in points:
        known = not math.isnan(y)
        text += f"{command}{x:.2f} {y:.2f}" if known else ""
        command = "L" if known else "M"
    return text


def _thinned(
    axis: Axis, series: Sequence[tuple[Series, Row]], keep: Callable[[Values], float]
) -> tuple[Values, list[tuple[Series, Values]]]:
    """At most MOST_POINTS values of the axis, and of each series what is kept of the run that begins there."""
    starts = range(0, len(axis.values), math.ceil(len(axis.values) / MOST_POINTS))
    runs = [(ink, np.split(np.asarray(values, float), starts[1:])) for ink, values in series]
    return axis.values[starts], [(ink, np.array([keep(run) for run in of_ink])) for ink, of_ink in runs]


def _farthest(run: Values) -> float:
    """The value that tells most of a run: the one farthest from its median."""
    known = run[np.isfinite(run)]
    return float(known[np.abs(known - np.median(known)).argmax()]) if known.size else math.nan


def _rounded(values: Values) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values.tolist()]
