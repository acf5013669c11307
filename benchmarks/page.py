"""Where the tables of the benchmarks are kept."""

from __future__ import annotations

import re
from pathlib import Path

from tdseg.errors import ConfigError


def put(table: str, name: str, page: Path) -> None:
    """Put a table between the marks of a name in a page.

    Raises:
        ConfigError: there are none.
    """
    text = page.read_text(encoding="utf-8")
    marked = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- /{name} -->)", re.DOTALL)
    if not marked.search(text):
        expected = f"a line <!-- {name} -->, and <!-- /{name} --> after it"
        raise ConfigError(f"{page} has no place for the table", expected=expected, do="add them where it is to stand")
    page.write_text(marked.sub(lambda _: table, text), encoding="utf-8")
