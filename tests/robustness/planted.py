"""Files of others in the folder of a result, and links where a run writes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from support.small import moving_frames
from tdseg.files.publishing import LOCK, MADE, MARK, STAGING

Plant = Callable[[Path, Path], list[str] | None]
"""Of (the result, a folder elsewhere, in which something is): puts files of others there; names any that are ours."""


def write_mine(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _foreign_summary(result: Path, elsewhere: Path) -> None:
    """An experiment of the user's own: no result of ours."""
    write_mine(result / "masks/000000.png", result / "shares.csv", result / "classes.txt")
    (result / "summary.json").write_text(json.dumps({"frames": 5, "model": "u-net", "write": ["masks", "csv"]}))


def _foreign_manifest(result: Path, elsewhere: Path) -> None:
    write_mine(*(result / name for name in ("model.onnx", "model.yaml", "model.xml", "config.pbtxt", "000000.png")))
    (result / "tdseg.json").write_text(json.dumps({"sha256": {"model.onnx": "0", "../elsewhere/thesis.txt": "0"}}))


def _manifest_of_others(result: Path, elsewhere: Path) -> list[str]:
    """A manifest of ours, to which names were added."""
    write_mine(result / "thesis.txt")
    if (result / "tdseg.json").exists():
        values = json.loads((result / "tdseg.json").read_text())
        values["sha256"] |= {"thesis.txt": "0", "../elsewhere/thesis.txt": "0", str(elsewhere / "data.bin"): "0"}
        (result / "tdseg.json").write_text(json.dumps(values))
    return [f"{result.name}/tdseg.json"]


def _own_graph(result: Path, elsewhere: Path) -> None:
    """A graph of the user's own with the description that `segment` asks for."""
    write_mine(result / "model.onnx", result / "model.yaml")


def _beside(result: Path, elsewhere: Path) -> None:
    """Own files beside a result of ours, some of them under names of outputs that it does not have."""
    write_mine(
        *(result / name for name in ("thesis.txt", "notes/a.txt", "overlay.mp4", "masks.mkv", "model.bin", ".hidden"))
    )


def _among_masks(result: Path, elsewhere: Path) -> None:
    write_mine(
        *(result / "masks" / name for name in ("notes.png", "000000.txt", "000999.png", "IMG_1.png", "a/000000.png"))
    )


def _folder_linked(result: Path, elsewhere: Path) -> None:
    """The masks are elsewhere."""
    shutil.rmtree(result / "masks", ignore_errors=True)
    write_mine(elsewhere / "masks/000000.png", elsewhere / "masks/000001.png")
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
    write_mine(elsewhere / "beside.txt", *([place / "thesis.txt"] if place.is_dir() else []))
    return ours


def _read_only(result: Path, elsewhere: Path) -> None:
    write_mine(result / "thesis.txt", result / "masks/notes.txt", result / "safe/thesis.txt")
    for path in (result / "thesis.txt", result / "masks/notes.txt", result / "safe/thesis.txt"):
        path.chmod(0o444)
    (result / "safe").chmod(0o555)


def _nested(result: Path, elsewhere: Path) -> None:
    names = ("masks/masks/000000.png", "sub/summary.json", "sub/.partial/whole.json", "sub/masks/000000.png")
    write_mine(*(result / name for name in (*names, "sub/tdseg.json", "sub/model.onnx", "masks/summary.json")))


def _folders_of_our_names(result: Path, elsewhere: Path) -> None:
    """Folders where a run puts files."""
    for name in ("shares.csv", "000001.png", "config.pbtxt", "legend.png", "summary.json", "masks/000001.png"):
        path = result / name
        if path.is_file():
            path.unlink()
        write_mine(path / "thesis.txt")


def _file_for_folder(result: Path, elsewhere: Path) -> None:
    """A file where a run makes a folder."""
    shutil.rmtree(result / "masks", ignore_errors=True)
    write_mine(result / "masks")


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
