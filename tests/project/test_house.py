"""The house is as CONTRIBUTING.md draws it: its rooms, their order, and imports that run down only."""

from __future__ import annotations

import re
from pathlib import Path

from support.house import Import, arrows, circle, modules, read_imports, room
from support.places import ROOT
from support.rules import refuse

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
IMPORTS = read_imports(ROOT / "src")
ROOMS = {room(module) for module in modules(ROOT / "src")}
MOST_ROOMS = 21

UPWARD = {
    ("zoo", "export"): "weights that a runtime cannot run are exported for it once, when they are loaded",
}
"""The imports that run up, two at the most, and why."""

ONLY = {"report": {"cli"}}
"""Rooms that none but these import."""

NEVER = {"models": {"video", "data", "train", "runtime", "inference"}}
"""Rooms that import nothing of these, on whatever floor they are."""


def order() -> dict[str, int]:
    """The floor of each room in the order that the guide draws, 0 at the top."""
    (drawing,) = (block for block in re.findall(r"^```\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE) if "→" in block)
    return {name: floor for floor, names in enumerate(drawing.split("→")) for name in re.findall(r"\w+", names)}


def pair(found: Import) -> tuple[str, str]:
    return room(found.importer), room(found.imported)


FLOOR = order()
ACROSS = [found for found in IMPORTS if room(found.importer) != room(found.imported)]
UP = [found for found in ACROSS if FLOOR.get(room(found.importer), 0) >= FLOOR.get(room(found.imported), 0)]


def test_every_room_has_its_floor_and_its_purpose() -> None:
    purposes = set(re.findall(r"^\| `(\w+)` \| .+ \|$", GUIDE, re.MULTILINE))
    for where, named in (("order", set(FLOOR)), ("table", purposes)):
        refuse(f"CONTRIBUTING.md lacks rooms in its {where}", sorted(ROOMS - named))
        refuse(f"CONTRIBUTING.md names rooms in its {where} that are not there", sorted(named - ROOMS))


def test_the_guide_names_files_that_are_there() -> None:
    named = re.findall(r"`([a-z_/]+\.py)`", GUIDE)
    assert named
    folders = (ROOT, ROOT / "src" / "tdseg")
    gone = (name for name in named if not any((folder / name).is_file() for folder in folders))
    refuse("CONTRIBUTING.md names files that are not there", gone)


def test_rooms_are_few() -> None:
    if len(ROOMS) > MOST_ROOMS:
        refuse(f"{MOST_ROOMS} rooms directly under src/tdseg at the most", sorted(ROOMS))


def test_imports_run_down() -> None:
    """Never up, and never along a floor; so there is no circle of rooms either, but by an exception."""
    rule = "imports run down the order of rooms in CONTRIBUTING.md, never up or along a floor"
    refuse(rule, (found for found in UP if pair(found) not in UPWARD))


def test_exceptions_are_few_and_needed() -> None:
    assert len(UPWARD) <= 2
    unused = UPWARD.keys() - set(map(pair, UP))
    refuse("exceptions that nothing needs", (f"{above} → {below}" for above, below in unused))


def test_some_rooms_are_for_others_only() -> None:
    for name, users in ONLY.items():
        others = (found for found in ACROSS if room(found.imported) == name and room(found.importer) not in users)
        refuse(f"{name} is imported by {', '.join(users)} only", others)


def test_some_rooms_know_nothing_of_others() -> None:
    for name, hidden in NEVER.items():
        known = (found for found in ACROSS if room(found.importer) == name and room(found.imported) in hidden)
        refuse(f"{name} imports nothing of {', '.join(sorted(hidden))}", known)


def test_no_circle_of_modules() -> None:
    ring = circle([found for found in IMPORTS if found.at_load])
    refuse("modules import each other in a circle", [" → ".join([*ring, ring[0]])] if ring else [])


def test_every_import_is_seen(tmp_path: Path) -> None:
    texts = {
        "__init__.py": 'HOME = {"a": "tdseg.high.verb:run", "b": "tdseg.json"}',
        "low.py": "import os",
        "high/__init__.py": "from .verb import run",
        "high/verb.py": "from ..low import thing\nimport torch, tdseg.low",
        "high/later.py": "def go():\n    from tdseg.high import verb\nif TYPE_CHECKING:\n    import tdseg.low",
    }
    for name, text in texts.items():
        (tmp_path / "tdseg" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tdseg" / name).write_text(text)
    imports = read_imports(tmp_path)
    assert {(one.file, one.line, one.imported, one.at_load) for one in imports} == {
        ("__init__.py", 1, "tdseg.high.verb", False),
        ("high/__init__.py", 1, "tdseg.high.verb", True),
        ("high/verb.py", 1, "tdseg.low", True),
        ("high/verb.py", 2, "tdseg.low", True),
        ("high/later.py", 2, "tdseg.high.verb", False),
        ("high/later.py", 4, "tdseg.low", False),
    }
    assert arrows(imports).rooms == {("tdseg", "high"), ("high", "low")}
    assert arrows(imports).files == {("tdseg", "high"), ("tdseg.high.verb", "low"), ("tdseg.high.later", "low")}
    assert circle(imports) == []
    (tmp_path / "tdseg" / "low.py").write_text("import tdseg.high.later")
    assert circle(read_imports(tmp_path)) == ["tdseg.high.verb", "tdseg.low", "tdseg.high.later"]
