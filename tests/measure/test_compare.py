from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from support.pages import Parsed
from support.small import FPS, SIZE, moving_frames, small_model, write_clip, write_masks
from tdseg.cli import DONE, IN_PART, REFUSED, main
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.measure.compare import Comparison, compare
from tdseg.measure.compare.difference import ClassPair
from tdseg.measure.compare.film import moments
from tdseg.measure.flicker import flicker
from tdseg.measure.panels import highlight
from tdseg.metrics.figures import shown_between
from tdseg.report.comparison import comparison_page
from tdseg.runtime.network import Execution
from tdseg.video import open_video
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save
from tdseg.zoo.load import load

TORCH = Execution("cpu", "torch")
COUNT, LONG = 24, 48
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip.mp4, small.safetensors, masks one, and masks two that differ in the upper half of frames 3 and 20."""
    folder = tmp_path_factory.mktemp("compare")
    write_clip(folder / "clip.mp4", COUNT)
    save(small_model(), folder / "small.safetensors")
    one = [(image[..., 0] // 128).astype(np.uint8) for image in moving_frames(COUNT)]
    two = [mask.copy() for mask in one]
    for index in (3, 20):
        two[index][: SIZE[0] // 2] = 4
    write_masks(folder / "one", one)
    write_masks(folder / "two", two)
    (folder / "palette.txt").write_text(f"90 0 0 Sky\n0 90 0 {HOSTILE}\n0 0 90 c\n9 9 9 d\n8 8 8 e\n0 0 0 void\n")
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def masks(folder: Path) -> Comparison:
    return compare(folder / "one", folder / "two", folder / "clip.mp4", labels=folder / "one")


def test_known_answers(masks: Comparison) -> None:
    assert (masks.frames, masks.size, masks.fps) == (COUNT, SIZE, FPS)
    assert [index for index, share in enumerate(masks.agreement) if share != 100] == [3, 20]
    assert masks.agreement[3] == masks.agreement[20] == 50
    assert masks.mean_agreement == pytest.approx(100 * (COUNT - 1) / COUNT)
    assert masks.pairs.sum() == COUNT * SIZE[0] * SIZE[1]
    assert masks.pairs[:, 4].sum() == SIZE[0] * SIZE[1]
    assert masks.matrix.iou[4] == 0
    assert masks.confused(5)[0].b == 4
    assert masks.apart[0] is None
    assert isinstance(masks.apart[3], ClassPair)
    assert masks.a.matrix.miou == 100
    assert masks.b.matrix.miou < 100
    np.testing.assert_allclose(masks.a.shares.sum(1), 1, atol=1e-6)
    assert masks.b.flips[3] > masks.a.flips[3]
    assert masks.a.latencies_ms == []


def test_figures_are_those_of_flicker(masks: Comparison, folder: Path) -> None:
    alone = flicker(folder / "two", video=folder / "clip.mp4", labels=folder / "one")
    assert masks.b.steadiness == {key: alone[key] for key in masks.b.steadiness}
    assert np.nanmean(masks.b.flips) == pytest.approx(alone["flip_rate"], abs=1e-5)
    for flow, key in (("dis", "flow_flip_rate"), ("farneback", "flow_flip_rate_farneback")):
        assert len(masks.b.flow_flips[flow]) == COUNT
        assert FPS * np.nanmean(masks.b.flow_flips[flow]) == pytest.approx(alone[key], abs=1e-4)


@pytest.fixture(scope="module")
def long(folder: Path) -> Path:
    """truth.npz of a video of three stretches, and worse.npz, in which every fourth mask is half wrong."""
    write_clip(folder / "long.mp4", LONG)
    truth = [np.asarray(image[..., 0] // 128, np.uint8) for image in moving_frames(LONG)]
    worse = [mask.copy() for mask in truth]
    for mask in worse[::4]:
        mask[: SIZE[0] // 2] ^= 1
    np.savez_compressed(folder / "truth.npz", np.stack(truth))
    np.savez_compressed(folder / "worse.npz", np.stack(worse))
    return folder


def test_a_difference_has_its_interval(long: Path) -> None:
    figures = compare(long / "truth.npz", long / "worse.npz", long / "long.mp4", labels=long / "truth.npz")
    alone = flicker(long / "worse.npz", video=long / "long.mp4", labels=long / "truth.npz")
    along = {"tc", "tc_farneback", "flow_flip_rate", "flow_flip_rate_farneback"}
    assert figures.sure.keys() == {"miou", "vc8", "vc16", "flip_rate", "excess_flip_rate", *along}
    for key, (a, b, difference) in figures.sure.items():
        assert b.value == pytest.approx(alone[key], abs=0.006), key
        assert difference.value == pytest.approx(b.value - a.value), key
        assert b.low <= b.value <= b.high, key
        assert not difference.low < 0 < difference.high, key
    assert [*figures.sure["miou"].a] == [100, 100, 100]
    assert figures.sure["miou"].difference.high < 0
    assert figures.sure["excess_flip_rate"].difference.low > 0
    text = Parsed(comparison_page(figures)).text
    assert shown_between("tc_farneback", figures.sure["tc_farneback"].difference, signed=True) in text
    assert "DIS and Farnebäck, both ways" in text
    assert "95 %, bootstrap over stretches of 16 frames" in text


def test_the_same_masks_differ_by_nothing(long: Path) -> None:
    figures = compare(long / "truth.npz", long / "truth.npz", long / "long.mp4", labels=long / "truth.npz")
    assert {both.difference for both in figures.sure.values()} == {(0, 0, 0)}


def test_a_video_of_less_than_two_stretches_has_no_intervals(masks: Comparison) -> None:
    assert masks.sure["miou"].difference.value < 0
    assert np.isnan([both.difference.low for both in masks.sure.values()]).all()


def test_page_of_masks(masks: Comparison) -> None:
    parsed = Parsed(comparison_page(masks))
    for text in ("one against two", "95.83 %", "100.0 %", "flow flip rate", "2.00 s, frame 20", "50.0 % agree"):
        assert text in parsed.text, text
    assert "Latency" not in parsed.text
    assert (parsed.tags.count("video"), parsed.tags.count("img")) == (1, 2)


def test_a_model_is_what_a_stream_gives(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdseg.zoo.load.installed", lambda _: False)  # so that both run in torch
    model = load("small.safetensors").fuse(winograd=True)
    stream = Stream(model)
    with open_video("clip.mp4") as video:
        saved = [stream.step(frame.image).mask for frame in video]
    np.savez_compressed("model.npz", np.stack(saved))
    comparison = compare("small.safetensors", "model.npz", "clip.mp4", execution=Execution("cpu"))
    assert comparison.mean_agreement == 100
    assert len(comparison.a.latencies_ms) == COUNT
    parsed = Parsed(comparison_page(comparison))
    assert "both are equal in every frame" in parsed.text
    assert "Latency" in parsed.text


def test_masks_of_nothing_but_void(inside: Path) -> None:
    np.savez_compressed("void.npz", np.full((COUNT, *SIZE), 255, np.uint8))
    comparison = compare("void.npz", "void.npz", "clip.mp4", labels="void.npz")
    assert comparison.mean_agreement == 100
    assert np.isnan([comparison.matrix.miou, comparison.a.matrix.miou]).all()
    assert "nan" not in Parsed(comparison_page(comparison)).text


def test_moments_are_apart() -> None:
    agreement = [100.0, 90, 80, 85, 100, 95, 94, 100]
    assert moments(agreement, 1, apart=3) == [2, 6]
    assert moments(agreement, 1, apart=1, most=2) == [2, 3]
    assert moments(agreement, 3, apart=1) == [3, 6]
    assert moments([100.0], 1, apart=1) == []


def test_highlight() -> None:
    frame = np.full((1, 2, 3), 100, np.uint8)
    assert highlight(frame, np.array([[0, 255]], np.uint8)).tolist() == [[[45, 45, 45], [255, 60, 150]]]


def test_command(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "r.html"
    arguments = ["compare", "one", "two", "clip.mp4", "-o", str(report), "--palette", "palette.txt", "--frames", "5"]
    assert main(arguments) == DONE
    shown = capsys.readouterr()
    assert "5 frames, 90.00 % of pixels agree" in shown.out
    assert "flip rate" in shown.out
    assert "points" in shown.out
    assert HOSTILE in Parsed(report.read_text()).text
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert main(arguments) == REFUSED
    assert "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite", "--quiet"]) == DONE
    assert capsys.readouterr().out == ""


def write_model(path: Path, names: Sequence[str]) -> None:
    """Always the same weights, whatever its classes are called."""
    torch.manual_seed(0)
    save(create_model("lite0s", size=SIZE, num_classes=len(names), classes=names), path)


def test_classes_in_another_order_are_mapped_by_name(inside: Path) -> None:
    ours = ("void-like", "Sky", "Old_road")
    write_model(inside / "ours.safetensors", ours)
    write_model(inside / "theirs.safetensors", [ours[2].lower(), ours[0], ours[1]])
    comparison = compare("ours.safetensors", "theirs.safetensors", "clip.mp4", execution=TORCH, flow=(), frames=4)
    assert comparison.classes.names == ours
    assert "; classes mapped by name" in comparison.b.about
    assert "mapped" not in comparison.a.about
    place = np.array([2, 0, 1])  # of their classes among ours
    assert comparison.pairs[range(3), place].sum() == comparison.pairs.sum()  # one and the same network
    back = compare("theirs.safetensors", "ours.safetensors", "clip.mp4", execution=TORCH, flow=(), frames=4)
    assert back.mean_agreement == comparison.mean_agreement


def test_classes_are_mapped_by_a_file(inside: Path, tmp_path: Path) -> None:
    write_model(inside / "ours.safetensors", ("Sky", "Road", "Tree"))
    write_model(inside / "more.safetensors", ("sky", "lane", "kerb", "tree"))
    file = tmp_path / "map.txt"
    file.write_text("lane = Road\nkerb = Road\nsky = Sky\n")
    np.savez_compressed("trees.npz", np.full((COUNT, *SIZE), 2, np.uint8))
    comparison = compare(
        "ours.safetensors",
        "more.safetensors",
        "clip.mp4",
        labels="trees.npz",
        class_map=file,
        execution=TORCH,
        flow=(),
        frames=4,
    )
    assert f"classes mapped by {file}, without Tree" in comparison.b.about
    assert comparison.labels == "trees.npz, without Tree"
    assert np.isnan([comparison.a.matrix.miou, comparison.b.matrix.miou]).all()  # neither is judged by it
    text = Parsed(comparison_page(comparison)).text
    assert "without Tree" in text
    with pytest.raises(ConfigError, match="no class of the model is called Road"):
        compare("ours.safetensors", "more.safetensors", "clip.mp4", execution=TORCH)
    with pytest.raises(ConfigError, match="leave --class-map out"):
        compare("ours.safetensors", "one", "clip.mp4", class_map=file, execution=TORCH)


def test_without_the_extra(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tdseg.metrics.temporal", "cv2", "torchmetrics"):
        monkeypatch.setitem(sys.modules, name, None)
    comparison = compare("one", "two", "clip.mp4", frames=4)
    assert comparison.a.flow_flips == {}
    assert comparison.sure == {}
    assert comparison.a.steadiness["flip_rate"] == pytest.approx(np.mean(comparison.a.flips[1:]))
    assert ".[metrics]" in Parsed(comparison_page(comparison)).text


def test_a_broken_video_is_done_in_part(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = tmp_path / "frames"
    write_masks(frames, [np.full((*SIZE, 3), 9, np.uint8)] * 3)
    (frames / "000002.png").write_bytes(b"no picture")
    sides = ["small.safetensors", "small.safetensors", str(frames), "--runtime", "torch"]  # that nothing is exported
    code = main(["compare", *sides, "-o", str(tmp_path / "r.html")])
    assert code == IN_PART
    assert "incomplete" in capsys.readouterr().err
    assert "Incomplete" in Parsed((tmp_path / "r.html").read_text()).text


def test_refused(inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = np.zeros(SIZE, np.uint8)
    write_masks(tmp_path / "few", [first] * (COUNT - 1))
    write_masks(tmp_path / "many", [first] * (COUNT + 1))
    write_masks(tmp_path / "wide", [np.zeros((32, 48), np.uint8)] * COUNT)
    write_masks(tmp_path / "colour", [np.zeros((*SIZE, 3), np.uint8)] * COUNT)
    write_masks(tmp_path / "class", [np.full(SIZE, 77, np.uint8)] * COUNT)
    (tmp_path / "two.txt").write_text("1 1 1 a\n2 2 2 b\n")
    cases = {
        f"clip.mp4: it goes on after {tmp_path}/few/000022.png": ["one", f"{tmp_path}/few", "clip.mp4"],
        f"no frame for {tmp_path}/many/000024.png": ["one", f"{tmp_path}/many", "clip.mp4"],
        f"{tmp_path}/wide/000000.png is 32x48": [f"{tmp_path}/wide", "one", "clip.mp4"],
        f"{tmp_path}/colour/000000.png: a mask of mode RGB": ["one", f"{tmp_path}/colour", "clip.mp4"],
        f"{tmp_path}/class/000000.png: class 77": ["small.safetensors", f"{tmp_path}/class", "clip.mp4"],
        "unknown model 'lite0-camvit'": ["lite0-camvit", "one", "clip.mp4"],
        "masks as a folder or a file": ["nothing", "one", "clip.mp4"],
        "missing.safetensors": ["missing.safetensors", "one", "clip.mp4"],
        "missing.npz": ["missing.npz", "one", "clip.mp4"],
        "missing.mp4": ["one", "two", "missing.mp4"],
        "frames 0": ["one", "two", "clip.mp4", "--frames", "0"],
        "HxW": ["one", "two", "clip.mp4", "--size", "9"],
        "there is no folder": ["one", "two", "clip.mp4", "-o", "missing/r.html"],
        f"small.safetensors beside {tmp_path}/two.txt: 2 classes, not 11": [
            "small.safetensors",
            "one",
            "clip.mp4",
            "--palette",
            f"{tmp_path}/two.txt",
        ],
        "no frame for": ["one", "two", "clip.mp4", "--labels", f"{tmp_path}/many"],
    }
    before = sorted(tmp_path.rglob("*"))
    for message, arguments in cases.items():
        output = [] if "-o" in arguments else ["-o", str(tmp_path / "r.html")]
        assert main(["compare", *arguments, *output]) == REFUSED, message
        shown = capsys.readouterr()
        assert message in shown.err, (message, shown.err)
        assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before
