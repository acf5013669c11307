from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support import layouts
from support.places import CAMVID
from tdseg.data.camvid import CamVid, official_split
from tdseg.errors import DataError
from tdseg.masks.classes import CAMVID32, CAMVID32_CLASSES, CAMVID_CLASSES
from tdseg.metrics.iou import VOID

needs_real = pytest.mark.skipif(not CAMVID.exists(), reason="needs CamVid in data/camvid")


def test_void_is_ignored(tmp_path: Path) -> None:
    clip = CamVid(layouts.segnet(tmp_path, ["A_0"], values=range(12)), "train")[0]
    assert clip.frames.shape == (1, 3, *layouts.SIZE)
    assert clip.labels[0, 5, ::4].tolist() == [*range(11), VOID]


def test_clips_do_not_cross_sequences_nor_gaps(tmp_path: Path) -> None:
    names = ["A_00000", "A_00031", "A_00060", "A_00300", "A_00330", "B_f00002", "B_f00004"]
    data = CamVid(layouts.segnet(tmp_path, names), "train", length=2)
    assert [layouts.numbers(data[i]) for i in range(len(data))] == [[0, 31], [31, 60], [300, 330], [2, 4]]
    assert [data.sequence(i) for i in range(len(data))] == ["A from 00000", "A from 00000", "A from 00300", "B"]
    assert [Path(name).stem for name in data.dropped] == ["A_00000", "A_00300", "B_f00002"]


def test_frame_rate(tmp_path: Path) -> None:
    names = ["A_07959", "A_07961", "A_07963"]
    assert CamVid(layouts.segnet(tmp_path, names), "train").fps == 15
    assert CamVid(layouts.segnet(tmp_path, ["B_00000", "B_00030"]), "train").fps is None


def test_steps_are_drawn_from_what_there_is(tmp_path: Path) -> None:
    data = CamVid(layouts.segnet(tmp_path, [f"A_{i:05}" for i in range(9)]), "train", length=3, step=(1, 3))
    assert layouts.numbers(data[len(data) - 1]) == [6, 7, 8]
    seen: dict[int, set[tuple[int, ...]]] = {}
    for seed in range(40):
        for index in range(len(data)):
            drawn = layouts.numbers(data.clip(index, torch.Generator().manual_seed(seed)))
            steps = tuple(after - before for before, after in pairwise(drawn))
            assert drawn[-1] == index + 2
            assert min(steps) >= 1 <= 3 >= max(steps)
            seen.setdefault(index, set()).add(steps)
    assert seen[0] == {(1, 1)}  # frame 2: no other way
    assert seen[6] == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3)}


def test_frames_without_labels_are_the_past_of_labelled_ones(tmp_path: Path) -> None:
    root = layouts.segnet(tmp_path, ["A_00030", "A_00060", "B_f00090"])
    for name in ("A_00027", "A_00028", "A_00029", "A_00057", "A_00059", "B_f00088", "B_f00089"):
        layouts.save(root / "frames" / f"{name}.png", layouts.picture(int(name[-5:]), layouts.SIZE))
    data = CamVid(root, "train", length=3)
    assert [layouts.numbers(clip) for clip in data] == [[28, 29, 30], [88, 89, 90]]
    assert [Path(name).stem for name in data.dropped] == ["A_00060"]  # A_00058 is missing
    assert all((clip.labels[:2] == VOID).all() and (clip.labels[2] != VOID).any() for clip in data)
    assert layouts.numbers(CamVid(root, "train", length=2, step=(2, 3))[0]) == [28, 30]
    assert CamVid(root, "train").has_past  # so that evaluation may ask for clips
    assert len(CamVid(root, "train")) == 3


def test_labelled_video_is_its_own_past(tmp_path: Path) -> None:
    root = layouts.segnet(tmp_path, ["A_07959", "A_07961", "A_07963"], "val")
    layouts.save(root / "frames" / "A_07958.png", layouts.picture(1, layouts.SIZE))
    data = CamVid(root, "val")
    assert (data.fps, data.has_past) == (15, False)
    assert [layouts.numbers(clip) for clip in CamVid(root, "val", length=2)] == [[7959, 7961], [7961, 7963]]


