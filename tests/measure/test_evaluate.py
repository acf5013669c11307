from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support import layouts
from support.oracle import Oracle, picture
from support.small import SIZE, moving_frames, small_model
from tdseg.data.camvid import CamVid
from tdseg.data.clip import Clip, ClipDataset
from tdseg.data.source import Source
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.masks import classes
from tdseg.measure.evaluate import evaluate, open_evaluation, score
from tdseg.metrics.iou import VOID
from tdseg.models.tdnet import TDNet
from tdseg.zoo import catalog

FRAMES = (("A", 0), ("A", 1), ("A", 2), ("B", 0), ("B", 1))
APART = {"val": 2, "test": 30}


def data_set(root: Path, masks: list[np.ndarray], images: list[np.ndarray], split: str = "val") -> CamVid:
    for kind, arrays in (("images", images), ("labels", masks)):
        (root / kind / split).mkdir(parents=True)
        for (name, frame), array in zip(FRAMES, arrays, strict=True):
            Image.fromarray(array).save(root / kind / split / f"{name}_{frame * APART[split]}.png")
    return CamVid(root, split)


@cache
def unshared() -> TDNet:
    """Two paths with weights of their own, that disagree."""
    torch.manual_seed(0)
    model = catalog.create_model(
        "td2-lite0",
        size=SIZE,
        propagation="attention",
        weight_sets=None,
        d_v=16,
        head_channels=16,
        classes=classes.CAMVID_CLASSES,
    )
    model.train()
    with torch.no_grad():
        for _ in range(8):
            for phase in range(2):
                frames = torch.from_numpy(np.stack(moving_frames(4))).permute(0, 3, 1, 2)[None]
                model.forward_clip(model.normalize(frames), model.initial_state(phase))
        for path in map(model.path, range(2)):
            path.head.classify.weight.mul_(10)  # so that features decide, and not the bias
    return model.eval()


@torch.inference_mode()
def still_mask(model: TDNet, image: np.ndarray, path: int) -> np.ndarray:
    """What a path says of an image that has been shown for m frames."""
    m = model.config.paths
    x = model.normalize(torch.from_numpy(image).permute(2, 0, 1)[None])
    state = model.initial_state((path + 1) % m)
    for _ in range(m):
        logits, state = model.step(x, state)
    mask: np.ndarray = logits[0].argmax(0).byte().numpy()
    return mask


def test_still_scores_every_path(tmp_path: Path) -> None:
    model, images = unshared(), moving_frames(5)
    data = data_set(tmp_path, [still_mask(model, image, path=1) for image in images], images)
    report = score(model, data, "still")
    assert report["per_path"][1] == 100
    assert report["per_path"][0] < 100
    assert report["miou"] == pytest.approx(np.mean(report["per_path"]), abs=0.01)
    assert all(report[key] is None for key in ("flip_rate", "flow_flip_rate", "tc", "tc_farneback", "vc8", "vc16"))
    assert report["frames"] == 5
    assert "still" in report["protocol"]


@torch.inference_mode()
def test_stream_starts_anew_at_every_sequence(tmp_path: Path) -> None:
    model, images = small_model(), moving_frames(5)
    masks = []
    for start, end in ((0, 3), (3, 5)):
        x = model.normalize(torch.from_numpy(np.stack(images[start:end])).permute(0, 3, 1, 2)[None])
        masks += list(model.forward_clip(x).logits[0].argmax(1).byte().numpy())
    data = data_set(tmp_path, masks, images)
    report = score(model, data, "stream")
    assert report["miou"] == report["pixel_accuracy"] == 100
    pairs = [(0, 1), (1, 2), (3, 4)]  # not across the cut
    assert report["flip_rate"] == pytest.approx(np.mean([(masks[a] != masks[b]).mean() for a, b in pairs]), abs=1e-5)
    assert report["excess_flip_rate"] == 0  # the labels are the masks
    assert report["fps"] == 15
    assert 0 < report["tc"] <= 100
    assert 0 < report["tc_farneback"] <= 100
    assert report["vc8"] is None  # no sequence has 8 frames


