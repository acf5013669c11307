"""HTML that cannot be broken by what is put into it."""

from __future__ import annotations

import html
from typing import NamedTuple

ENDLESS = {"img", "meta"}


class Html(str):
    """Markup, put into other markup as it is; any other string is text, and is escaped."""


class Series(NamedTuple):
    """A colour with the name of what it stands for."""

    name: str
    color: str
    """Of CSS, such as "#70a0ff" or "var(--a)"."""


def tag(name: str, *children: str, **attributes: str | float | bool | None) -> Html:
    """An element.

    Args:
        name: of the element, such as "div"; those of ENDLESS have neither children nor an end.
        children: markup or text.
        attributes: `class_` is class, `data_x` is data-x. None and False leave one out, True is one without a value.
    """
    end = "" if name in ENDLESS else f"</{name}>"
    return Html(f"<{name}{_attributes(attributes)}>{join(*children)}{end}")


def join(*children: str) -> Html:
    """Markup and text, one after the other."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def key(*inks: Series) -> Html:
    """The meaning of colours."""
    return tag("div", *(tag("span", swatch(ink.color), ink.name) for ink in inks), class_="key")


def swatch(color: str) -> Html:
    """A spot of a colour."""
    return tag("i", class_="swatch", style=f"background:{color}")


def rgb(color: tuple[int, ...] | list[int]) -> str:
    """#rrggbb of (r, g, b), 0 … 255 each."""
    return "#" + "".join(f"{channel:02x}" for channel in color)


def _attributes(attributes: dict[str, str | float | bool | None]) -> str:
    text = ""
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        text += " " + name.rstrip("_").replace("_", "-")
        text += "" if value is True else f'="{html.escape(str(value))}"'
    return text
