from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from support.small import SIZE, moving_frames, small_model
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.masks import draw
from tdseg.models.tdnet import TDNet
from tdseg.runtime.torch import TorchNetwork
from tdseg.video import Frame
from tdseg.zoo.catalog import create_model


@pytest.fixture(scope="module")
def model() -> TDNet:
    return small_model()


def masks(model: TDNet, frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    stream = Stream(model)
    return np.stack([stream.step(frame).mask for frame in frames])


def test_stream_equals_clip(model: TDNet) -> None:
    frames = moving_frames(7)
    images = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None]
    with torch.inference_mode():
        logits = model.forward_clip(model.normalize(images)).logits[0]
    best = logits.topk(2, dim=1).values
    clear = (best[:, 0] - best[:, 1] > 1e-4).numpy()  # elsewhere rounding decides
    assert clear.mean() > 0.99
    expected = logits.argmax(1).numpy()
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(masks(model, frames)[clear], expected[clear])


@pytest.mark.parametrize("fields", [{}, {"weight_sets": None}, {"views": [{"zoom": 1.25}, {"mirror": True}]}])
def test_a_part_that_begins_early_enough_has_the_masks_of_the_whole(fields: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = create_model("td4-lite0s", size=SIZE, **fields)
    frames = moving_frames(11)
    whole, part = masks(model, frames), Stream(model)
    for start in range(len(frames) - 3):
        part.reset(start)
        found = [part.step(frame).mask for frame in frames[start : start + 4]]
        np.testing.assert_array_equal(found[-1], whole[start + 3])
    part.reset(2)
    ahead = part.ahead((Frame(0, 0.0, frame) for frame in frames[2:6]), 2)
    np.testing.assert_array_equal([result.mask for result in ahead][-1], whole[5])
    with pytest.raises(ConfigError, match=r"index=-1.*\n.*0 or more"):
        part.reset(-1)


def test_result(model: TDNet) -> None:
    frame = moving_frames(1, (72, 110))[0]
    stream = Stream(model)
    stream.step(frame)
    result = stream.step(frame, time_s=0.5)
    assert (result.index, result.time_s) == (1, 0.5)
    assert result.frame is frame
    assert result.mask.shape == (72, 110)
    assert result.latency_ms > 0
    assert result.confidence.shape == (72, 110)
    assert result.confidence.dtype == np.float16
    assert 1 / 11 - 1e-3 <= result.confidence.min() <= result.confidence.max() <= 1


def test_streams_in_two_threads_are_independent(model: TDNet) -> None:
    videos = [moving_frames(12, seed=seed) for seed in (1, 2)]
    alone = [masks(model, video) for video in videos]
    assert (alone[0] != alone[1]).any()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda video: masks(model, video), videos))
    np.testing.assert_array_equal(together, alone)


def test_frame_size_change_resets_and_goes_on(model: TDNet) -> None:
    small, large = moving_frames(5), moving_frames(5, (80, 120))
    stream = Stream(model)
    results = [stream.step(frame) for frame in small + large]
    assert stream.resets == 1
    assert [result.index for result in results] == list(range(10))
    np.testing.assert_array_equal([result.mask for result in results[5:]], masks(model, large))


def test_reset_starts_another_video(model: TDNet) -> None:
    frames = moving_frames(6)
    stream = Stream(model)
    first = [stream.step(frame).mask for frame in frames]
    stream.reset()
    again = [stream.step(frame) for frame in frames]
    np.testing.assert_array_equal([result.mask for result in again], first)
    assert again[0].index == 0


def test_size_is_the_networks(model: TDNet) -> None:
    result = Stream(model, (96, 128)).step(moving_frames(1)[0])
    assert result.logits.shape == (1, model.config.num_classes, 24, 32)  # u·h/8
    assert result.mask.shape == SIZE


@pytest.mark.filterwarnings("error")
def test_any_memory_layout(model: TDNet) -> None:
    frame = moving_frames(1)[0]
    frame.flags.writeable = False
    expected = Stream(model).step(frame).mask
    mirrored = frame[:, ::-1].copy()[:, ::-1]
    np.testing.assert_array_equal(Stream(model).step(mirrored).mask, expected)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((64, 96), np.uint8),
        np.zeros((64, 96, 4), np.uint8),
        np.zeros((3, 64, 96), np.uint8),
        np.zeros((64, 96, 3), np.float32),
        np.zeros((0, 96, 3), np.uint8),
        torch.zeros(64, 96, 3, dtype=torch.uint8),
        None,
    ],
    ids=["gray", "alpha", "channels-first", "float", "empty", "tensor", "none"],
)
def test_bad_frames_are_refused(model: TDNet, frame: NDArray[np.uint8]) -> None:
    with pytest.raises(ConfigError, match="a frame of"):
        Stream(model).step(frame)


