"""The page of `tdseg compare`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tdseg.metrics.bootstrap import INTERVALS
from tdseg.metrics.figures import FIGURES, FLOWS, flow_key, flow_note, shown, shown_between
from tdseg.metrics.iou import VOID
from tdseg.report.markup import Html, Series, join, key, rgb, swatch, tag
from tdseg.report.page import A, B, card, cards, columns, figure, page, picture, section, table, video
from tdseg.report.plots import areas, bars, histogram, lines, milliseconds, over_time

if TYPE_CHECKING:
    from tdseg.measure.compare.difference import ClassPair, Comparison, SideFigures

APART = "var(--apart)"
ALONG = tuple(flow_key(key, flow) for key in ("flow_flip_rate", "tc") for flow in FLOWS)
"""The figures along flow."""
CONFUSED = 8
"""Pairs of classes that are listed."""


def comparison_page(comparison: Comparison) -> str:
    """A page of two sides on one video, with the video itself."""
    a, b = comparison.a, comparison.b
    title = join(
        tag("span", a.name, class_="a"), tag("span", " against ", class_="than"), tag("span", b.name, class_="b")
    )
    height, width = comparison.size
    facts = [
        ("video", comparison.video),
        ("frames", f"{comparison.frames}, {height}x{width}" + (f", {comparison.fps:g} fps" if comparison.fps else "")),
        ("A", a.about),
        ("B", b.about),
    ]
    if comparison.labels:
        facts.append(("labels", comparison.labels))
    if note := flow_note(a.flow_flips):
        facts.append(("flow", note.removeprefix("flow: ")))
    body = [
        cards(*_cards(comparison)),
        _sure(comparison) if comparison.sure else Html(),
        _film(comparison),
        _over_time(comparison),
        _moments(comparison),
        _classes(comparison),
        _shares(comparison),
    ]
    if a.latencies_ms or b.latencies_ms:
        body.insert(4, _latency(comparison))
    if comparison.problem:
        body.insert(0, tag("p", f"Incomplete: {comparison.problem}", class_="warning"))
    return page("tdseg compare", title, f"{a.name} against {b.name}", facts, *body)


def _sides(comparison: Comparison) -> list[tuple[Series, SideFigures]]:
    return [(Series(side.name, color), side) for side, color in ((comparison.a, A), (comparison.b, B))]


def _cards(comparison: Comparison) -> Iterator[Html]:
    sides = _sides(comparison)
    yield card("agreement", "pixels of the same class in both", f"{comparison.mean_agreement:.2f} %")
    yield card("mIoU of A and B", "one held against the other", _score(comparison.matrix.miou))
    if comparison.labels:
        scores = ((_score(side.matrix.miou), ink) for ink, side in sides)
        yield card("mIoU", "against the labels, void ignored", *scores)
    if timed := [(ink, side) for ink, side in sides if side.latencies_ms]:
        medians = ((milliseconds(float(np.median(side.latencies_ms))), ink) for ink, side in timed)
        yield card("latency p50", "frame handed over until its mask is there", *medians)
    for name in ("flip_rate", *ALONG, "vc8", "excess_flip_rate"):
        values = [(shown(name, value), ink) for ink, side in sides if (value := side.steadiness.get(name)) is not None]
        if values:
            yield card(FIGURES[name].name, FIGURES[name].meaning, *values)


def _sure(comparison: Comparison) -> Html:
    heads = ("", comparison.a.name, comparison.b.name, "second less first")
    rows = [
        (
            FIGURES[key].name,
            shown_between(key, both.a),
            shown_between(key, both.b),
            shown_between(key, both.difference, signed=True),
        )
        for key, both in comparison.sure.items()
    ]
    return section("How sure the difference is", table(heads, rows), note=INTERVALS)


def _film(comparison: Comparison) -> Html:
    names = (
        ("the frame", "", "top:2.5%;left:1.5%"),
        ("where they differ", APART, "top:2.5%;left:51.5%"),
        (comparison.a.name, A, "top:52.5%;left:1.5%"),
        (comparison.b.name, B, "top:52.5%;left:51.5%"),
    )
    chips = (tag("span", swatch(ink) if ink else Html(), name, style=place) for name, ink, place in names)
    film = comparison.film
    clip = video(film.mp4, film.size, frames=comparison.frames, seconds=1 / film.fps)
    legend = key(*_classes_seen(comparison).values())
    note = "Click into a plot over time, or on a moment further down, to see that place here."
    return section("Side by side", tag("div", clip, *chips, class_="film"), legend, note=note)


def _over_time(comparison: Comparison) -> Html:
    axis, sides = over_time(comparison.frames, comparison.fps), _sides(comparison)
    agreement = lines(axis, [(Series("agreement", APART), comparison.agreement)], "%", limit=100)
    plots = [figure("Agreement", agreement, meaning="pixels of the same class in both")]
    meaning = "pixels that change class from the frame before, motion included"
    kinds = [("Flip rate", meaning, [side.flips for _, side in sides])]
    for flow in comparison.a.flow_flips:
        meaning = f"the same along {FLOWS[flow]} flow: true motion taken out"
        kinds.append((f"Flow flip rate ({FLOWS[flow]})", meaning, [side.flow_flips[flow] for _, side in sides]))
    for name, meaning, rows in kinds:
        flips = [(ink, 100 * np.array(row)) for (ink, _), row in zip(sides, rows, strict=True)]
        drawing = lines(axis, flips, "%", limit=100)
        plots.append(figure(name, drawing, meaning=meaning, inks=[ink for ink, _ in flips]))
    note = "" if comparison.a.along_flow else "With pip install -e '.[metrics]', also along optical flow."
    return section("Over time", *plots, note=note)


def _latency(comparison: Comparison) -> Html:
    axis = over_time(comparison.frames, comparison.fps)
    timed = [(ink, side.latencies_ms) for ink, side in _sides(comparison) if side.latencies_ms]
    inks, meaning = [ink for ink, _ in timed], "dashed: p50; the last bin has all above p99"
    return section(
        "Latency",
        columns(
            figure("How often", histogram(timed, "ms"), meaning=meaning, inks=inks),
            figure("Frame by frame", lines(axis, timed, "ms"), inks=inks),
        ),
        note="From a frame handed over until its mask is in host memory, measured here, both models taking turns.",
    )


def _moments(comparison: Comparison) -> Html:
    pictures = [_moment(comparison, index, image) for index, image in comparison.film.moments.items()]
    if not pictures:
        return section("Where they differ most", note="Nowhere: both are equal in every frame.")
    note = "The frames that agree least, at least a second apart. Click one to see it in the video."
    return section("Where they differ most", tag("div", *pictures, class_="moments"), note=note)


def _moment(comparison: Comparison, index: int, image: Image.Image) -> Html:
    place = f"{index / comparison.fps:.2f} s, frame {index}" if comparison.fps else f"frame {index}"
    apart = comparison.apart[index]
    text = f"{place}" + (f"; most: {_names(comparison, apart)}, {100 * apart.share:.1f} %" if apart else "")
    caption = tag("div", tag("b", f"{comparison.agreement[index]:.1f} % agree"), tag("p", text))
    return tag("button", picture(image, f"the four panels at {place}"), caption, type_="button", data_frame=index)


def _classes(comparison: Comparison) -> Html:
    classes, iou = _classes_seen(comparison), comparison.matrix.iou
    rows = [(ink.name, [_bar(ink.color, iou[i])]) for i, ink in classes.items()]
    plots = [figure("IoU of A and B", bars(rows, top=100), meaning="of each class, the largest first")]
    if confused := comparison.confused(CONFUSED):
        lost = [(_names(comparison, apart), [(APART, apart.share, f"{100 * apart.share:.2f} %")]) for apart in confused]
        drawing = bars(lost, top=confused[0].share)
        plots.append(figure("What A says → what B says", drawing, meaning="share of all pixels"))
    content = [columns(*plots)]
    if comparison.labels:
        sides = [(ink, side.matrix.iou) for ink, side in _sides(comparison)]
        truth = [
            (ink.name, [_bar(side_ink.color, of_side[i]) for side_ink, of_side in sides])
            for i, ink in classes.items()
            if not all(np.isnan(of_side[i]) for _, of_side in sides)
        ]
        inks, meaning = [ink for ink, _ in sides], "IoU of each class, void ignored"
        content.append(figure("Against the labels", bars(truth, top=100), meaning=meaning, inks=inks))
    return section("Class by class", *content)


def _shares(comparison: Comparison) -> Html:
    axis, plots = over_time(comparison.frames, comparison.fps), []
    for side in (comparison.a, comparison.b):
        percent = 100 * side.shares
        series = [(ink, percent[:, index]) for index, ink in _classes_seen(comparison).items()]
        plots.append(figure(side.name, areas(axis, series, "%", 100)))
    legend = key(*_classes_seen(comparison).values())
    return section("What is in the picture", columns(*plots), legend, note="Share of all pixels that each class has.")


def _classes_seen(comparison: Comparison) -> dict[int, Series]:
    """The classes that occur, the largest first, by their share on both sides."""
    shares = comparison.a.shares.mean(0) + comparison.b.shares.mean(0)
    names, colors = comparison.classes.names, comparison.classes.colors
    order = [index for index in np.argsort(-shares).tolist() if shares[index] > 0]
    return {index: Series(names[index], rgb(colors[index].tolist())) for index in order}


def _bar(color: str, percent: float) -> tuple[str, float, str]:
    return color, float(percent), _score(percent)


def _score(value: float) -> str:
    """Percent; – where there is none."""
    return "–" if np.isnan(value) else f"{value:.1f} %"


def _names(comparison: Comparison, apart: ClassPair) -> str:
    names = comparison.classes.names
    return " → ".join("void" if i == VOID else names[i] if i < len(names) else f"class {i}" for i in apart[:2])
