"""The page of `tdseg compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tdseg.metrics.figures import FIGURES, shown
from tdseg.metrics.iou import VOID
from tdseg.report.markup import Html, Ink, join, key, rgb, swatch, tag
from tdseg.report.page import A, B, card, cards, columns, figure, page, picture, section, video
from tdseg.report.plots import areas, bars, histogram, lines, milliseconds, over_time

if TYPE_CHECKING:
    from tdseg.measure.compare.film import Film
    from tdseg.measure.compare.tally import Apart, Comparison, Track

APART = "var(--apart)"
CONFUSED = 8
"""Pairs of classes that are listed."""


def comparison_page(comparison: Comparison, film: Film, moments: Sequence[int]) -> str:
    """A page of two sides on one video.

    Args:
        comparison: the figures.
        film: whose video goes into the page.
        moments: frames of the film to show as pictures, the worst first.
    """
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
    body = [
        cards(*_cards(comparison)),
        _film(comparison, film),
        _over_time(comparison),
        _moments(comparison, film, moments),
        _classes(comparison),
        _shares(comparison),
    ]
    if a.latencies_ms or b.latencies_ms:
        body.insert(3, _latency(comparison))
    if comparison.problem:
        body.insert(0, tag("p", f"Incomplete: {comparison.problem}", class_="warning"))
    return page("tdseg compare", title, f"{a.name} against {b.name}", facts, *body)


def _inks(comparison: Comparison) -> tuple[Ink, Ink]:
    return Ink(comparison.a.name, A), Ink(comparison.b.name, B)


def _cards(comparison: Comparison) -> list[Html]:
    sides = list(zip((comparison.a, comparison.b), _inks(comparison), strict=True))
    found = [card("agreement", "pixels of the same class in both", (f"{comparison.mean_agreement:.2f} %", None))]
    found.append(card("mIoU of A and B", "one held against the other", (_score(comparison.miou), None)))
    if comparison.labels:
        values = [(_score(track.miou), ink) for track, ink in sides]
        found.append(card("mIoU", "against the labels, void ignored", *values))
    if timed := [(track, ink) for track, ink in sides if track.latencies_ms]:
        medians = [(milliseconds(float(np.median(track.latencies_ms))), ink) for track, ink in timed]
        found.append(card("latency p50", "frame handed over until its mask is there", *medians))
    for measure in ("flip_rate", "flow_flip_rate", "tc", "vc8", "excess_flip_rate"):
        known = [(value, ink) for track, ink in sides if (value := track.steadiness.get(measure)) is not None]
        if known:
            name, _, meaning = FIGURES[measure]
            found.append(card(name, meaning, *((shown(measure, value), ink) for value, ink in known)))
    return found


def _film(comparison: Comparison, film: Film) -> Html:
    names = (
        ("the frame", "", "top:2.5%;left:1.5%"),
        ("where they differ", APART, "top:2.5%;left:51.5%"),
        (comparison.a.name, A, "top:52.5%;left:1.5%"),
        (comparison.b.name, B, "top:52.5%;left:51.5%"),
    )
    chips = (tag("span", swatch(ink) if ink else Html(), name, style=place) for name, ink, place in names)
    clip = video(film.path, film.size, frames=comparison.frames, seconds=1 / film.fps)
    legend = key(*(_class(comparison, index) for index in _largest_first(comparison)))
    note = "Click into a plot over time, or on a moment further down, to see that place here."
    return section("Side by side", tag("div", clip, *chips, class_="film"), legend, note=note)


def _over_time(comparison: Comparison) -> Html:
    axis = over_time(comparison.frames, comparison.fps)
    inks = list(zip(_inks(comparison), (comparison.a, comparison.b), strict=True))
    agreement = lines(axis, [(Ink("agreement", APART), comparison.agreement)], "%", limit=100)
    plots = [figure("Agreement", agreement, meaning="pixels of the same class in both")]
    flips = [(ink, _percent(track.flips)) for ink, track in inks]
    meaning = "pixels that change class from the frame before, motion included"
    plots.append(figure("Flip rate", lines(axis, flips, "%", limit=100), meaning=meaning, inks=_inks(comparison)))
    if comparison.a.flow_flips:
        flips = [(ink, _percent(track.flow_flips)) for ink, track in inks]
        meaning = "the same along optical flow: true motion taken out"
        plots.append(
            figure("Flow flip rate", lines(axis, flips, "%", limit=100), meaning=meaning, inks=_inks(comparison))
        )
    note = "" if comparison.a.flow_flips else "With pip install 'tdseg[metrics]', also along optical flow."
    return section("Over time", *plots, note=note)


def _latency(comparison: Comparison) -> Html:
    axis = over_time(comparison.frames, comparison.fps)
    tracks = zip(_inks(comparison), (comparison.a, comparison.b), strict=True)
    timed = [(ink, track.latencies_ms) for ink, track in tracks if track.latencies_ms]
    inks = [ink for ink, _ in timed]
    return section(
        "Latency",
        columns(
            figure(
                "How often", histogram(timed, "ms"), meaning="dashed: p50; the last bin has all above p99", inks=inks
            ),
            figure("Frame by frame", lines(axis, timed, "ms"), inks=inks),
        ),
        note="From a frame handed over until its mask is in host memory, measured here, both models taking turns.",
    )


def _moments(comparison: Comparison, film: Film, chosen: Sequence[int]) -> Html:
    if not chosen:
        return section("Where they differ most", note="Nowhere: both are equal in every frame.")
    pictures = film.pictures(chosen)
    return section(
        "Where they differ most",
        tag(
            "div",
            *(_moment(comparison, index, pictures[index]) for index in chosen if index in pictures),
            class_="moments",
        ),
        note="The frames that agree least, at least a second apart. Click one to see it in the video.",
    )


def _moment(comparison: Comparison, index: int, image: Image.Image) -> Html:
    place = f"{index / comparison.fps:.2f} s, frame {index}" if comparison.fps else f"frame {index}"
    apart = comparison.apart[index]
    text = f"{place}" + (f"; most: {_names(comparison, apart)}, {100 * apart.share:.1f} %" if apart else "")
    caption = tag("div", tag("b", f"{comparison.agreement[index]:.1f} % agree"), tag("p", text))
    return tag("button", picture(image, f"the four panels at {place}"), caption, type_="button", data_frame=index)


def _classes(comparison: Comparison) -> Html:
    order, iou = _largest_first(comparison), comparison.iou
    inks = {index: _class(comparison, index) for index in order}
    rows = [(ink.name, [(ink.color, float(iou[i]), _score(iou[i]))]) for i, ink in inks.items()]
    plots = [figure("IoU of A and B", bars(rows, top=100), meaning="of each class, the largest first")]
    if confused := comparison.confused(CONFUSED):
        lost = [(_names(comparison, apart), [(APART, apart.share, f"{100 * apart.share:.2f} %")]) for apart in confused]
        plots.append(
            figure("What A says → what B says", bars(lost, top=confused[0].share), meaning="share of all pixels")
        )
    content = [columns(*plots)]
    if comparison.labels:
        known = [i for i in order if not np.isnan(comparison.a.iou[i]) or not np.isnan(comparison.b.iou[i])]
        truth = [(inks[i].name, [_against(A, comparison.a, i), _against(B, comparison.b, i)]) for i in known]
        meaning = "IoU of each class, void ignored"
        content.append(figure("Against the labels", bars(truth, top=100), meaning=meaning, inks=_inks(comparison)))
    return section("Class by class", *content)


def _shares(comparison: Comparison) -> Html:
    axis = over_time(comparison.frames, comparison.fps)
    inks = {index: _class(comparison, index) for index in _largest_first(comparison)}
    plots = (
        figure(track.name, areas(axis, [(ink, 100 * track.shares[:, i]) for i, ink in inks.items()], "%", 100))
        for track in (comparison.a, comparison.b)
    )
    return section("What is in the picture", columns(*plots), note="Share of all pixels that each class has.")


def _largest_first(comparison: Comparison) -> list[int]:
    """The classes that occur, by their share on both sides."""
    shares = comparison.a.shares.mean(0) + comparison.b.shares.mean(0)
    return [index for index in np.argsort(-shares).tolist() if shares[index] > 0]


def _class(comparison: Comparison, index: int) -> Ink:
    return Ink(comparison.classes.names[index], rgb(comparison.classes.colors[index].tolist()))


def _against(color: str, track: Track, index: int) -> tuple[str, float, str]:
    value = float(track.iou[index])
    return color, value, _score(value)


def _score(value: float) -> str:
    """Percent; – where there is none."""
    return "–" if np.isnan(value) else f"{value:.1f} %"


def _names(comparison: Comparison, apart: Apart) -> str:
    names = comparison.classes.names
    return " → ".join("void" if i == VOID else names[i] if i < len(names) else f"class {i}" for i in apart[:2])


def _percent(shares: Sequence[float]) -> list[float]:
    return [100 * share for share in shares]
