"""What every page of a report must be."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "img", "br", "link"}


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON: a browser would stop there")


class Parsed(HTMLParser):
    """A page whose elements are closed in order, which refers to nothing outside it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.plots: list[dict[str, Any]] = []
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []
        assert page.startswith("<!doctype html>")
        assert not re.search(r"https?://|@import", page)
        assert self.tags.count("script") == self.tags.count("style") == self.tags.count("h1") == 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in {"d", "points", "style", "transform"}:
                assert not re.search(r"\b(nan|inf)", value or "", re.IGNORECASE)
            if name in {"src", "href", "poster"}:
                assert (value or "").startswith("data:")
            if name == "data-plot":
                self.plots.append(json.loads(value or "", parse_constant=_refuse))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text += data
