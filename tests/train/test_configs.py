"""Every recipe is parsed, and trains for two steps on a fabricated data set of its layout."""

from __future__ import annotations

import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

import tdseg
from support.places import ROOT
from support.small import moving_frames

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from tdseg.data.clip import Clip
from tdseg.data.source import Source
from tdseg.data.transforms import Augmenter
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe

RECIPES = sorted((ROOT / "configs").glob("*.yaml"))
SIZE = (64, 128)  # fa18 takes multiples of 64


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_parse_and_say_what_they_cost(path: Path) -> None:
    recipe = Recipe.from_yaml(path)
    assert recipe.model in tdseg.list_models()
    assert path.read_text().startswith("#")
    header = "".join(line for line in path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert f"#   command  tdseg train configs/{path.name}" in header
    for word in ("cost", "score"):
        assert re.search(rf"^#   {word:9}\S", header, re.MULTILINE), word


def test_bases_are_used() -> None:
    named = {match for path in RECIPES for match in re.findall(r"^base: base/(.+)$", path.read_text(), re.MULTILINE)}
    bases = {path.name: path.read_text() for path in (ROOT / "configs" / "base").glob("*.yaml")}
    named |= {match for text in bases.values() for match in re.findall(r"^base: (.+)$", text, re.MULTILINE)}
    assert named == set(bases)


def test_a_clip_of_the_longer_schedule_is_one_frame_then_several() -> None:
    """40,000 steps on stills that do not move, then 40,000 on clips from a rate of 1e-4, which start from them."""
    stills, clips = (
        Recipe.from_yaml(ROOT / "configs" / f"cityscapes-td2-psp50-{part}.yaml") for part in ("stills", "clips")
    )
    augment = Augmenter(stills.augmentation.model_copy(update={"crop": SIZE}), stills.length, SIZE)
    frame, label = frames_and_labels(1, 19)[0]
    still = Clip(torch.from_numpy(frame).permute(2, 0, 1)[None], torch.from_numpy(label)[None])
    frames = augment([still], [torch.Generator().manual_seed(0)]).frames
    assert frames.shape == (1, 2, 3, *SIZE)
    assert torch.equal(frames[:, 0], frames[:, 1])
    assert [source.length for recipe in (stills, clips) for source in recipe.sources] == [1, 2]
    assert stills.steps == clips.steps == 40_000
    assert (stills.optimizer.lr, clips.optimizer.lr) == (0.01, 1e-4)
    assert Path(clips.init) == Path("runs/cityscapes-td2-psp50-stills/model.safetensors")
    assert (stills.per_frame, clips.per_frame) == ({}, None)


def test_the_reference_is_that_of_the_schema() -> None:
    page = ROOT / "docs" / "training.md"
    fill: Callable[[str], str] = runpy.run_path(str(ROOT / "docs" / "training_fields.py"))["fill"]
    text = page.read_text(encoding="utf-8")
    assert fill(text) == text, "run python docs/training_fields.py"


def save(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def frames_and_labels(count: int, classes: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    return [(frame, (frame[..., 0] % classes).astype(np.uint8)) for frame in moving_frames(count, SIZE)]


def segnet_camvid(root: Path) -> None:
    for split in ("train", "val"):
        for index, (frame, label) in enumerate(frames_and_labels(4, 12)):
            save(root / "images" / split / f"A_{30 * index:05}.png", frame)
            save(root / "labels" / split / f"A_{30 * index:05}.png", label)


def original_camvid(root: Path) -> None:
    from tdseg.masks.classes import CAMVID32_CLASSES, CAMVID32_PALETTE

    colors = np.array(CAMVID32_PALETTE, dtype=np.uint8)
    for split, sequence in (("train", "0006R0"), ("val", "0016E5")):
        first = 7959 if split == "val" else 0
        for index, (frame, label) in enumerate(frames_and_labels(4, len(CAMVID32_CLASSES))):
            name = f"{sequence}_{first + 2 * index:05}"
            save(root / "701_StillsRaw_full" / f"{name}.png", frame)
            save(root / "LabeledApproved_full" / f"{name}_L.png", colors[label])


def cityscapes(root: Path) -> None:
    for split in ("train", "val"):
        for snippet in range(2):
            stem = f"{split}/aachen/aachen_{snippet:06}"
            shots = frames_and_labels(20, 34)
            for index, (frame, _) in enumerate(shots):
                save(root / "leftImg8bit_sequence" / f"{stem}_{index:06}_leftImg8bit.png", frame)
            save(root / "leftImg8bit" / f"{stem}_000019_leftImg8bit.png", shots[-1][0])
            save(root / "gtFine" / f"{stem}_000019_gtFine_labelIds.png", shots[-1][1])


def nyudv2(root: Path) -> None:
    for split in ("train", "test"):
        for index, (frame, label) in enumerate(frames_and_labels(3, 41)):
            save(root / "images" / split / f"{index:04}.png", frame)
            save(root / "labels" / split / f"{index:04}.png", label)


def folder(root: Path) -> None:
    splits = {split: [{"images": f"{split}/images", "masks": f"{split}/masks"}] for split in ("train", "val")}
    for split in splits:
        for index, (frame, label) in enumerate(frames_and_labels(3, 4)):
            save(root / split / "images" / f"{index}.png", frame)
            save(root / split / "masks" / f"{index}.png", label)
    (root / "data.yaml").write_text(yaml.safe_dump({"classes": ["a", "b", "c", "d"], "splits": splits}))


FABRICATED: dict[str, Callable[[Path], None]] = {
    "data/camvid": segnet_camvid,
    "data/camvid-original": original_camvid,
    "data/cityscapes": cityscapes,
    "data/nyudv2": nyudv2,
    "data/mine": folder,
    "data/streets": Path.mkdir,
}


@pytest.fixture(scope="module")
def fabricated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Source | None], str | None]:
    """Where the fabricated data set is that takes the place of a source's; None where there is no root."""
    place = tmp_path_factory.mktemp("data")

    def where(source: Source | None) -> str | None:
        if source is None or source.root is None:
            return None
        root = place / source.root.name
        if not root.exists():
            FABRICATED[str(source.root)](root)
        return str(root)

    return where


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_train(path: Path, tmp_path: Path, fabricated: Callable[[Source | None], str | None]) -> None:
    recipe = Recipe.from_yaml(path)
    small: dict[str, Any] = {"batch": 2, "augmentation.crop": "64x128"}
    flags = {
        "steps": 2,
        "init": "none",
        "overrides.size": "[64, 128]",
        "precision": "32-true",
        "workers": 0,
        "cache": "none",
        **small,
    }
    if recipe.per_frame is not None:
        flags |= {"per_frame.steps": 1} | {f"per_frame.{name}": value for name, value in small.items()}
    if recipe.distill:
        flags |= {"distill.teacher": "per-frame"} if recipe.per_frame is not None else {"distill": "null"}
    for name, source in {f"sources.{i}": source for i, source in enumerate(recipe.sources)}.items():
        if root := fabricated(source):
            flags[f"{name}.root"] = root
        if source.data == "synthetic":
            flags[f"{name}.split"] = "tiny-train"
    if root := fabricated(recipe.validation):
        flags["validation.root"] = root
    scaled = Recipe.from_yaml(path, [word for name, value in flags.items() for word in (f"--{name}", str(value))])
    fit(scaled, tmp_path)
    trained = tdseg.load(tmp_path / "model.safetensors")
    assert trained.config.name == recipe.model
    assert trained.config.classes
    shutil.rmtree(tmp_path)  # checkpoints of a gigabyte
