"""`--overwrite` into folders in which files of others are: none of them is lost or changed, wherever they are.

Links are planted where a run writes, and files under the names that it writes. Refusing is as right as replacing what
is ours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from robustness.materials import make_materials
from robustness.victims import MODULES, VICTIMS, clear, make_sources
from support.forked import Forked
from support.small import moving_frames
from tdseg.files.publishing import LOCK, MADE, MARK, STAGING

Plant = Callable[[Path, Path], list[str] | None]
"""Of (the result, a folder elsewhere, in which something is): puts files of others there; names any that are ours."""
MINE = "mine"
KINDS = ("segment", "export", "steady", "steady-file")
"""Victims that have --overwrite."""


def _write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MINE)


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _foreign_summary(result: Path, elsewhere: Path) -> None:
    """An experiment of the user's own: no result of ours."""
    _write(result / "masks/000000.png", result / "shares.csv", result / "classes.txt")
    (result / "summary.json").write_text(json.dumps({"frames": 5, "model": "u-net", "write": ["masks", "csv"]}))


def _foreign_manifest(result: Path, elsewhere: Path) -> None:
    _write(*(result / name for name in ("model.onnx", "model.yaml", "model.xml", "config.pbtxt", "000000.png")))
    (result / "tdseg.json").write_text(json.dumps({"sha256": {"model.onnx": "0", "../elsewhere/thesis.txt": "0"}}))


def _manifest_of_others(result: Path, elsewhere: Path) -> list[str]:
    """A manifest of ours, to which names were added."""
    _write(result / "thesis.txt")
    if (result / "tdseg.json").exists():
        values = json.loads((result / "tdseg.json").read_text())
        values["sha256"] |= {"thesis.txt": "0", "../elsewhere/thesis.txt": "0", str(elsewhere / "data.bin"): "0"}
        (result / "tdseg.json").write_text(json.dumps(values))
    return [f"{result.name}/tdseg.json"]


def _own_graph(result: Path, elsewhere: Path) -> None:
    """A graph of the user's own with the description that `segment` asks for."""
    _write(result / "model.onnx", result / "model.yaml")


def _beside(result: Path, elsewhere: Path) -> None:
    """Own files beside a result of ours, some of them under names of outputs that it does not have."""
    _write(
        *(result / name for name in ("thesis.txt", "notes/a.txt", "overlay.mp4", "masks.mkv", "model.bin", ".hidden"))
    )


def _among_masks(result: Path, elsewhere: Path) -> None:
    _write(
        *(result / "masks" / name for name in ("notes.png", "000000.txt", "000999.png", "IMG_1.png", "a/000000.png"))
    )


def _folder_linked(result: Path, elsewhere: Path) -> None:
    """The masks are elsewhere."""
    shutil.rmtree(result / "masks", ignore_errors=True)
    _write(elsewhere / "masks/000000.png", elsewhere / "masks/000001.png")
    _link(result / "masks", elsewhere / "masks")


def _files_linked(result: Path, elsewhere: Path) -> None:
    """Each file of a result of ours is elsewhere."""
    for number, path in enumerate(sorted(path for path in result.rglob("*") if path.is_file())):
        target = elsewhere / f"{number}{path.suffix}"
        path.rename(target)
        path.symlink_to(target)


def _partial_linked(result: Path, elsewhere: Path) -> None:
    if result.is_dir():
        _link(result / STAGING, elsewhere)
    _link(result.with_name(f".{result.name}{STAGING}"), elsewhere / "thesis.txt")


def _hidden_linked(result: Path, elsewhere: Path) -> None:
    for name in (LOCK, f"{MARK}.new", "order.json"):
        _link(result / STAGING / name, elsewhere / "thesis.txt")


def _made_linked(result: Path, elsewhere: Path) -> None:
    _link(result / STAGING / MADE, elsewhere)
    mark = {"made": ["thesis.txt", "data.bin"], "former": [], "last": None}
    (result / STAGING / MARK).write_text(json.dumps(mark))


