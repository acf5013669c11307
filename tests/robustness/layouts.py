"""`--overwrite` into folders in which files of others are: none of them is lost or changed, wherever they are.

Links are planted where a run writes, and files under the names that it writes. Refusing is as right as replacing what
is ours.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from robustness.materials import make_materials
from robustness.planted import LAYOUTS, write_mine
from robustness.victims import MODULES, VICTIMS, clear, make_sources
from support.forked import Forked
from tdseg.files.publishing import STAGING

KINDS = ("segment", "export", "steady", "steady-file")
"""Victims that have --overwrite."""


class Overwritten(NamedTuple):
    """What became of files of others."""

    layout: str
    kind: str
    code: int | None
    lost: list[str]
    """Of files of others, those that are gone or changed."""
    told: str

    @property
    def fault(self) -> str:
        """lost, ended, or "" for none."""
        return "lost" if self.lost else "" if self.code in (0, 2) and "Traceback" not in self.told else "ended"


def overwrite_all(
    layouts: list[str], kinds: list[str], materials: Path, place: Path, forked: Forked
) -> Iterator[Overwritten]:
    """Run commands over layouts; each is told when it has ended."""
    make_sources(materials)
    for kind in kinds:
        victim = VICTIMS[kind]
        former = place / kind / "former" / f"result{victim.suffix}"
        clear(former)
        ended = forked.run(*victim.former(materials, former))
        assert ended.code == 0, ended.told
        for name in layouts:
            if LAYOUTS[name].for_files or not victim.suffix:
                yield _overwrite(name, kind, former, materials, forked)


def _overwrite(name: str, kind: str, former: Path, materials: Path, forked: Forked) -> Overwritten:
    layout, result = LAYOUTS[name], former.parents[1] / "work" / former.name
    root, elsewhere = result.parent, result.parent / "elsewhere"
    clear(result)
    if layout.with_former:
        (shutil.copytree if former.is_dir() else shutil.copy2)(former, result)
    ours = _inventory(root)
    write_mine(elsewhere / "thesis.txt", elsewhere / "data.bin")
    also_ours = layout.plant(result, elsewhere) or []
    others = {path: what for path, what in _inventory(root).items() if path not in also_ours}
    others = {path: what for path, what in others.items() if ours.get(path) != what and not _is_ours(path, what, ours)}
    ended = forked.run(*VICTIMS[kind].command(materials, result))
    after = _inventory(root)
    lost = [path for path, what in others.items() if after.get(path) != what]
    return Overwritten(name, kind, ended.code, lost, ended.told)


def _is_ours(path: str, what: str, ours: dict[str, str]) -> bool:
    """Whether what was planted may go: a link in the place of a file of ours, or what is hidden."""
    top, *rest = Path(path).parts
    return (what.startswith("link") and path in ours) or (top.endswith(STAGING)) or (rest[:1] == [STAGING])


def _inventory(root: Path) -> dict[str, str]:
    """All files and links below a folder: what they are."""
    found = dict[str, str]()
    for folder, folders, files in os.walk(root):
        for path in (Path(folder, name) for name in (*folders, *files)):
            name = str(path.relative_to(root))
            if path.is_symlink():
                found[name] = f"link to {os.readlink(path)}"
            elif path.is_file():
                found[name] = f"file {path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found


def main(arguments: list[str]) -> int:
    """0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="robustness layouts", description=__doc__)
    parser.add_argument("--commands", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--only", nargs="+", choices=[*LAYOUTS], help="these alone, told whole")
    parser.add_argument("--place", type=Path, default=Path("out/robustness"), help="folder for inputs and results")
    given = parser.parse_args(arguments)
    place, layouts = given.place.resolve(), given.only or [*LAYOUTS]
    materials, ends = make_materials(place / "materials"), list[Overwritten]()
    with Forked(place / "layouts", MODULES) as forked:
        for one in overwrite_all(layouts, given.commands, materials, place / "layouts", forked):
            ends.append(one)
            if one.fault or given.only:
                print(f"{one.fault or 'right'} {one.layout}, {one.kind} ({one.code}): {one.lost}")
                print("    " + one.told[-700:].strip().replace("\n", "\n    "), flush=True)
    lost = {one.layout for one in ends if one.lost}
    codes = ", ".join(
        f"{code} {sum(one.code == code for one in ends)}" for code in sorted({one.code for one in ends}, key=str)
    )
    print(f"files of others lost in {len(lost)} of {len(layouts)} layouts; {len(ends)} runs, codes {codes}; ", end="")
    print(f"ended otherwise: {sum(one.fault == 'ended' for one in ends)}")
    return int(any(one.fault for one in ends))
