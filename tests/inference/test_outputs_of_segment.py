"""Each output of `segment` holds the masks, and what reads masks reads it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from support.small import FPS, SIZE, moving_frames, small_model, write_clip
from support.videos import make_clip
from tdseg.errors import ConfigError, DataError, VideoError
from tdseg.inference.pipeline import segment, segment_to
from tdseg.inference.steady import steady
from tdseg.inference.stream import Result
from tdseg.masks.appearance import Appearance
from tdseg.masks.palette import read_palette
from tdseg.masks.reading import open_masks
from tdseg.video import Excerpt, open_video, writer
from tdseg.video.grey import GreyWriter, grey_times, read_grey

FILES = ("masks", "masks.mkv", "masks.npz", "masks.jsonl")
ALL = ("masks", "overlay", "video", "csv", "rle", "npz")
COUNT = 9


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", COUNT)


@pytest.fixture(scope="module")
def results(clip: Path) -> list[Result]:
    return list(segment(clip, small_model()))


@pytest.fixture(scope="module")
def folder(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    segment_to(clip, folder, model=small_model(), write=ALL)
    return folder


def test_every_form_of_masks_is_the_same(folder: Path, results: list[Result]) -> None:
    for name in FILES:
        masks = open_masks(folder / name)
        assert (len(masks), masks.size) == (COUNT, SIZE)
        np.testing.assert_array_equal(list(masks), [result.mask for result in results])
    assert np.load(folder / "masks.npz")["masks"].shape == (COUNT, *SIZE)


def test_shares_and_times(folder: Path, results: list[Result]) -> None:
    with (folder / "shares.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    classes = small_model().config.classes
    assert list(rows[0]) == ["frame", "time_s", *classes]
    for index, (row, result) in enumerate(zip(rows, results, strict=True)):
        assert int(row["frame"]) == index
        assert float(row["time_s"]) == pytest.approx(index / FPS, abs=1e-3)
        shares = [(result.mask == value).mean() for value in range(len(classes))]
        assert [float(row[name]) for name in classes] == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("name", FILES[1:])
def test_masks_steadied_keep_their_form(folder: Path, clip: Path, tmp_path: Path, name: str) -> None:
    done = steady(folder / name, tmp_path / name, video=clip)
    assert len(open_masks(tmp_path / name)) == done.masks == COUNT
    if name.endswith(".mkv"):
        assert grey_times(tmp_path / name) == grey_times(folder / name)
    if name.endswith(".jsonl"):
        old, new = (
            [json.loads(line) for line in (path / name).read_text().splitlines()] for path in (folder, tmp_path)
        )
        assert [(a["frame"], a["time_s"]) for a in old] == [(b["frame"], b["time_s"]) for b in new]
        assert {s["name"] for b in new for s in b["segments"]} <= {s["name"] for a in old for s in a["segments"]}


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (64, 96)])
def test_grey_video_holds_every_value(tmp_path: Path, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, size, dtype=np.uint8) for _ in range(5)]
    with GreyWriter(tmp_path / "a.mkv", size=size, fps=30) as writer:
        for index, picture in enumerate(pictures):
            writer.write(picture, 100 + index / 30)
    np.testing.assert_array_equal(list(read_grey(tmp_path / "a.mkv")), pictures)
    assert grey_times(tmp_path / "a.mkv") == pytest.approx([100 + index / 30 for index in range(5)], abs=6e-4)


def test_a_lossy_or_damaged_mask_video_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match=r"h264[\s\S]*lossless"):
        open_masks(make_clip(tmp_path / "clip.mkv"))
    (tmp_path / "cut.mkv").write_bytes((folder / "masks.mkv").read_bytes()[:300])
    with pytest.raises((DataError, VideoError)):
        open_masks(tmp_path / "cut.mkv")


def test_a_part_keeps_its_times_and_the_memory_sees_it_alone(clip: Path, tmp_path: Path) -> None:
    excerpt = Excerpt(start=0.2, end=0.8, every=2)
    summary = segment_to(clip, tmp_path, model=small_model(), excerpt=excerpt, write=ALL)
    assert (summary.frames, summary.complete) == (3, True)
    lines = [json.loads(line) for line in (tmp_path / "masks.jsonl").read_text().splitlines()]
    assert [line["time_s"] for line in lines] == pytest.approx([0.2, 0.4, 0.6], abs=1e-3)
    assert grey_times(tmp_path / "masks.mkv") == pytest.approx([0.2, 0.4, 0.6], abs=1e-3)
    frames = tmp_path / "frames"
    frames.mkdir()
    with open_video(clip) as reader:
        for frame in list(reader)[2:8:2]:
            Image.fromarray(frame.image).save(frames / f"{frame.index}.png")
    alone = [result.mask for result in segment(frames, small_model())]
    np.testing.assert_array_equal(list(open_masks(tmp_path / "masks")), alone)
    with open_video(tmp_path / "overlay.mp4") as reader:
        assert [frame.time_s for frame in reader] == pytest.approx([0, 0.2, 0.4], abs=1e-3)


def test_the_sound_fits_the_part(tmp_path: Path) -> None:
    """Its packets are those of the source from the start of the part to its end."""
    clip = make_clip(tmp_path / "clip.mp4", moving_frames(30), fps=10, sound=("aac", 48_000, 3.0))
    segment_to(clip, tmp_path / "result", model=small_model(), excerpt=Excerpt(start=1, end=2), write=("overlay",))
    with av.open(str(tmp_path / "result/overlay.mp4")) as overlay, av.open(str(clip)) as source:
        sound, first = (container.streams.audio[0] for container in (overlay, source))
        packets = [bytes(p) for p in overlay.demux(sound) if p.size]
        inside = [bytes(p) for p in source.demux(first) if p.size and 0.97 < float((p.pts or 0) * p.time_base) < 2.0]
    assert packets == inside


def test_some_classes_and_the_rest(clip: Path, tmp_path: Path, results: list[Result]) -> None:
    counts = np.bincount(np.concatenate([result.mask.ravel() for result in results]), minlength=11)
    first, second = np.argsort(-counts)[:2].tolist()
    names = small_model().config.classes
    asked = (names[second].lower(), str(first))
    segment_to(clip, tmp_path, model=small_model(), classes=asked, write=("npz", "matte"))
    masks = np.load(tmp_path / "masks.npz")["masks"]
    whole = np.array([result.mask for result in results])
    np.testing.assert_array_equal(masks == 0, whole == second)
    np.testing.assert_array_equal(masks == 1, whole == first)
    assert read_palette(tmp_path / "classes.txt").names == (names[second], names[first], "other")
    expected = [result.probability(first) + result.probability(second) for result in results]
    got = np.array(list(read_grey(tmp_path / "matte.mkv"))) / 255
    assert np.abs(got - expected).mean() < 0.01
    for result in segment(clip, small_model(), classes=asked):
        assert result.classes == (names[second], names[first], "other")
        assert (result.confidence > 0).all()
        assert (result.confidence <= 1).all()
    assert set(json.loads((tmp_path / "summary.json").read_text())["class_share"]) == set(result.classes)


def test_palette_by_name(clip: Path, tmp_path: Path) -> None:
    names = small_model().config.classes
    (tmp_path / "palette.txt").write_text("1 2 3 sky\n4 5 6 other\n")
    about = Appearance(palette=tmp_path / "palette.txt")
    segment_to(clip, tmp_path / "a", model=small_model(), classes=("Road", "Sky"), appearance=about, write=("masks",))
    assert read_palette(tmp_path / "a/classes.txt").colors[1:].tolist() == [[1, 2, 3], [4, 5, 6]]
    with Image.open(tmp_path / "a/masks/000000.png") as image:
        assert image.getpalette()[3:9] == [1, 2, 3, 4, 5, 6]  # type: ignore[index]
    (tmp_path / "palette.txt").write_text("1 2 3 skie\n")
    with pytest.raises(DataError, match=rf"'skie' is no class[\s\S]*{names[0]}"):
        segment_to(clip, tmp_path / "b", model=small_model(), appearance=about)


def test_what_cannot_be_is_refused(clip: Path, tmp_path: Path) -> None:
    result = tmp_path / "result"
    with pytest.raises(ConfigError, match=r"class 'rode'[\s\S]*mean Road"):
        segment_to(clip, result, model=small_model(), classes=("rode",))
    with pytest.raises(ConfigError, match="matte without classes"):
        segment_to(clip, result, model=small_model(), write=("matte",))
    with pytest.raises(ConfigError, match="matte of all"):
        segment_to(clip, result, model=small_model(), write=("matte",), classes=small_model().config.classes)
    with pytest.raises(ConfigError, match="opacity 2"):
        Appearance(opacity=2)
    assert not result.exists()


def test_masks_of_other_sizes_are_scaled_and_told_of(tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for index, image in enumerate(moving_frames(2) + moving_frames(1, (80, 128))):
        Image.fromarray(image).save(frames / f"{index}.png")
    summary = segment_to(frames, tmp_path / "a", model=small_model(), write=("npz", "video", "rle"))
    assert "others were scaled" in str(summary.problem)
    assert [mask.shape for mask in read_grey(tmp_path / "a/masks.mkv")] == [SIZE] * 3
    assert np.load(tmp_path / "a/masks.npz")["masks"].shape == (3, *SIZE)
    assert json.loads((tmp_path / "a/masks.jsonl").read_text().splitlines()[2])["size"] == [80, 128]


def test_an_array_has_the_masks_that_came(clip: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_to(clip, tmp_path, model=small_model(), write=ALL, on_progress=stop)
    for name in FILES:
        assert len(open_masks(tmp_path / name)) == 5
    assert np.load(tmp_path / "masks.npz")["masks"].shape == (5, *SIZE)
    assert not (tmp_path / ".partial").exists()


def test_an_overlay_beyond_the_encoder_is_scaled_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CODECS", tuple(codec._replace(largest=80) for codec in writer.CODECS))
    source = make_clip(tmp_path / "clip.mp4", moving_frames(3))
    summary = segment_to(source, tmp_path / "out", model=small_model())
    assert summary.complete
    assert summary.problem == "the overlay is scaled to 53x80, the most that can be encoded"
    with open_video(tmp_path / "out/overlay.mp4") as reader:
        assert reader.size == (54, 80)


def test_sound_that_nobody_knows_costs_no_pictures(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mkv", moving_frames(3), sound=("flac", 48000, 0.2))
    source.write_bytes(source.read_bytes().replace(b"A_FLAC", b"A_FLIC"))
    summary = segment_to(source, tmp_path / "out", model=small_model())
    assert (summary.frames, summary.complete) == (3, True)
    assert "the overlay has no sound" in str(summary.problem)
    with open_video(tmp_path / "out/overlay.mp4") as reader:
        assert len(list(reader)) == 3
