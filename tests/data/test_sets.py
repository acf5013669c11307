"""Cityscapes, NYUDv2, synthetic data, and how sources open them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support import layouts
from tdseg.data.cityscapes import Cityscapes
from tdseg.data.nyudv2 import NYUDv2
from tdseg.data.rendered import SPLITS, RenderedSplit, StreetClips
from tdseg.data.source import KINDS, Source, open_source
from tdseg.data.tracks import Shot, Track, TrackClips
from tdseg.errors import ConfigError, DataError
from tdseg.masks.labels import ClassTable
from tdseg.metrics.iou import VOID
from tdseg.video.pictures import images_in

VIDEOS = {"aachen_000000": 19, "hamburg_000000": 313}
CLASS_OF_ID = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13}
CLASS_OF_ID |= {27: 14, 28: 15, 31: 16, 32: 17, 33: 18}


def test_cityscapes(tmp_path: Path) -> None:
    data = Cityscapes(layouts.cityscapes(tmp_path, VIDEOS, past=4), "train", length=3, step=(1, 2))
    assert [layouts.numbers(clip) for clip in data] == [[17, 18, 19], [311, 312, 313]]
    assert data.sequence(1) == "hamburg_000000_000313"
    drawn = [layouts.numbers(data.clip(1, torch.Generator().manual_seed(seed))) for seed in range(20)]
    assert {tuple(numbers) for numbers in drawn} == {(a, b, 313) for b in (311, 312) for a in (b - 1, b - 2)}
    clip = data[0]
    assert (clip.labels[:2] == VOID).all()
    assert clip.labels.shape == (3, *layouts.SIZE)


def test_cityscapes_label_ids(tmp_path: Path) -> None:
    data = Cityscapes(layouts.cityscapes(tmp_path, {"ulm_000003": 19}, "val", past=0, size=(32, 70)), "val")
    assert data[0].labels[0, 9, ::2].tolist() == [CLASS_OF_ID.get(i, VOID) for i in (*range(34), 255)]
    assert len(data.classes) == len(data.palette) == 19
    assert not data.has_past


def test_cityscapes_missing_sequence_frames(tmp_path: Path) -> None:
    root = layouts.cityscapes(tmp_path, VIDEOS, past=3)
    (root / "leftImg8bit_sequence/train/hamburg/hamburg_000000_000311_leftImg8bit.png").unlink()
    assert len(Cityscapes(root, "train")) == 2
    assert len(Cityscapes(root, "train", length=2)) == 2
    with pytest.raises(DataError, match=r"000313.* missing sequence frames hamburg_000000_000311_leftImg8bit\.png"):
        Cityscapes(root, "train", length=3)
    with pytest.raises(DataError, match=r"000015.*000017.*2 frames|aachen_000000_000015.*and 1 more like it"):
        Cityscapes(root, "train", length=5)
    assert len(Cityscapes(root, "train", length=3, strict=False)) == 1


def test_cityscapes_bad_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        Cityscapes(tmp_path, "train")
    root = layouts.cityscapes(tmp_path, VIDEOS, past=0)
    with pytest.raises(DataError, match="leftImg8bit_sequence/train is missing"):
        Cityscapes(root, "train", length=2)
    (root / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"aachen_000000_000019_leftImg8bit\.png has no label"):
        Cityscapes(root, "train")


def test_nyudv2(tmp_path: Path) -> None:
    root = layouts.nyudv2(tmp_path, {"0001": 12, "0002": 1, "0003": 0}, size=(32, 82))
    stills = NYUDv2(root, "train")
    assert [layouts.numbers(clip) for clip in stills] == [[100]] * 3
    assert stills[0].labels[0, 0, ::2].tolist() == [VOID, *range(40)]
    assert len(stills.classes) == len(set(stills.classes)) == len(set(stills.palette)) == 40
    clips = NYUDv2(root, "train", length=3)
    assert [layouts.numbers(clip) for clip in clips] == [[98, 99, 100]]  # in natural order: r-9 before r-10
    assert [Path(name).stem for name in clips.dropped] == ["0002", "0003"]
    with pytest.raises(DataError, match="no clip of 14 frames; 3 labelled frames have too few"):
        NYUDv2(root, "train", length=14)


def test_nyudv2_bad_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        NYUDv2(tmp_path, "train")
    root = layouts.nyudv2(tmp_path, {"0001": 1})
    layouts.save(root / "frames/0001/r-0.png", layouts.picture(0, (40, 40)))
    with pytest.raises(DataError, match=r"0001\.png: a clip with frames of sizes \[\(32, 48\), \(40, 40\)\]"):
        NYUDv2(root, "train", length=2)[0]
    layouts.save(root / "labels/train/0001.png", layouts.stripes([0, 41]))
    with pytest.raises(DataError, match=r"0001\.png: value 41 at x=24, y=0, 768 such pixels"):
        NYUDv2(root, "train")[0]
    (root / "images/train/0001.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0001\.png: not a readable image"):
        NYUDv2(root, "train")[0]
    (root / "labels/train/0001.png").unlink()
    with pytest.raises(DataError, match=r"0001\.png has no label"):
        NYUDv2(root, "train")


def test_street_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    for split, seed in (("train", 1), ("val", 9)):
        monkeypatch.setitem(SPLITS, split, RenderedSplit(seed, videos=2, num_frames=6, size=(32, 48)))
    data = StreetClips(None, "train", length=3, step=(2, 2))
    assert len(data) == 4
    stills = StreetClips(None, "train")
    expected = torch.cat([stills[i].frames for i in (7, 9, 11)])
    assert torch.equal(data[3].frames, expected)
    assert stills.sequence(5) != stills.sequence(6)
    other = StreetClips(None, "val")
    assert not {stills.sequence(i) for i in range(12)} & {other.sequence(i) for i in range(12)}
    with pytest.raises(DataError, match="split 'tests'"):
        StreetClips(None, "tests")


def test_street_clips_are_kept_where_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SPLITS, "train", RenderedSplit(1, videos=1, num_frames=3, size=(32, 48)))
    root = tmp_path / "streets"
    first = StreetClips(root, "train")[2]
    (kept,) = root.iterdir()
    rendered = kept.stat().st_mtime_ns
    again = StreetClips(root, "train")[2]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert kept.stat().st_mtime_ns == rendered
    for damaged in (b"cut off", b""):
        kept.write_bytes(damaged)
        with pytest.raises(DataError, match="remove it"):
            StreetClips(root, "train")[2]


def test_splits_of_street_clips_differ() -> None:
    seeds = [seed + i for seed, videos, _, _ in SPLITS.values() for i in range(videos)]
    assert len(set(seeds)) == len(seeds)


def test_sources(tmp_path: Path) -> None:
    layouts.segnet(tmp_path / "segnet", ["A_0", "A_1"])
    layouts.camvid(tmp_path / "camvid", ["0006R0_f00930"])
    layouts.cityscapes(tmp_path / "cityscapes", VIDEOS, past=1)
    layouts.nyudv2(tmp_path / "nyudv2", {"0001": 1})
    for kind, root, length, count in (
        ("camvid", "segnet", 2, 11),
        ("camvid", "camvid", 1, 32),
        ("cityscapes", "cityscapes", 2, 19),
        ("nyudv2", "nyudv2", 2, 40),
    ):
        source = Source(data=kind, root=tmp_path / root, length=length, num_classes=count)
        data = open_source(source)
        assert (data.length, len(data.classes), len(data.palette)) == (length, count, count)
        assert data[0].frames.shape[0] == length
    assert open_source(Source(data="synthetic", split="val", length=4)).name == "synthetic val"
    with pytest.raises(DataError, match="num_classes 20 for Cityscapes train"):
        open_source(Source(data="cityscapes", root=tmp_path / "cityscapes", num_classes=20))


class Grey(TrackClips):
    """A data set of the smallest kind."""

    title, layout, classes, palette, labels = "Grey", "*.png", ("all",), ((128, 128, 128),), ClassTable({0: 0})

    def find_tracks(self) -> list[Track]:
        return [Track(self.split, [Shot(path)], [0]) for path in images_in(self.root / self.split)]


def test_a_data_set_is_a_class_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.save(tmp_path / "train" / "a.png", layouts.picture(5))
    with pytest.raises(ConfigError, match=r"'grey'[\s\S]*'camvid', 'cityscapes', 'nyudv2', 'folder' or 'synthetic'"):
        Source.parse({"data": "grey", "root": tmp_path}, where="test")
    monkeypatch.setitem(KINDS, "grey", f"{__name__}:Grey")
    data = open_source(Source(data="grey", root=tmp_path))
    assert (data.name, [layouts.numbers(clip) for clip in data]) == ("Grey train", [[5]])