@torch.inference_mode()
def test_streams_of_all_phases_are_averaged(tmp_path: Path) -> None:
    model, images = unshared(), moving_frames(5)
    data = data_set(tmp_path, [np.zeros((64, 96), np.uint8)] * 5, images)
    rates, by_path = [], np.zeros((2, 2))
    for phase in range(2):
        flips = []
        for start, end in ((0, 3), (3, 5)):
            x = model.normalize(torch.from_numpy(np.stack(images[start:end])).permute(0, 3, 1, 2)[None])
            masks = model.forward_clip(x, model.initial_state(phase)).logits[0].argmax(1)
            for t, (a, b) in enumerate(pairwise(masks), 1):
                flips.append((a != b).double().mean().item())
                by_path[phase, (phase + t) % 2] += flips[-1] / (2 if t == 1 else 1)  # both sequences have a t = 1
        rates.append(np.mean(flips))
    report = score(model, data, "stream")
    assert report["flip_rate"] == pytest.approx(np.mean(rates), abs=1e-5)
    assert report["flip_rate_by_phase"] == pytest.approx(by_path.mean(0).tolist(), abs=1e-5)
    assert report["frames"] == 5


def test_frames_that_are_no_video_are_shown_as_stills(tmp_path: Path) -> None:
    data = data_set(tmp_path, [np.zeros((64, 96), np.uint8)] * 5, moving_frames(5), "test")
    report = evaluate(small_model(), data)
    assert report["protocol"].startswith("CamVid test, still")
    assert report["miou_streamed"] == score(small_model(), data, "stream")["miou"]
    assert report["fps"] is None
    assert report["tc"] is None


def test_model_of_other_classes_is_refused(tmp_path: Path) -> None:
    data = data_set(tmp_path, [np.zeros((64, 96), np.uint8)] * 5, moving_frames(5))
    model = catalog.create_model("lite0", num_classes=4)
    with pytest.raises(
        ConfigError, match="oracle on CamVid val: 11 classes, not 19; no class of the model is called Pave"
    ):
        evaluate(Oracle(classes.CITYSCAPES_CLASSES, SIZE), data)
    with pytest.raises(ConfigError, match="lite0 on CamVid val: 11 classes, not 4"):
        evaluate(model, data)


def test_frames_of_any_size_are_scored_as_a_stream_sees_them(tmp_path: Path) -> None:
    images = moving_frames(5, (80, 112))
    stream, masks = Stream(small_model()), []
    for index, image in enumerate(images):
        if index == 3:
            stream.reset()
        masks.append(stream.step(image).mask)
    report = score(small_model(), data_set(tmp_path, masks, images), "stream")
    assert report["miou"] == 100