def test_bad_streams_are_refused(model: TDNet) -> None:
    with pytest.raises(ConfigError, match="size 32x96"):
        Stream(model, (32, 96))
    with pytest.raises(ConfigError, match="training mode"):
        Stream(model.fuse().train())


def test_encoding_ahead_changes_nothing() -> None:
    """Across a change of size, and for paths that differ."""
    torch.manual_seed(0)
    unshared = create_model("td4-lite0", weight_sets=None, size=SIZE, d_v=16, head_channels=16)
    frames = [*moving_frames(6), *moving_frames(6, (80, 72)), *moving_frames(3)]
    for network in (small_model(), unshared):
        ahead, one_by_one = Stream(network), Stream(network)
        results = list(ahead.ahead((Frame(i, i / 10, frame) for i, frame in enumerate(frames)), workers=3))
        assert [result.index for result in results] == list(range(15))
        assert [result.time_s for result in results] == [index / 10 for index in range(15)]
        assert ahead.resets == 2
        for result, frame in zip(results, frames, strict=True):
            expected = one_by_one.step(frame)
            torch.testing.assert_close(result.logits, expected.logits, atol=1e-5, rtol=1e-5)
            assert (result.mask == expected.mask).mean() > 0.999


@pytest.mark.parametrize("concurrent", [True, False], ids=["encoded ahead", "in turn"])
def test_a_result_is_given_before_the_next_frame_comes(
    model: TDNet, monkeypatch: pytest.MonkeyPatch, concurrent: bool
) -> None:
    monkeypatch.setattr(TorchNetwork, "concurrent", concurrent)
    come = threading.Semaphore(0)
    frames = moving_frames(5)

    def camera() -> Iterator[Frame]:
        for index, frame in enumerate(frames):
            assert come.acquire(timeout=60)
            yield Frame(index, index / 10, frame)

    results = Stream(model).ahead(camera(), workers=2)
    for index in range(5):
        come.release()
        result = next(results)  # if it waited for the next frame, it would wait for ever
        assert (result.index, result.time_s) == (index, index / 10)


def test_frames_are_read_ahead_within_bounds(model: TDNet) -> None:
    read: list[int] = []

    def frames() -> Iterator[Frame]:
        for index, frame in enumerate(moving_frames(40)):
            read.append(index)
            yield Frame(index, index / 10, frame)

    with closing(Stream(model).ahead(frames(), workers=2)) as results:
        for given, _ in zip(range(10), results, strict=False):
            assert len(read) <= given + 1 + 2 + 1 + 1  # given, waiting, in hand, and one more asked for


def test_bad_frames_are_refused_in_their_turn(model: TDNet) -> None:
    good = moving_frames(1)[0]
    results = Stream(model).ahead([Frame(0, 0.0, good), Frame(1, 0.1, good[..., 0])], workers=2)
    assert next(results).index == 0
    with pytest.raises(ConfigError, match="a frame of"):
        next(results)


def test_what_is_no_model_or_size_is_refused(model: TDNet) -> None:
    with pytest.raises(ConfigError, match=r"tdseg\.Stream\(tdseg\.load\(\"lite0-camvid\"\)\)"):
        Stream("lite0-camvid")  # type: ignore[arg-type]
    for size in (360, (360,), "360x480", (360.0, 480.0)):
        with pytest.raises(ConfigError, match="size"):
            Stream(model, size=size)  # type: ignore[arg-type]


def test_a_result_shows_itself(model: TDNet, tmp_path: Path) -> None:
    result = Stream(model).step(moving_frames(1)[0])
    assert result.classes == model.config.classes
    result.save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        np.testing.assert_array_equal(np.asarray(image), result.mask)
    with Image.open(io.BytesIO(result._repr_png_())) as image:
        np.testing.assert_array_equal(np.asarray(image), result.overlay())
    np.testing.assert_array_equal(result.overlay(0.0), result.frame)
    np.testing.assert_array_equal(
        result.overlay(1.0)[5:], draw.overlay(result.frame * 0, result.mask, result.colors, 1)[5:]
    )
    total = sum(result.probability(index) for index in range(len(result.classes)))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_the_age_of_a_frame_counts_from_its_arrival(model: TDNet) -> None:
    frame = moving_frames(1)[0]
    assert Stream(model).step(frame).age_ms is None
    result = Stream(model).step(frame, arrived_s=time.perf_counter() - 2.0)
    assert result.age_ms is not None
    assert result.age_ms >= 2000 + result.latency_ms
    for concurrent in (True, False):
        network = TorchNetwork(model)
        network.concurrent = concurrent
        (result,) = Stream(network).ahead([Frame(0, 0.0, frame, time.perf_counter() - 2.0)], workers=1)
        assert result.age_ms is not None
        assert result.age_ms >= 2000
