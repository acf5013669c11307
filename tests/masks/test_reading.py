from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import layouts
from support.results import leave_halfway
from tdseg.errors import DataError
from tdseg.masks import draw
from tdseg.masks.palette import Palette, color_table
from tdseg.masks.reading import open_masks

COLORS = ((0, 0, 0), (200, 10, 10), (10, 200, 10), (9, 9, 9))
MASKS = [np.array([[0, 1, 2], [2, index, 255]], np.uint8) for index in range(3)]


def folder(path: Path, masks: list[np.ndarray], names: list[str] | None = None) -> Path:
    path.mkdir()
    for index, mask in enumerate(masks):
        Image.fromarray(mask).save(path / (names[index] if names else f"{index:03d}.png"))
    return path


@pytest.fixture
def palette(tmp_path: Path) -> Palette:
    return layouts.palette(tmp_path)


def test_indexed_and_grey_pngs_hold_classes(tmp_path: Path, palette: Palette) -> None:
    grey = folder(tmp_path / "grey", MASKS)
    (tmp_path / "indexed").mkdir()
    for index, mask in enumerate(MASKS):
        draw.save_mask(tmp_path / "indexed" / f"{index}.png", mask, color_table(COLORS))
    for path in (grey, tmp_path / "indexed"):
        masks = open_masks(path)
        assert (len(masks), masks.size) == (3, (2, 3))
        assert [mask.tolist() for mask in masks] == [mask.tolist() for mask in MASKS]
        assert len(list(masks)) == 3  # a second time
    (tmp_path / "grey" / "001.png").unlink()
    (tmp_path / "grey" / "002.png").unlink()
    Image.fromarray(np.array([[0, 3]], np.uint8)).save(tmp_path / "grey" / "000.png")
    assert [mask.tolist() for mask in open_masks(grey, palette)] == [[[0, 255]]]


def test_natural_order(tmp_path: Path) -> None:
    names = [f"frame{index}.png" for index in range(9, 12)]
    path = folder(tmp_path / "masks", MASKS, names)
    assert [Path(name).name for name in open_masks(path).names] == names


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_become_classes(tmp_path: Path, palette: Palette, mode: str) -> None:
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([COLORS], np.uint8)).convert(mode).save(tmp_path / "masks" / "a.png")
    assert [mask.tolist() for mask in open_masks(tmp_path / "masks", palette)] == [[[0, 1, 2, 255]]]


@pytest.mark.parametrize(
    "names",
    [
        ["0.png", "1.png", "3.png"],
        ["a_10.png", "a_20.png", "a_60.png"],
        [f"aachen_000000_{index:06d}_leftImg8bit.png" for index in (1, 2, 4)],
        ["0_1699000033.png", "1_1699000067.png", "3_1699000133.png"],
    ],
)
def test_gap(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(DataError, match=f"{names[1]} is followed by {names[2]}"):
        open_masks(folder(tmp_path / "masks", MASKS, names))


@pytest.mark.parametrize(
    "names",
    [
        ["5.png", "7.png", "9.png"],
        ["1699000033.png", "1699000067.png", "1699000100.png"],
        ["a.png", "b.png", "c.png"],
    ],
)
def test_other_numbers_are_no_gap(tmp_path: Path, names: list[str]) -> None:
    assert len(open_masks(folder(tmp_path / "masks", MASKS, names))) == 3


@pytest.mark.parametrize(
    "names",
    [
        ["A_0.png", "A_1.png", "A_3.png", "B_0.png"],
        ["a_000000_000000_leftImg8bit.png", "a_000000_000001_leftImg8bit.png", "a_000001_000002_leftImg8bit.png"],
        ["0_0.png", "0_1.png", "1_0.png", "1_1.png"],
    ],
)
def test_several_videos(tmp_path: Path, names: list[str]) -> None:
    path = folder(tmp_path / "masks", [MASKS[0]] * len(names), names)
    with pytest.raises(DataError, match=r"masks of several videos[\s\S]*of each video by themselves"):
        open_masks(path)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["7.png", "9.png", "11.png"], [7, 9, 11]),
        ([f"seq8_{index:06d}_leftImg8bit.png" for index in range(3)], [0, 1, 2]),
        (["a1.png", "b1.png", "c3.png"], None),
        (["2024-01-01_12-00-58.png", "2024-01-01_12-00-59.png", "2024-01-01_12-01-00.png"], None),
        (["1699000033_100.png", "1699000033_600.png", "1699000034_100.png"], None),
        (["0.5.png", "1.0.png", "3.1.png"], None),
        (["1.png", "2.png", "palette.png"], None),
        (["1.png"], None),
    ],
)
def test_numbers(tmp_path: Path, names: list[str], numbers: list[int] | None) -> None:
    assert open_masks(folder(tmp_path / "masks", MASKS[: len(names)], names)).numbers == numbers


def test_refused_folders(tmp_path: Path, palette: Palette) -> None:
    with pytest.raises(DataError, match="missing: No such file"):
        open_masks(tmp_path / "missing")
    with pytest.raises(DataError, match="no PNG"):
        open_masks(tmp_path)
    sizes = folder(tmp_path / "sizes", [MASKS[0], np.zeros((3, 3), np.uint8)])
    with pytest.raises(DataError, match=r"001.png is 3x3, .*000.png is 2x3"):
        list(open_masks(sizes))
    with pytest.raises(DataError, match=r"000.png: class 7[\s\S]*0 … 3 as in .*palette.txt"):
        open_masks(folder(tmp_path / "class", [np.full((2, 3), 7, np.uint8)]), palette)
    colour = folder(tmp_path / "colour", [np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8)])
    with pytest.raises(DataError, match=r"mode RGB, not indexed[\s\S]*--palette"):
        open_masks(colour)
    with pytest.raises(DataError, match=r"000.png: colour 1 2 3 at x=1, y=0"):
        open_masks(colour, palette)
    deep = folder(tmp_path / "deep", [np.zeros((2, 2), np.uint16)])
    with pytest.raises(DataError, match=r"mode I;16, not indexed[\s\S]*8 bits"):
        open_masks(deep)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0.png: not a readable image"):
        open_masks(tmp_path / "damaged")


@pytest.mark.parametrize("inner", [".", "masks"])
def test_masks_are_of_one_result_where_a_run_was_killed(inner: str, tmp_path: Path) -> None:
    """The first mask was in its place already, the second was not."""
    new, old = MASKS[0], MASKS[0][::-1].copy()
    place = folder(tmp_path / "result", []) / inner
    place.mkdir(exist_ok=True)
    for name, mask in (("000.png", new), ("001.png", old), ("002.png", new)):
        Image.fromarray(mask).save(place / name)
    name = str(Path(inner, "001.png"))
    leave_halfway(tmp_path / "result", {name: (place / "002.png").read_bytes()}, [name, str(Path(inner, "002.png"))])
    np.testing.assert_array_equal([*open_masks(place)], [new, new])
