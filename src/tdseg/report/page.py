"""The one design of all pages: header, cards of figures, sections. Style and script are files beside this one."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from importlib.resources import files

from PIL import Image

from tdseg.report.markup import Html, Series, join, key, swatch, tag
from tdseg.system import __version__

A, B = "var(--a)", "var(--b)"
"""Colours of the first and second of two that are compared; alone, something has the first."""


def page(verb: str, title: Html | str, text: str, facts: Sequence[tuple[str, str]], *body: Html) -> str:
    """A whole page.

    The policy in its head lets it load nothing and run no script but its own, whatever a name in it may hold.

    Args:
        verb: the command that made it, such as "tdseg bench".
        title: headline.
        text: the headline as plain text, for the browser's tab.
        facts: (name, value) of what was measured, and how.
        body: cards and sections.
    """
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", f"{text} – {verb}"),
        tag("style", Html(style)),
    )
    header = tag(
        "header",
        tag("p", verb, class_="verb"),
        tag("h1", title),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts)),
    )
    footer = tag("footer", f"Made by {verb}, version {__version__}. This file is whole: it loads nothing.")
    main = tag("main", header, *body, footer)
    return "<!doctype html>\n" + tag("html", head, tag("body", main, tag("script", Html(script))), lang="en") + "\n"


def section(title: str, *content: Html, note: str = "") -> Html:
    """A part of the page under a heading, with a line that says how to read it."""
    return tag("section", tag("h2", title), tag("p", note, class_="note") if note else Html(), *content)


def cards(*those: Html) -> Html:
    """Figures side by side, as many as there is room for."""
    return tag("div", *those, class_="cards")


def card(name: str, meaning: str, *values: str | tuple[str, Series]) -> Html:
    """A figure: its name, its value or those of two in their colours, and in a line what it means and in what unit."""
    lines = (
        tag("p", swatch(ink.color) if ink else Html(), _value(text), class_="value", title=ink.name if ink else None)
        for text, ink in ((value, None) if isinstance(value, str) else value for value in values)
    )
    return tag("div", tag("h3", name), *lines, tag("p", meaning, class_="meaning"), class_="card")


def figure(title: str, drawing: Html, *, meaning: str = "", inks: Sequence[Series] = ()) -> Html:
    """A drawing with its title, what it means, and what its colours stand for."""
    caption = tag("figcaption", tag("b", title), " ", tag("span", meaning), key(*inks) if inks else Html())
    return tag("figure", caption, drawing)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """Text in rows under heads; the first of a row is its name."""
    head = tag("tr", *(tag("th", text) for text in heads))
    body = (tag("tr", tag("th", name), *(tag("td", text) for text in cells)) for name, *cells in rows)
    return tag("table", tag("thead", head), tag("tbody", *body))


def columns(*parts: Html) -> Html:
    """Side by side where there is room, else one below the other."""
    return tag("div", *parts, class_="columns")


def picture(image: Image.Image, alt: str) -> Html:
    """An image inside the page, as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    width, height = image.size
    return tag("img", src=_data("image/jpeg", buffer.getvalue()), alt=alt, width=width, height=height)


def video(mp4: bytes, size: tuple[int, int], **data: float) -> Html:
    """A video inside the page.

    Args:
        mp4: the file.
        size: (height, width), pixels.
        data: for the script.
    """
    height, width = size
    switches = dict.fromkeys(("controls", "loop", "muted", "playsinline"), True)
    told = {f"data_{name}": value for name, value in data.items()}
    source = _data("video/mp4", mp4)
    return tag("video", src=source, width=width, height=height, **switches, preload="auto", **told)


def _value(value: str) -> Html:
    """A number, and its unit in smaller letters."""
    number, _, unit = value.partition(" ")
    return join(number, tag("small", " " + unit)) if unit else join(number)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
