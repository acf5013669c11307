from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tdseg.errors import ConfigError, DataError
from tdseg.metrics.flips import ExcessFlipRate, FlipRate, FlipRateByPhase, FlowFlipRate, InstabilityMap
from tdseg.metrics.flow import make_flow

STILL = make_flow(np.zeros((10, 10, 2), np.float32))


def flash(count: int = 20, at: int = 10) -> list[np.ndarray]:
    """A still clip of class 0, but for a fifth of one mask."""
    masks = [np.zeros((10, 10), np.uint8) for _ in range(count)]
    masks[at][:4, :5] = 1
    return masks


def test_flip_rate_of_a_flash() -> None:
    flips = FlipRate()
    for mask in flash():
        flips.update(mask)
    assert flips.compute() == pytest.approx(2 * 0.2 / 19)


def test_masks_may_be_written_into_one_place() -> None:
    flips, excess, mask = FlipRate(), ExcessFlipRate(), np.zeros((2, 2), np.uint8)
    for value in (0, 1):
        mask[:] = value
        flips.update(mask)
        excess.update(mask, mask)
    assert flips.compute() == 1
    assert excess.count.item() == 0  # the label changed everywhere


def test_start_begins_another_video() -> None:
    flips = FlipRate()
    for mask in (np.zeros((2, 2), np.uint8), np.array([[0, 0], [0, 1]], np.uint8)):
        flips.update(mask)
    flips.start()
    flips.update(np.ones((3, 3), np.uint8))
    assert flips.compute() == 0.25
    with pytest.raises(DataError, match=r"call start\(\)"):
        flips.update(np.ones((4, 4), np.uint8))


def test_state_follows_torchmetrics() -> None:
    """Values of a step, merging and resetting, as for any other metric."""
    flips, other = FlipRate(), FlipRate()
    zeros, ones = torch.zeros(2, 2, dtype=torch.int64), torch.ones(2, 2, dtype=torch.uint8)
    assert math.isnan(flips(zeros))
    assert flips(ones) == 1
    assert flips(ones) == 0
    for mask in (zeros, zeros):
        other.update(mask)
    flips.merge_state(other)
    assert flips.compute() == pytest.approx(1 / 3)
    flips.update(ones)
    flips.reset()  # also of the running video: no pair spans it
    flips.update(zeros)
    assert math.isnan(flips.compute())
    flips.update(zeros)
    assert flips.compute() == 0


def test_phases_are_told_apart() -> None:
    flips, shifted = FlipRateByPhase(4), FlipRateByPhase(4)
    shifted.start(1)
    for t in range(17):
        mask = np.full((2, 2), t % 4 == 0, np.uint8)
        flips.update(mask)
        shifted.update(mask)
    assert flips.compute().tolist() == [1, 1, 0, 0]
    assert shifted.compute().tolist() == [0, 1, 1, 0]
    with pytest.raises(ConfigError, match="0 phases"):
        FlipRateByPhase(0)


def test_flow_flip_rate_is_per_second_and_leaves_motion_out() -> None:
    flash_rate, motion_rate, in_place = FlowFlipRate(fps=10), FlowFlipRate(fps=10), FlipRate()
    for mask in flash():
        flash_rate.update(mask, STILL)
    assert flash_rate.compute() == pytest.approx(10 * 2 * 0.2 / 19)
    canvas = np.random.default_rng(0).integers(0, 5, (10, 40)).astype(np.uint8)
    moving = make_flow(np.broadcast_to(np.array([3, 0], np.float32), (10, 10, 2)))
    for t in range(10):
        motion_rate.update(canvas[:, 3 * t : 3 * t + 10], moving)
        in_place.update(canvas[:, 3 * t : 3 * t + 10])
    assert motion_rate.compute() == 0
    assert in_place.compute() > 0.5


def test_pairs_without_flow_and_void_do_not_count() -> None:
    rate = FlowFlipRate(fps=1)
    masks = [np.full((10, 10), value, np.uint8) for value in (0, 1, 1, 255)]
    masks[2][:, :5] = 2
    for mask, flow in zip(masks, (None, None, STILL, STILL), strict=True):
        rate.update(mask, flow)
    assert rate.compute() == 0.5


def test_excess_flips_are_those_where_the_label_stays() -> None:
    rate = ExcessFlipRate()
    label, later = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    label[0], later[0] = 255, 255
    later[1:5] = 1
    rate.update(np.zeros((10, 10), np.uint8), label)
    mask = later.copy()
    mask[5], mask[0] = 3, 4
    rate.update(mask, later)
    assert rate.compute() == pytest.approx(0.2)  # one of the five rows whose label stays
    rate.update(np.zeros((10, 10), np.uint8), None)
    rate.update(mask, later)
    assert rate.count.item() == 1


def test_instability_map() -> None:
    unstable, along_flow = InstabilityMap((10, 10)), InstabilityMap((10, 10))
    for mask in flash(5, at=2):
        unstable.update(mask)
        along_flow.update(mask, STILL)
    expected = torch.zeros(10, 10)
    expected[:4, :5] = 0.5
    assert torch.equal(unstable.compute(), expected)
    assert torch.equal(along_flow.compute(), expected)


@pytest.mark.parametrize(
    "mask", [np.zeros((2, 2)), np.zeros((1, 2, 2), np.uint8), np.full((2, 2), -1), np.full((2, 2), 256)]
)
def test_what_is_no_mask_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(DataError, match="a mask of"):
        FlipRate().update(mask)


def test_flow_of_another_size_is_refused() -> None:
    rate = FlowFlipRate(fps=1)
    rate.update(np.zeros((4, 4), np.uint8), None)
    with pytest.raises(DataError, match=r"flow of \(10, 10\) for masks of \(4, 4\)"):
        rate.update(np.zeros((4, 4), np.uint8), STILL)


def test_label_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match=r"a label of \(4, 5\) for a mask of \(4, 4\)"):
        ExcessFlipRate().update(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8))
