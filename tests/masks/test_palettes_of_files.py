"""Colour masks that a program stored as indexed PNG: the same picture is the same mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support import layouts
from tdseg.cli import DONE, IN_PART, main
from tdseg.data.camvid import CamVid
from tdseg.data.folder import Folder
from tdseg.errors import DataError
from tdseg.inference.steady import steady
from tdseg.masks import draw
from tdseg.masks.classes import CAMVID32
from tdseg.masks.labels import ClassTable, LabelError, read_pixels
from tdseg.masks.palette import color_table, read_palette
from tdseg.masks.reading import open_masks
from tdseg.metrics.iou import VOID

COLORS = [(128, 64, 128), (0, 0, 142), (107, 142, 35)]
CLASSES = [{"name": name, "color": list(color)} for name, color in zip(("road", "car", "tree"), COLORS, strict=True)]
MASK = layouts.stripes([2, 0, 1, 0])


def save_indexed(path: Path, mask: NDArray[np.uint8], colors: list[tuple[int, int, int]], seed: int = 1) -> Path:
    """The picture of a mask in its colours, of which the file has those in use alone, in an order of its own."""
    used = np.unique(mask)
    order = np.random.default_rng(seed).permutation(len(used))
    table = np.zeros(256, np.uint8)
    table[used[order]] = np.arange(len(used))
    image = Image.fromarray(table[mask])
    image.putpalette(np.array([colors[value] for value in used[order]], np.uint8).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def data(root: Path, classes: object = CLASSES, **fields: object) -> Path:
    layouts.save(root / "images" / "a.png", layouts.picture(1))
    return layouts.folder(root, classes=classes, splits={"train": [{"images": "images", "masks": "masks"}]}, **fields)


@pytest.mark.parametrize("seed", range(6))
def test_training_reads_the_colours_of_an_indexed_mask(tmp_path: Path, seed: int) -> None:
    save_indexed(data(tmp_path) / "masks" / "a.png", MASK, COLORS, seed)
    np.testing.assert_array_equal(Folder(tmp_path, "train")[0].labels[0], MASK)


def test_masks_of_tdseg_are_read_as_before(tmp_path: Path) -> None:
    mask = layouts.stripes([2, 0, VOID, 1])
    (data(tmp_path) / "masks").mkdir()
    draw.save_mask(tmp_path / "masks" / "a.png", mask, color_table(COLORS))
    np.testing.assert_array_equal(Folder(tmp_path, "train")[0].labels[0], mask)
    void_first = np.array([4, 0, 2, 1], np.uint8)[layouts.stripes([0, 1, 2, 3])]
    save_indexed(tmp_path / "masks" / "a.png", void_first, [*COLORS, (9, 9, 9), (255, 255, 255)])
    np.testing.assert_array_equal(Folder(tmp_path, "train")[0].labels[0], layouts.stripes([VOID, 0, 2, 1]))


@pytest.mark.parametrize("palette", [color_table(), color_table()[::-1]], ids=["some palette", "another"])
def test_values_are_classes_where_the_colours_are_none(tmp_path: Path, palette: NDArray[np.uint8]) -> None:
    (data(tmp_path) / "masks").mkdir()
    draw.save_mask(tmp_path / "masks" / "a.png", MASK, palette)
    np.testing.assert_array_equal(Folder(tmp_path, "train")[0].labels[0], MASK)


def test_colours_of_which_some_are_no_class_are_refused(tmp_path: Path) -> None:
    mask = layouts.stripes([1, 0, 3])
    for seed in range(24):
        save_indexed(data(tmp_path) / "masks" / "a.png", mask, [*COLORS, (0, 0, 0)], seed)
        pixels = read_pixels(tmp_path / "masks" / "a.png")
        if [tuple(color) for color in (pixels.palette if pixels.palette is not None else [])][:2] != COLORS[:2]:
            with pytest.raises(LabelError, match=r"but for 0 0 0[\s\S]*ignore: \[\[0, 0, 0\]\] in data\.yaml"):
                Folder(tmp_path, "train")[0]
    save_indexed(data(tmp_path, ignore=[[0, 0, 0]]) / "masks" / "a.png", mask, [*COLORS, (0, 0, 0)], 3)
    np.testing.assert_array_equal(Folder(tmp_path, "train")[0].labels[0], layouts.stripes([1, 0, VOID]))


def test_camvid_of_32_colours_as_indexed(tmp_path: Path) -> None:
    root = layouts.camvid(tmp_path, ["0016E5_07959"])
    (right,) = CamVid(root, "val")
    colors = [color for _, color, _ in CAMVID32]
    save_indexed(root / "LabeledApproved_full" / "0016E5_07959_L.png", layouts.stripes(range(32), (32, 64)), colors)
    (same,) = CamVid(root, "val")
    np.testing.assert_array_equal(same.labels, right.labels)


def test_grey_classes_in_every_mode(tmp_path: Path) -> None:
    table = ClassTable({0: 0, 1: 1}, {(0, 0, 0): 0, (255, 255, 255): 1})
    white = np.array([[0, 255, 255]], np.uint8)
    path = tmp_path / "a.png"
    for image in (white, white > 0, np.repeat(white[..., None], 3, 2), white // 255):
        Image.fromarray(image).save(path)
        assert table.classes(read_pixels(path), "a").tolist() == [[0, 1, 1]]
    coloured = ClassTable({0: 0, 1: 1}, {(9, 9, 9): 0, (1, 2, 3): 1, (0, 0, 0): VOID})
    assert coloured.classes(read_pixels(layouts.save(path, white)), "a").tolist() == [[0, VOID, VOID]]


def test_flicker_and_compare_follow_colours(tmp_path: Path) -> None:
    for index in range(3):
        mask = np.roll(MASK, index, 1)
        layouts.save(tmp_path / "rgb" / f"{index}.png", np.array(COLORS, np.uint8)[mask])
        save_indexed(tmp_path / "indexed" / f"{index}.png", mask, COLORS, index)
    lines = [f"{r} {g} {b} {name}" for (r, g, b), name in zip(COLORS, ("road", "car", "tree"), strict=True)]
    (tmp_path / "p.txt").write_text("\n".join(lines))
    palette = ["--palette", str(tmp_path / "p.txt")]
    given = [str(tmp_path / "indexed"), "--labels", str(tmp_path / "rgb"), *palette]
    assert main(["flicker", *given, "--json", str(tmp_path / "f.json")]) == DONE
    assert json.loads((tmp_path / "f.json").read_text())["miou"] == 100
    masks, labels = (open_masks(tmp_path / k, read_palette(tmp_path / "p.txt")) for k in ("indexed", "rgb"))
    np.testing.assert_array_equal(list(masks), list(labels))
    with pytest.raises(DataError, match=r"value \d has another colour than in a mask before it[\s\S]*--palette"):
        list(open_masks(tmp_path / "indexed"))


def test_steady_follows_colours_and_keeps_each_palette(tmp_path: Path) -> None:
    """A class that a file lacks is added to its palette where a vote brings it in."""
    masks = [MASK] * 5
    masks[2] = np.where(MASK == 2, 0, MASK).astype(np.uint8)  # the tree is missing once
    for index, mask in enumerate(masks):
        layouts.save(tmp_path / "frames" / f"{index}.png", layouts.picture(1))
        save_indexed(tmp_path / "masks" / f"{index}.png", mask, COLORS, index)
    steady(tmp_path / "masks", tmp_path / "out", video=tmp_path / "frames", delay=2)
    for index in range(5):
        with (
            Image.open(tmp_path / "masks" / f"{index}.png") as one,
            Image.open(tmp_path / "out" / f"{index}.png") as other,
        ):
            assert other.mode == "P"
            was, now = one.getpalette() or [], other.getpalette() or []
            assert now[: len(was)] == was
            apart = (np.asarray(other.convert("RGB")) != np.array(COLORS, np.uint8)[MASK]).any(2)
            assert apart.mean() < 0.03  # a column at the border of what was missing


# --- masks of 0 and 255 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_binary_masks_are_named(tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = data(tmp_path, [{"name": "back"}, {"name": "thing"}])
    (root / "masks").mkdir()
    white = layouts.stripes([0, 255])
    Image.fromarray(white).convert(mode).save(root / "masks" / "a.png")
    (root / "c.yaml").write_text(f"data: folder\nroot: {root}\n")
    assert main(["data", "check", str(root / "c.yaml")]) == IN_PART
    shown = " ".join(capsys.readouterr().out.split())
    assert "looks like a binary mask of 0 and 255" in shown
    assert "color: [255, 255, 255]" in shown
    with pytest.raises(DataError, match=r"looks like a binary mask of 0 and 255[\s\S]*color: \[255, 255, 255\]"):
        Folder(root, "train")[0]
    painted = [{"name": "back", "color": [0, 0, 0]}, {"name": "thing", "color": [255, 255, 255]}]
    np.testing.assert_array_equal(Folder(data(root, painted), "train")[0].labels[0], white // 255)
    assert main(["data", "check", str(root / "c.yaml")]) == DONE


def test_masks_of_void_alone_are_not_called_binary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = data(tmp_path, [{"name": "back"}, {"name": "thing"}])
    (root / "masks").mkdir()
    Image.fromarray(layouts.stripes([255, 255])).save(root / "masks" / "a.png")
    (root / "c.yaml").write_text(f"data: folder\nroot: {root}\n")
    assert main(["data", "check", str(root / "c.yaml")]) == IN_PART
    shown = " ".join(capsys.readouterr().out.split())
    assert "every mask has 255 alone, void" in shown
    assert "binary" not in shown
    with pytest.raises(DataError, match="255 alone"):
        Folder(root, "train")


def test_a_mask_of_one_bit_has_two_classes(tmp_path: Path) -> None:
    root = data(tmp_path, [{"name": "back"}, {"name": "thing"}])
    (root / "masks").mkdir()
    Image.fromarray(layouts.stripes([0, 1]).astype(bool)).save(root / "masks" / "a.png")
    np.testing.assert_array_equal(Folder(root, "train")[0].labels[0], layouts.stripes([0, 1]))


def test_files_that_never_end(tmp_path: Path) -> None:
    for name in ("/dev/zero", "/dev/full"):
        with pytest.raises(DataError, match="not a text file"):
            read_palette(name)
