"""Folders of images: masks are named as they are, and photos are no video."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import layouts
from support.small import small_model
from tdseg.inference.pipeline import segment, segment_to
from tdseg.inference.stream import Stream
from tdseg.video.frame import names_of

NAMES = ["IMG_2.jpg", "IMG_10.jpg", "same.jpg", "same.png", "z.b.png"]
MASKS = ["IMG_2", "IMG_10", "same.jpg", "same.png", "z.b"]


def photos(folder: Path, names: list[str] = NAMES) -> Path:
    for index, name in enumerate(names):
        layouts.save(folder / name, np.roll(layouts.picture(index, (64, 96)), 31 * index, 1))
    return folder


def made(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "masks").iterdir())


def test_masks_have_the_names_of_images(tmp_path: Path) -> None:
    source, out = photos(tmp_path / "photos"), tmp_path / "out"
    (source / "IMG_3.jpg").write_bytes(b"damaged")
    model = small_model()
    summary = segment_to(source, out, model=model, write=("masks",))
    assert made(out) == sorted(MASKS)
    assert summary.names == MASKS
    (source / "IMG_3.jpg").unlink()
    for result, name in zip(segment(source, model), MASKS, strict=True):
        with Image.open(out / "masks" / f"{name}.png") as mask:
            np.testing.assert_array_equal(np.asarray(mask), result.mask)


def test_a_result_with_names_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    source, out, model = photos(tmp_path / "photos"), tmp_path / "out", small_model()
    segment_to(source, out, model=model, write=("masks",))
    (out / "masks" / "mine.png").write_bytes(b"mine")
    summary = segment_to(source, out, model=model, write=("masks",), names="index", overwrite=True)
    assert made(out) == [*(f"{index:06d}" for index in range(5)), "mine"]
    assert summary.names is None
    (source / "same.png").unlink()
    segment_to(source, out, model=model, write=("masks",), overwrite=True)
    assert made(out) == sorted(["IMG_2", "IMG_10", "same", "z.b", "mine"])
    segment_to(source, out, model=model, write=(), overwrite=True)
    assert made(out) == ["mine"]


@pytest.mark.parametrize("names", [["../../mine"], "mine", [3, None], {"mine": 1}])
def test_a_changed_summary_deletes_nothing_outside(tmp_path: Path, names: object) -> None:
    source, out = photos(tmp_path / "photos"), tmp_path / "out"
    segment_to(source, out, model=small_model(), write=("masks",), names="index")
    changed = json.loads((out / "summary.json").read_text()) | {"names": names, "write": [{"a": 1}, 7, "masks"]}
    (out / "summary.json").write_text(json.dumps(changed))
    for path in (tmp_path / "mine.png", out / "mine.png", out / "masks" / "mine.png"):
        path.write_bytes(b"mine")
    segment_to(source, out, model=small_model(), write=("masks",), overwrite=True)
    assert all(path.exists() for path in (tmp_path / "mine.png", out / "mine.png", out / "masks" / "mine.png"))


def test_a_single_image_is_numbered(tmp_path: Path) -> None:
    segment_to(photos(tmp_path / "photos") / NAMES[0], tmp_path / "out", model=small_model(), write=("masks",))
    assert made(tmp_path / "out") == ["000000"]


def test_stills_have_no_memory(tmp_path: Path) -> None:
    """Each is segmented as if it were alone; as frames of a video they are not."""
    source, model = photos(tmp_path / "photos"), small_model()
    alone = [Stream(model).step(result.frame).mask for result in segment(source, model)]
    stills = [result.mask for result in segment(source, model, stills=True)]
    video = [result.mask for result in segment(source, model)]
    np.testing.assert_array_equal(stills, alone)
    assert any((one != other).any() for one, other in zip(video, alone, strict=True))
    stream = Stream(model, stills=True)
    frames = [result.frame for result in segment(source, model)]
    np.testing.assert_array_equal([stream.step(frame).mask for frame in frames], alone)
    assert segment_to(source, tmp_path / "out", model=model, write=(), stills=True).memory is None


def test_names_that_would_be_the_same_are_numbers(tmp_path: Path) -> None:
    """Images of several folders, or two that differ in case alone: no mask takes the place of another."""
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        photos(tmp_path / folder / "in", ["shot.png"])
    summary = segment_to(
        str(tmp_path / "*" / "in" / "shot.png"), tmp_path / "out", model=small_model(), write=("masks",)
    )
    assert (summary.frames, summary.names) == (2, None)
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["000000.png", "000001.png"]
    assert names_of([Path("a/Shot.png"), Path("a/shot.jpg")]) == ["Shot.png", "shot.jpg"]
    assert names_of([Path("a.png"), Path("a.jpg"), Path("a.png.jpg")]) is None