def _marked_elsewhere(result: Path, elsewhere: Path) -> None:
    """What a killed run leaves, made up: it tells of files elsewhere."""
    (result / STAGING / MADE).mkdir(parents=True)
    mark = {
        "made": [f"../../../{elsewhere.name}/thesis.txt"],
        "former": [f"../{elsewhere.name}/data.bin"],
        "last": None,
    }
    (result / STAGING / MARK).write_text(json.dumps(mark))


def _hard_links(result: Path, elsewhere: Path) -> None:
    """Each file of a result of ours has another name elsewhere; and so have files where a run writes."""
    files = [result] if result.is_file() else sorted(path for path in result.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        os.link(path, elsewhere / f"{number}{path.suffix}")
    os.link(elsewhere / "thesis.txt", result.with_name(f".{result.name}{STAGING}"))
    if result.is_dir():
        (result / STAGING).mkdir()
        for name in (LOCK, f"{MARK}.new"):
            os.link(elsewhere / "thesis.txt", result / STAGING / name)


def _is_a_link(result: Path, elsewhere: Path) -> list[str]:
    """The result is elsewhere, among files of others."""
    place = elsewhere / result.name
    result.rename(place)
    _link(result, place)
    ours = [str(path.relative_to(elsewhere.parent)) for path in (place, *place.rglob("*"))]
    _write(elsewhere / "beside.txt", *([place / "thesis.txt"] if place.is_dir() else []))
    return ours


def _read_only(result: Path, elsewhere: Path) -> None:
    _write(result / "thesis.txt", result / "masks/notes.txt", result / "safe/thesis.txt")
    for path in (result / "thesis.txt", result / "masks/notes.txt", result / "safe/thesis.txt"):
        path.chmod(0o444)
    (result / "safe").chmod(0o555)


def _nested(result: Path, elsewhere: Path) -> None:
    names = ("masks/masks/000000.png", "sub/summary.json", "sub/.partial/whole.json", "sub/masks/000000.png")
    _write(*(result / name for name in (*names, "sub/tdseg.json", "sub/model.onnx", "masks/summary.json")))


def _folders_of_our_names(result: Path, elsewhere: Path) -> None:
    """Folders where a run puts files."""
    for name in ("shares.csv", "000001.png", "config.pbtxt", "legend.png", "summary.json", "masks/000001.png"):
        path = result / name
        if path.is_file():
            path.unlink()
        _write(path / "thesis.txt")


def _file_for_folder(result: Path, elsewhere: Path) -> None:
    """A file where a run makes a folder."""
    shutil.rmtree(result / "masks", ignore_errors=True)
    _write(result / "masks")


def _pictures(result: Path, elsewhere: Path) -> None:
    """Pictures that have the names of masks."""
    for place in (result, result / "masks"):
        place.mkdir(parents=True, exist_ok=True)
        for index, frame in enumerate(moving_frames(3)):
            Image.fromarray(frame).save(place / f"{index:06d}.png")


class Layout(NamedTuple):
    """Files of others, with or without a former result of ours."""

    plant: Plant
    with_former: bool = True
    for_files: bool = False
    """Also where the result is a file."""


LAYOUTS = {
    "foreign summary": Layout(_foreign_summary, with_former=False),
    "foreign manifest": Layout(_foreign_manifest, with_former=False),
    "manifest of others": Layout(_manifest_of_others),
    "own graph": Layout(_own_graph, with_former=False),
    "files beside": Layout(_beside),
    "files among masks": Layout(_among_masks),
    "folder linked": Layout(_folder_linked),
    "files linked": Layout(_files_linked),
    "partial linked": Layout(_partial_linked, for_files=True),
    "hidden linked": Layout(_hidden_linked),
    "made linked": Layout(_made_linked),
    "marked elsewhere": Layout(_marked_elsewhere),
    "hard links": Layout(_hard_links, for_files=True),
    "result a link": Layout(_is_a_link, for_files=True),
    "read-only": Layout(_read_only),
    "nested": Layout(_nested),
    "folders of our names": Layout(_folders_of_our_names),
    "file for folder": Layout(_file_for_folder),
    "pictures": Layout(_pictures, with_former=False),
}


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
    _write(elsewhere / "thesis.txt", elsewhere / "data.bin")
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
