"""A name means one thing in the whole tree."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module

from support.house import modules
from support.places import ROOT
from support.rules import refuse
from tdseg.cli import app

SOURCE = ROOT / "src" / "tdseg"
STANDARD = ("builtins", "collections.abc", "concurrent.futures", "datetime", "enum", "pathlib", "queue", "threading")
VERBS = {"evaluate" if name == "eval" else name for name in app}
"""A verb's file in cli is named like the verb, and so is what does the verb's work."""
COMMON = {"__main__", "base"}
"""Module names that mean the same in every package: the program, and the interface of what is in the folder."""


def classes() -> Iterator[tuple[str, str, str]]:
    """(name, file:line, docstring) of every class that stands at the top of a file."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield node.name, f"{file.relative_to(SOURCE).as_posix()}:{node.lineno}", ast.get_docstring(node) or ""


def twice(places: dict[str, list[str]]) -> list[str]:
    return [f"{name}: {', '.join(where)}" for name, where in sorted(places.items()) if len(where) > 1]


def test_no_class_has_two_meanings() -> None:
    places = defaultdict(list)
    for name, where, _ in classes():
        if not name.startswith("_"):
            places[name].append(where)
    refuse("classes defined twice", twice(places))


def test_no_class_is_called_like_a_standard_one() -> None:
    same = [
        f"{name}, {where}, like {module}.{name}"
        for name, where, _ in classes()
        for module in STANDARD
        if hasattr(import_module(module), name)
    ]
    refuse("classes called like a standard one", same)


def test_no_module_has_two_meanings() -> None:
    places = defaultdict(list)
    for module, file in modules(ROOT / "src").items():
        name, where = module.rpartition(".")[2], file.relative_to(SOURCE).as_posix()
        if name not in COMMON and not (where == f"cli/{name}.py" and name in VERBS):
            places[name].append(where)
    refuse("modules of one name in several packages", twice(places))


def test_docstrings_of_classes_state() -> None:
    asking = [f"{where}, {name}" for name, where, docstring in classes() if docstring.startswith("What ")]
    refuse('docstrings of classes that begin with "What"; name the thing', asking)
