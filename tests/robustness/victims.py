"""Commands that put a result in the place of a former one, and what is seen of either."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from support.results import RUN
from support.small import SIZE, write_clip, write_masks
from tdseg.files.publishing import STAGING, contents
from tdseg.masks.reading import open_masks
from tdseg.runtime.manifest import read_manifest
from tdseg.train.checkpoints import CHECKPOINTS, latest_checkpoint
from tdseg.zoo.checkpoint import WEIGHTS
from tdseg.zoo.resolve import resolve

MODULES: tuple[str, ...] = ("tdseg.cli.segment", "tdseg.cli.steady", "tdseg.cli.export", "tdseg.cli.train")
MODULES += ("tdseg.export.build", "onnxscript", "onnxruntime", "openvino", "torch.onnx", "lightning.fabric")
"""Loaded once for all runs."""
OTHER_SIZE = (48, 80)
"""Of the former results: none of their masks is that of a new one."""


class Victim(NamedTuple):
    """A command that is given a former result to replace."""

    former: Callable[[Path, Path], list[str]]
    """Of (materials, place of the result): the command that makes the former result."""
    command: Callable[[Path, Path], list[str]]
    """The command that replaces it."""
    read: Callable[[Path], object]
    """Opens a result as whoever uses it next does."""
    suffix: str = ""
    """Of a result that is a file."""


def make_sources(materials: Path) -> None:
    """What the commands need beside the materials of all cases."""
    if (materials / "other.mp4").exists():
        return
    random = np.random.default_rng(0)
    for name, size in (("other", OTHER_SIZE), ("same", SIZE)):
        masks = [np.repeat(np.repeat(random.integers(0, 11, (size[0] // 8, size[1] // 8), np.uint8), 8, 0), 8, 1)] * 3
        write_masks(materials / f"{name}-masks", masks)
        np.savez(materials / f"{name}-masks.npz", np.stack(masks))
    write_clip(materials / "other.mp4", 3, OTHER_SIZE)


def _segment(clip: str, model: str, write: str, *options: str) -> Callable[[Path, Path], list[str]]:
    def command(materials: Path, place: Path) -> list[str]:
        network = ["--model", str(materials / f"{model}.safetensors"), "--runtime", "torch", "--threads", "1"]
        return ["segment", str(materials / clip), *network, "--write", write, "-o", str(place), *options]

    return command


def _export(model: str, *options: str) -> Callable[[Path, Path], list[str]]:
    def command(materials: Path, place: Path) -> list[str]:
        return ["export", str(materials / f"{model}.safetensors"), "--to", "onnx", "-o", str(place), *options]

    return command


def _train(*options: str) -> Callable[[Path, Path], list[str]]:
    def command(materials: Path, place: Path) -> list[str]:
        return ["train", str(materials / "recipe.yaml"), "--threads", "1", "--output", str(place), *options]

    return command


def _steady(masks: str, clip: str, *options: str) -> Callable[[Path, Path], list[str]]:
    def command(materials: Path, place: Path) -> list[str]:
        source = materials / f"{masks}{place.suffix}"
        return ["steady", str(source), "--video", str(materials / clip), "-o", str(place), *options]

    return command


def _read_weights(place: Path) -> None:
    """Also what a run goes on from."""
    resolve(place).load()
    warnings: list[str] = []
    latest_checkpoint(place / CHECKPOINTS, warnings.append)
    assert not warnings, warnings


def _read_masks(place: Path) -> None:
    assert list(open_masks(place))


def _read_export(place: Path) -> None:
    graph = resolve(place).graph
    assert graph is not None, "not an export"
    read_manifest(graph)


VICTIMS = {
    "segment": Victim(
        _segment("other.mp4", "td2-lite0s", "masks,csv,rle"),
        _segment("short.mp4", "lite0s", "masks,csv,npz", "--overwrite"),
        lambda place: _read_masks(place / "masks"),
    ),
    "export": Victim(_export("td2-lite0s"), _export("lite0s", "--overwrite"), _read_export),
    "train": Victim(_train(), _train("--steps", "3", "--resume"), _read_weights),
    "steady": Victim(
        _steady("other-masks", "other.mp4"), _steady("same-masks", "short.mp4", "--overwrite"), _read_masks
    ),
    "steady-file": Victim(
        _steady("other-masks", "other.mp4"), _steady("same-masks", "short.mp4", "--overwrite"), _read_masks, ".npz"
    ),
}


def seen(victim: Victim, place: Path) -> dict[str, str]:
    """What is in a result for whoever opens it next: files, and their checksums or what two runs have in common.

    Raises:
        TdsegError: it cannot be opened.
    """
    victim.read(place)
    if not place.is_dir():
        return {place.name: _digest(place)}
    files = [path for name in contents(place) for path in (place / name, *(place / name).rglob("*")) if path.is_file()]
    kept = [path.relative_to(place) for path in files if not path.name.startswith("events.out.")]
    return {str(name): _digest(place / name) for name in sorted(kept) if name.parts[0] not in (CHECKPOINTS, STAGING)}


def _digest(path: Path) -> str:
    data = path.read_bytes()
    if path.name == "summary.json":
        data = json.dumps({key: value for key, value in json.loads(data).items() if key not in RUN}).encode()
    if path.name == "card.md":  # of which weights it tells
        weights = hashlib.sha256((path.with_name(WEIGHTS)).read_bytes()).hexdigest()
        return "of the weights beside it" if set(re.findall(r"sha256 `(\w+)`", data.decode())) == {weights} else "other"
    return hashlib.sha256(data).hexdigest()


def clear(place: Path) -> None:
    """Remove a result, and what is beside it for a while."""
    shutil.rmtree(place.parent, ignore_errors=True)
    place.parent.mkdir(parents=True)
