"""What is of others stays as it is: the checks before anything takes a place."""

from __future__ import annotations

import os
from collections.abc import Collection
from itertools import chain
from pathlib import Path

from tdseg.errors import OutputError


def refuse_links(staging: Path) -> None:
    """See to it that nothing is written or moved through what is hidden in the folder of a result.

    Raises:
        OutputError: something there is a link.
    """
    hidden = (os.path.join(folder, name) for folder, *names in os.walk(staging) for name in chain(*names))
    for path in (str(staging), *hidden):
        if os.path.islink(path):
            raise OutputError(
                f"{path} is a link", expected="what a run of tdseg made", do="remove the link, if it is yours"
            )


def check_places(place: Path, made: Collection[Path], former: Collection[Path]) -> None:
    """See to it that a result can take its place without harm to what is of others, and without a stop halfway.

    Raises:
        OutputError: something of others stands where a file or its folder is to be; a file of the former result is
            told to be elsewhere.
    """
    try:
        paths_inside(place, [str(name) for name in (*made, *former)])
    except ValueError as error:
        raise OutputError(
            f"the former result: {error}",
            expected="files that are all in its folder",
            do="choose another folder with --output",
        ) from None
    for name in made:
        folders = [place / folder for folder in name.parents if folder != Path() and folder not in former]
        others = [folder for folder in folders if os.path.lexists(folder) and not folder.is_dir()]
        if name not in former and os.path.lexists(place / name):
            others.append(place / name)
        if others:
            raise OutputError(
                f"{others[0]} is not of the former result",
                expected="a folder without files of these names",
                do="move it, or choose another folder with --output",
            )


def is_folder(path: Path) -> bool:
    """Whether it is a folder, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def paths_inside(place: Path, names: list[str]) -> list[Path]:
    """Paths in a folder, to which no link leads out of it.

    Raises:
        ValueError: one is elsewhere.
    """
    paths = [Path(name) for name in names]
    for path in paths:
        links = [folder for folder in path.parents if (place / folder).is_symlink() and folder != Path()]
        if path.is_absolute() or ".." in path.parts or links:
            raise ValueError(f"{path} is not in {place}")
    return paths
