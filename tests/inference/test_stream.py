from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.small import SIZE, moving_frames, small_model
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.models.tdnet import TDNet
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
    unshared = create_model("td4-lite0", shared_paths=False, size=SIZE, d_v=16, head_channels=16)
    frames = [*moving_frames(6), *moving_frames(6, (80, 72)), *moving_frames(3)]
    for network in (small_model(), unshared):
        ahead, one_by_one = Stream(network), Stream(network)
        results = list(ahead.ahead(((frame, index / 10) for index, frame in enumerate(frames)), workers=3))
        assert [result.index for result in results] == list(range(15))
        assert [result.time_s for result in results] == [index / 10 for index in range(15)]
        assert ahead.resets == 2
        for result, frame in zip(results, frames, strict=True):
            expected = one_by_one.step(frame)
            torch.testing.assert_close(result.logits, expected.logits, atol=1e-5, rtol=1e-5)
            assert (result.mask == expected.mask).mean() > 0.999