def test_original_layout(tmp_path: Path) -> None:
    names = ["0001TP_008520", "0001TP_008550", "0006R0_f00930", "0016E5_07920", "0016E5_07959", "0016E5_07961"]
    root = layouts.camvid(tmp_path, [*names, "0016E5_08159", "0016E5_08190", "Seq05VD_f00000"])
    train, val, test = (CamVid(root, split) for split in ("train", "val", "test"))
    assert [layouts.numbers(clip) for clip in train] == [[8520], [930], [7920], [8190]]
    assert [layouts.numbers(clip) for clip in val] == [[7959], [7961], [8159]]
    assert [layouts.numbers(clip) for clip in test] == [[8550], [0]]
    columns = train[0].labels[0, 3, ::2].tolist()
    found = {name: columns[i] for i, (name, _, _) in enumerate(CAMVID32)}
    assert found["Void"] == VOID
    for name, part in (("SUVPickupTruck", "Car"), ("LaneMkgsDriv", "Road"), ("Child", "Pedestrian"), ("Sky", "Sky")):
        assert found[name] == CAMVID_CLASSES.index(part)
    assert set(columns) == {*range(11), VOID}


def test_32_classes(tmp_path: Path) -> None:
    data = CamVid(layouts.camvid(tmp_path, ["0006R0_f00930"]), "train", num_classes=32)
    void = CAMVID32_CLASSES.index("Void")
    assert data[0].labels[0, 3, ::2].tolist() == [VOID if i == void else i for i in range(32)]
    assert data.classes == CAMVID32_CLASSES
    with pytest.raises(DataError, match="num_classes 12"):
        CamVid(tmp_path, "train", num_classes=12)
    layouts.segnet(tmp_path / "segnet", ["A_0"])
    with pytest.raises(DataError, match="11, all that the SegNet layout has"):
        CamVid(tmp_path / "segnet", "train", num_classes=32)


def test_lists_take_the_place_of_the_official_split(tmp_path: Path) -> None:
    layouts.camvid(tmp_path, ["0006R0_f00930", "Seq05VD_f00000"])
    (tmp_path / "train.txt").write_text("images/Seq05VD_f00000.png labels/Seq05VD_f00000_L.png\n\n")
    assert layouts.numbers(CamVid(tmp_path, "train")[0]) == [0]
    with pytest.raises(DataError, match="holds no images of split 'val'"):
        CamVid(tmp_path, "val")
    (tmp_path / "val.txt").write_text("0006R0_f00930\n0006R0_f00960\n")
    with pytest.raises(DataError, match=r"val\.txt names 0006R0_f00960"):
        CamVid(tmp_path, "val")


def test_bad_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        CamVid(tmp_path, "train")
    layouts.segnet(tmp_path, ["A_0"], values=[3, 12])
    with pytest.raises(DataError, match=r"A_0\.png: value 12 at x=24, y=0"):
        CamVid(tmp_path, "train")[0]
    label = tmp_path / "labels" / "train" / "A_0.png"
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(label)
    with pytest.raises(DataError, match=r"A_0\.png: 8x9, its image is 32x48"):
        CamVid(tmp_path, "train")[0]
    label.write_bytes(label.read_bytes()[:40])
    with pytest.raises(DataError, match=r"A_0\.png"):
        CamVid(tmp_path, "train")[0]
    label.unlink()
    with pytest.raises(DataError, match="no label"):  # at once, not after hours
        CamVid(tmp_path, "train")
    assert len(CamVid(tmp_path, "train", strict=False)) == 0


def test_colour_that_is_no_class(tmp_path: Path) -> None:
    layouts.camvid(tmp_path, ["0006R0_f00930"])
    path = tmp_path / "LabeledApproved_full" / "0006R0_f00930_L.png"
    pixels = np.array(Image.open(path))
    pixels[7, 4] = 1, 2, 3
    Image.fromarray(pixels).save(path)
    with pytest.raises(DataError, match=r"f00930_L\.png: colour 1 2 3 at x=4, y=7, 1 such pixels"):
        CamVid(tmp_path, "train")[0]


@needs_real
def test_real_splits() -> None:
    counts = {split: len(CamVid(CAMVID, split)) for split in ("train", "val", "test")}
    assert counts == {"train": 367, "val": 101, "test": 233}
    assert [CamVid(CAMVID, split).fps for split in counts] == [None, 15, None]
    assert len(CamVid(CAMVID, "val", length=4)) == 98
    for split in counts:  # the rule for the original layout gives SegNet's split
        for path in (CAMVID / "images" / split).iterdir():
            assert official_split(path.stem) == split, path.name
