from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import tdseg
from support.oracle import Oracle, picture
from support.small import SIZE, moving_frames
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.metrics.basic import Mask
from tdseg.models.propagation import TDNetState
from tdseg.runtime.memory import RememberingNetwork
from tdseg.runtime.network import Execution
from tdseg.runtime.torch import TorchNetwork
from tdseg.runtime.window import Ballot
from tdseg.street import render_street
from tdseg.video import Frame
from tdseg.video.pictures import RGB
from tdseg.zoo.load import prepare

STREET = (96, 128)
FRAMES = 4


@cache
def street() -> list[RGB]:
    return [frame.image for frame in render_street(5, num_frames=9, size=STREET)]


@cache
def remembering() -> RememberingNetwork:
    return RememberingNetwork(TorchNetwork(tdseg.load("lite0s-camvid").fuse()), FRAMES, "dis")


@cache
def whole() -> list[Mask]:
    stream = Stream(remembering(), STREET)
    return [stream.step(image).mask for image in street()]


def test_it_is_the_memory_of_our_own_models() -> None:
    ours = Stream(tdseg.add_memory(tdseg.load("lite0s-camvid"), frames=FRAMES, motion="dis").fuse(), STREET)
    same = [np.mean(mask == ours.step(image).mask) for mask, image in zip(whole(), street(), strict=True)]
    assert min(same) >= 0.998  # pictures that motion is found in are rounded in one of the two


def test_a_part_that_begins_early_has_the_masks_of_the_whole() -> None:
    stream, first = Stream(remembering(), STREET), 4
    stream.reset(first)
    part = [stream.step(image).mask for image in street()[first:]]
    assert (part[0] != whole()[first]).any()  # it remembers nothing yet
    np.testing.assert_array_equal(part[FRAMES - 1 :], whole()[first + FRAMES - 1 :])


@pytest.mark.parametrize("workers", [1, 3])
def test_frames_encoded_ahead_have_the_same_masks(workers: int) -> None:
    frames = (Frame(index, index / 15, image) for index, image in enumerate(street()))
    results = list(Stream(remembering(), STREET).ahead(frames, workers))
    np.testing.assert_array_equal([result.mask for result in results], whole())


def test_another_size_begins_anew() -> None:
    stream = Stream(remembering(), STREET)
    stream.step(street()[0])
    small = np.ascontiguousarray(street()[1][:80])
    assert (stream.step(small).mask == Stream(remembering(), STREET).step(small).mask).all()
    assert stream.resets == 1


@torch.inference_mode()
def test_the_state_holds_the_window_and_no_more() -> None:
    state, sizes = TDNetState(), []
    for image in street():
        images = torch.from_numpy(image).permute(2, 0, 1)[None]
        _, state = remembering().advance(remembering().encode(images, state.path), state)
        sizes.append(sum(tensor.numel() for tensor in state.memory))
    assert sizes[FRAMES:] == [sizes[-1]] * (len(street()) - FRAMES)
    assert state.path == len(street()) % FRAMES


def test_a_still_keeps_the_masks_of_the_network_inside() -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[16:48, 24:72] = 2
    alone, stream = Oracle(3, SIZE), Stream(RememberingNetwork(Oracle(3, SIZE), FRAMES))
    expected = Stream(alone).step(picture(mask)).mask
    np.testing.assert_array_equal(expected, mask)
    for _ in range(2 * FRAMES):
        shown = stream.step(picture(mask)).mask
    assert np.mean(shown == mask) > 0.97  # scores are held in cells: its edges are a little rounder


def test_one_wrong_frame_is_outvoted() -> None:
    right = np.zeros(SIZE, np.uint8)
    wrong = right.copy()
    wrong[20:44, 30:60] = 1

    class Blinking(Oracle):
        """Wrong in every fourth frame, of a picture that tells it nothing."""

        calls = 0

        def scores(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            mask = wrong if self.calls % FRAMES == 0 else right
            return super().scores(torch.from_numpy(picture(mask)).permute(2, 0, 1)[None])

    alone, stream = Stream(Blinking(2, SIZE)), Stream(RememberingNetwork(Blinking(2, SIZE), FRAMES))
    image = moving_frames(1)[0]
    assert any(alone.step(image).mask.any() for _ in range(FRAMES))
    assert not any(stream.step(image).mask.any() for _ in range(3 * FRAMES))


def test_it_says_what_it_is() -> None:
    network = prepare(Oracle(("a", "b"), SIZE), memory=3)
    assert isinstance(network, RememberingNetwork)
    assert (network.config.name, network.config.paths, network.keeps_state) == ("td3-oracle", 3, True)
    assert (network.config.classes, network.config.motion) == (("a", "b"), "dis")
    assert network.fit_size(None) == SIZE
    assert isinstance(network.encode(torch.zeros(1, 3, *SIZE, dtype=torch.uint8), 0), Ballot)


@pytest.mark.parametrize("frames", [-3, 1, 17])
def test_numbers_out_of_range(frames: int) -> None:
    with pytest.raises(ConfigError, match=rf"a memory of {frames} frames\n  expected: 2 … 16; 0 is none"):
        prepare(Oracle(2, SIZE), memory=frames)


def test_a_model_with_a_memory_takes_no_other_and_keeps_its_own() -> None:
    with pytest.raises(ConfigError, match="a memory of 4 frames for td6-lite0s, which has one"):
        prepare("td6-lite0s-camvid", Execution("cpu", "torch"), memory=4)
    with pytest.raises(ConfigError, match="without a memory"):
        prepare("td6-lite0s-camvid", Execution("cpu", "torch"), memory=0)
    assert prepare(Oracle(2, SIZE), memory=0).config.paths == 1