def painted(root: Path, named: Sequence[str], labels: list[np.ndarray]) -> tuple[Oracle, CamVid]:
    """A model that sees the first of its classes above and the second below, on five frames with these labels."""
    mask = np.zeros(SIZE, np.uint8)
    mask[SIZE[0] // 2 :] = 1
    return Oracle(named, SIZE), data_set(root, labels, [picture(mask)] * 5)


def halves(above: int, below: int) -> np.ndarray:
    label = np.full(SIZE, above, np.uint8)
    label[SIZE[0] // 2 :] = below
    return label


def test_classes_in_another_order_are_mapped_by_name(tmp_path: Path) -> None:
    named = [name.lower() for name in reversed(classes.CAMVID_CLASSES)] + ["dog"]
    model, data = painted(tmp_path, named, [halves(10, 9)] * 5)  # Bicyclist, Pedestrian
    report = evaluate(model, data)
    assert (report["miou"], report["pixel_accuracy"]) == (100, 100)
    assert {name for name, iou in report["iou"].items() if iou is not None} == {"Bicyclist", "Pedestrian"}
    assert list(report["iou"]) == list(classes.CAMVID_CLASSES)
    assert "once per starting phase, memory reset between sequences; classes mapped by name; flow" in report["protocol"]


def test_what_is_no_class_of_the_data_is_wrong(tmp_path: Path) -> None:
    model, data = painted(tmp_path, ["dog", *classes.CAMVID_CLASSES], [halves(3, 0)] * 5)  # Road above, Sky below
    report = evaluate(model, data)
    assert report["iou"]["Sky"] == 100
    assert report["iou"]["Road"] == 0
    assert (report["miou"], report["pixel_accuracy"]) == (50, 50)


def test_a_file_maps_several_to_one_and_leaves_out_what_has_none(tmp_path: Path) -> None:
    file = tmp_path / "map.txt"
    file.write_text("road = Road\nsidewalk = Road\nbuilding = Building\n")
    labels = [halves(3, 3)] * 4 + [halves(3, 5)]  # Road, once Tree, which the model does not know
    model, data = painted(tmp_path / "data", classes.CITYSCAPES_CLASSES, labels)
    report = evaluate(model, data, class_map=file)
    assert (report["miou"], report["pixel_accuracy"], report["iou"]["Road"]) == (100, 100, 100)
    assert report["iou"]["Tree"] is None
    assert f"; classes mapped by {file}, without Sky, Pole, " in report["protocol"]
    assert report["flip_rate"] == 0


def test_a_file_is_used_where_the_classes_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "map.txt"
    file.write_text("0 = Road\n1 = Road\n")
    model, data = painted(tmp_path / "data", classes.CAMVID_CLASSES, [halves(3, 3)] * 5)
    model.config = model.config.model_copy(update={"classes": ()})
    assert evaluate(model, data)["miou"] == 0  # as many classes, whatever they are called
    assert evaluate(model, data, class_map=file)["miou"] == 100


class Clips(ClipDataset):
    """Clips in memory, each of a video of its own."""

    name, classes, palette, length = "clips", classes.CAMVID_CLASSES, classes.CAMVID_PALETTE, 3

    def __init__(self, clips: list[Clip]) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def sequence(self, index: int) -> str:
        return str(index)

    def clip(self, index: int, generator: torch.Generator | None = None) -> Clip:
        return self.clips[index]


@torch.inference_mode()
def test_clips_are_scored_after_their_past() -> None:
    model = copy.deepcopy(unshared())
    for name, parameter in model.named_parameters():
        if "propagation" in name:
            parameter.mul_(10)  # so that what was before shows
    clips = []
    for seed in range(2):
        frames = torch.from_numpy(np.stack([*moving_frames(2, seed=seed), moving_frames(1, seed=9)[0]]))
        frames = frames.permute(0, 3, 1, 2)
        after = model.forward_clip(model.normalize(frames[None, 1:]), model.initial_state(1))  # ends at path 0
        label = after.logits[0, -1].argmax(0).byte()
        clips.append(Clip(frames, torch.stack([torch.full_like(label, VOID)] * 2 + [label])))
    assert not torch.equal(clips[0].labels, clips[1].labels)  # though the last frame is the same
    report = evaluate(model, Clips(clips))
    assert report["per_path"][0] == 100
    assert report["per_path"][1] < 100
    assert report["protocol"].startswith("clips, clip")
    assert score(model, Clips(clips), "still")["per_path"][0] < 100
    assert report["tc"] is report["fps"] is None
    assert "miou_streamed" not in report


def test_data_is_opened_with_the_past_that_a_model_needs(tmp_path: Path) -> None:
    layouts.cityscapes(tmp_path / "city", {"ulm_000000": 19}, "val", past=3)
    layouts.nyudv2(tmp_path / "nyu", {"0001": 0}, "val")
    city = Source(data="cityscapes", root=tmp_path / "city", split="val")
    assert open_evaluation(city, small_model().config).length == 4
    assert open_evaluation(city, unshared().config).length == 2
    assert open_evaluation(city, catalog.create_model("lite0").config).length == 1
    assert open_evaluation(city.model_copy(update={"length": 3}), small_model().config).length == 3
    assert open_evaluation(Source(data="nyudv2", root=tmp_path / "nyu", split="val"), small_model().config).length == 1
