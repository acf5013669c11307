"""The house as the code draws it: what directly under src/tdseg imports what.

A room is a file or folder directly under src/tdseg; `__init__.py` there is the room `tdseg`. Every import counts,
wherever it stands: at the top, inside a function, under `if TYPE_CHECKING:`, relative, or as the name of a module in a
string. As a program, `python tests/support/house.py [CHECKOUT]` prints the rooms and arrows of a checkout.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = "tdseg"


class Import(NamedTuple):
    """One import of one module of the package by another."""

    file: str
    """The importer, from the package's folder: "cli/bench.py"."""
    line: int
    importer: str
    """The importer as a module: "tdseg.cli.bench"."""
    imported: str
    at_load: bool
    """It is run when the importer is loaded: neither in a function nor for type checkers only."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.imported}"


class Arrows(NamedTuple):
    """Two measures of how much a house's rooms have to do with each other; imports inside a room are no arrows."""

    rooms: set[tuple[str, str]]
    """(room, imported room): each pair once, however many files and names of the one use the other."""
    files: set[tuple[str, str]]
    """(module, imported room): each pair once; so a room that many files of another use weighs more."""


def modules(source: Path) -> dict[str, Path]:
    """Every module of the package below `source`, a folder like src, and its file."""
    found = {}
    for file in sorted((source / PACKAGE).rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def room(module: str) -> str:
    """The room of a module: "cli" of tdseg.cli.bench, "tdseg" of tdseg itself."""
    parts = module.split(".")
    return parts[min(1, len(parts) - 1)]


def read_imports(source: Path) -> list[Import]:
    """All imports of the package's modules by each other."""
    known = modules(source)
    return [
        Import(file.relative_to(source / PACKAGE).as_posix(), line, importer, imported, at_load)
        for importer, file in known.items()
        for imported, line, at_load in _imports(file, importer, known)
        if imported != importer
    ]


def _imports(file: Path, importer: str, known: dict[str, Path]) -> Iterator[tuple[str, int, bool]]:
    """(imported module, line, at_load) of each import in a file."""
    package = importer if file.name == "__init__.py" else importer.rpartition(".")[0]
    for node, at_load in _walk(ast.parse(file.read_text(encoding="utf-8")), True):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            home = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{home}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = re.fullmatch(rf"({PACKAGE}(?:\.\w+)+)(?::\w+)?", node.value)
            names, at_load = [named[1]] if named and named[1] in known else [], False
        for name in names:
            while name and name not in known:  # a class or function: its module
                name = name.rpartition(".")[0]
            if name:
                yield name, getattr(node, "lineno", 0), at_load


def _walk(node: ast.AST, at_load: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes below this one, and whether loading the module runs them."""
    for child in ast.iter_child_nodes(node):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield child, at_load
        yield from _walk(child, at_load and not later)


def arrows(imports: list[Import]) -> Arrows:
    """The arrows between rooms, measured both ways."""
    across = {(found.importer, room(found.imported)) for found in imports}
    across = {(importer, target) for importer, target in across if room(importer) != target}
    return Arrows({(room(importer), target) for importer, target in across}, across)


def circle(imports: list[Import]) -> list[str]:
    """Modules of which each imports the next, and the last the first; [] where there are no such."""
    after: dict[str, list[str]] = {}
    for found in imports:
        after.setdefault(found.importer, []).append(found.imported)
    done: set[str] = set()

    def visit(module: str, above: list[str]) -> list[str]:
        if module in above:
            return above[above.index(module) :]
        if module in done:
            return []
        for target in after.get(module, ()):
            if ring := visit(target, [*above, module]):
                return ring
        done.add(module)
        return []

    return next((ring for module in after if (ring := visit(module, []))), [])


if __name__ == "__main__":
    checkout = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "src"
    drawn = arrows(read_imports(checkout))
    print(f"rooms {len({room(module) for module in modules(checkout)})}")
    print(f"arrows: {len(drawn.rooms)} from room to room, {len(drawn.files)} from file to room")
