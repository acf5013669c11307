from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.small import FPS, SIZE, moving_frames, write_clip, write_masks
from tdseg.errors import ConfigError, DataError, OutputError
from tdseg.measure.flicker import flicker
from tdseg.metrics.consistency import TemporalConsistency
from tdseg.metrics.flow import DISFlow, Flows
from tdseg.metrics.temporal import Steadiness
from tdseg.video import open_video

COUNT = 20
ALONG = {"tc", "tc_farneback", "flow_flip_rate", "flow_flip_rate_farneback"}


def class_of(image: np.ndarray) -> np.ndarray:
    mask: np.ndarray = (image[..., 0] // 64).astype(np.uint8)
    return mask


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip.mp4, labels that follow it, and masks with a flash at frame 10."""
    folder = tmp_path_factory.mktemp("flicker")
    write_clip(folder / "clip.mp4", COUNT)
    labels = [class_of(image) for image in moving_frames(COUNT)]
    write_masks(folder / "labels", labels)
    masks = [label.copy() for label in labels]
    masks[10][:32] = 7
    write_masks(folder / "masks", masks)
    np.savez_compressed(folder / "masks.npz", np.stack(masks))
    return folder


def test_masks_alone(folder: Path) -> None:
    report = flicker(folder / "masks", phases=2)
    assert report == flicker(folder / "masks.npz", phases=2) | {"protocol": f"masks in {folder / 'masks'}"}
    assert report["frames"] == COUNT
    assert 0 < report["flip_rate"] < 1
    assert len(report["flip_rate_by_phase"]) == 2
    missing = {"miou", "pixel_accuracy", "vc8", "vc16", "excess_flip_rate", "fps", *ALONG}
    assert {key for key, value in report.items() if value is None} == missing
    assert report["iou"] == {}


def test_everything_equals_the_metrics_themselves(folder: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    report = flicker(
        folder / "masks",
        video=folder / "clip.mp4",
        labels=folder / "labels",
        on_progress=lambda done, total: seen.append((done, total)),
    )
    steadiness, flow = Steadiness(fps=FPS), Flows()
    with open_video(folder / "clip.mp4") as video:
        for index, frame in enumerate(video):
            mask, label = (np.asarray(Image.open(folder / k / f"{index:06d}.png")) for k in ("masks", "labels"))
            steadiness.update(mask, label=label, flow=flow.step(frame.image))
    expected = steadiness.compute()
    assert report["fps"] == FPS
    for name in ("flip_rate", "excess_flip_rate", "flow_flip_rate", "flow_flip_rate_farneback"):
        assert report[name] == pytest.approx(expected[name], abs=1e-5)
    for name in ("tc", "tc_farneback", "vc8", "vc16"):
        assert report[name] == pytest.approx(expected[name], abs=0.01)
    assert report["iou"].keys() == {"0", "1", "2", "3", "7"}
    assert report["pixel_accuracy"] == pytest.approx(100 * (1 - 0.5 / COUNT), abs=0.01)
    assert "flow: DIS and Farnebäck" in report["protocol"]
    assert seen == [(index + 1, COUNT) for index in range(COUNT)]


def test_the_flow_is_chosen_and_tc_stays_that_of_dis(folder: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"video": folder / "clip.mp4", "labels": folder / "labels"}
    both = flicker(folder / "masks", **given)
    for flow, keys in (("dis", ("tc", "flow_flip_rate")), ("farneback", ("tc_farneback", "flow_flip_rate_farneback"))):
        one = flicker(folder / "masks", **given, flow=(flow,), map=tmp_path / f"{flow}.png")
        assert one.keys() == both.keys()
        assert {key for key in both if one[key] != both[key]} == {"protocol"} | ALONG - {*keys}
        assert all(one[key] is None for key in ALONG - {*keys})
    maps = [np.asarray(Image.open(tmp_path / f"{flow}.png")) for flow in ("dis", "farneback")]
    assert (maps[0] != maps[1]).any()
    along, dis = TemporalConsistency(), DISFlow()
    with open_video(folder / "clip.mp4") as video:
        for index, frame in enumerate(video):
            along.update(np.asarray(Image.open(folder / "masks" / f"{index:06d}.png")), dis.step(frame.image))
    assert both["tc"] == pytest.approx(along.compute().item(), abs=0.01)
    with pytest.raises(ConfigError, match=r"flow 'raft'[\s\S]*dis or farneback"):
        flicker(folder / "masks", **given, flow=("raft",))


def test_palette_names_the_classes(folder: Path, tmp_path: Path) -> None:
    palette = tmp_path / "palette.txt"
    palette.write_text("\n".join(f"{index} 0 0 c{index}" for index in range(8)))
    report = flicker(folder / "masks", labels=folder / "labels", palette=palette)
    assert report["iou"].keys() == {"c0", "c1", "c2", "c3", "c7"}


def test_frames_in_a_folder_have_no_rate(folder: Path, tmp_path: Path) -> None:
    frames = write_masks(tmp_path / "frames", moving_frames(COUNT))
    report = flicker(folder / "masks", video=frames)
    assert (report["fps"], report["flow_flip_rate"]) == (None, None)
    assert report["tc"] is not None
    twice = flicker(folder / "masks", video=frames, fps=20)["flow_flip_rate"]
    assert twice == pytest.approx(2 * flicker(folder / "masks", video=frames, fps=10)["flow_flip_rate"], abs=2e-5)


def test_refused(folder: Path, tmp_path: Path) -> None:
    masks = folder / "masks"
    short = write_clip(tmp_path / "short.mp4", COUNT - 1)
    with pytest.raises(DataError, match=r"short.mp4: no frame for .*000019.png"):
        flicker(masks, video=short)
    long = write_clip(tmp_path / "long.mp4", COUNT + 1)
    with pytest.raises(DataError, match=r"long.mp4: it goes on after .*000019.png"):
        flicker(masks, video=long)
    wide = write_clip(tmp_path / "wide.mp4", COUNT, (64, 128))
    with pytest.raises(DataError, match=r"000000.png is 64x96, its frame is 64x128[\s\S]*wide.mp4"):
        flicker(masks, video=wide)
    few = write_masks(tmp_path / "few", [np.zeros(SIZE, np.uint8)] * 3)
    with pytest.raises(DataError, match=r"20 masks in .*3 labels in .*few"):
        flicker(masks, labels=few)
    small = write_masks(tmp_path / "small", [np.zeros((32, 48), np.uint8)] * COUNT)
    with pytest.raises(DataError, match=r"000000.png is 64x96, .*000000.png is 32x48"):
        flicker(masks, labels=small)
    for fps in (0, -1, float("nan"), float("inf"), 1001):
        with pytest.raises(ConfigError, match=f"fps {fps}"):
            flicker(masks, fps=fps)
    for phases in (-1, 0, COUNT + 1):
        with pytest.raises(ConfigError, match=rf"{phases} phases[\s\S]*1 … {COUNT}"):
            flicker(masks, phases=phases)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        flicker(masks, map=tmp_path / "file" / "map.png")


def test_labels_are_paired_by_number(folder: Path, tmp_path: Path) -> None:
    labels = write_masks(tmp_path / "labels", [np.zeros(SIZE, np.uint8)] * COUNT)
    for name, number in (("tens", 10), ("ones", 1)):
        (tmp_path / name).mkdir()
        for index, path in enumerate(sorted(labels.iterdir()), 1):
            (tmp_path / name / f"{number * index:03d}.png").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"the label of .*000001.png would be .*tens.020.png"):
        flicker(folder / "masks", labels=tmp_path / "tens")
    for given in ("masks", "masks.npz"):  # an array has no numbers
        assert flicker(folder / given, labels=tmp_path / "ones")["miou"] is not None
    assert flicker(folder / "masks.npz", labels=tmp_path / "tens")["miou"] is not None


def test_a_map_does_not_go_among_the_inputs(folder: Path, tmp_path: Path) -> None:
    frames = write_masks(tmp_path / "frames", moving_frames(COUNT))
    for target in (folder / "masks", folder / "masks" / "map.png", folder / "labels", frames):
        with pytest.raises(ConfigError, match="would lie among the files of"):
            flicker(folder / "masks", labels=folder / "labels", video=frames, map=target)


def test_a_failed_run_leaves_no_map(folder: Path, tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", COUNT - 1)
    with pytest.raises(DataError, match="no frame"):
        flicker(folder / "masks", video=short, map=tmp_path / "map")
    assert not (tmp_path / "map").exists()
