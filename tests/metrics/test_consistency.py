from __future__ import annotations

import math

import numpy as np
import pytest

from tdseg.errors import ConfigError
from tdseg.metrics.consistency import TemporalConsistency, VideoConsistency
from tdseg.metrics.flow import make_flow

STILL = make_flow(np.zeros((10, 10, 2), np.float32))


def flash(count: int = 20, at: int = 10) -> list[np.ndarray]:
    masks = [np.zeros((10, 10), np.uint8) for _ in range(count)]
    masks[at][:4, :5] = 1
    return masks


def test_still_clip_is_consistent() -> None:
    tc, vc = TemporalConsistency(), VideoConsistency(8)
    mask = np.arange(100, dtype=np.uint8).reshape(10, 10)
    for _ in range(8):
        tc.update(mask, STILL)
        vc.update(mask, mask)
    assert tc.compute() == 100
    assert vc.compute() == 100


def test_tc_of_a_flash() -> None:
    tc = TemporalConsistency()
    for mask in flash():
        tc.update(mask, STILL)
    assert tc.compute() == pytest.approx((100 * 1860 / 1900 + 0) / 2)  # class 1 agrees nowhere


def test_tc_follows_motion() -> None:
    canvas = np.random.default_rng(0).integers(0, 5, (10, 40)).astype(np.uint8)
    moving = make_flow(np.broadcast_to(np.array([3, 0], np.float32), (10, 10, 2)))
    along, in_place = TemporalConsistency(), TemporalConsistency()
    for t in range(10):
        along.update(canvas[:, 3 * t : 3 * t + 10], moving)
        in_place.update(canvas[:, 3 * t : 3 * t + 10], STILL)
    assert along.compute() == 100
    assert in_place.compute() < 20


def test_tc_leaves_occlusions_out() -> None:
    """A square of class 1 moves over class 0: what it uncovers has no former mask."""
    forward, backward = np.zeros((12, 20, 2), np.float32), np.zeros((12, 20, 2), np.float32)
    forward[4:8, 4:8, 0], backward[4:8, 8:12, 0] = 4, -4
    masks = [np.zeros((12, 20), np.uint8) for _ in range(2)]
    masks[0][4:8, 4:8] = masks[1][4:8, 8:12] = 1
    flow = make_flow(backward, forward)
    excluded, kept = TemporalConsistency(), TemporalConsistency()
    for mask, motion in zip(masks, (None, flow), strict=True):
        assert motion is None or math.isnan(excluded.compute())
        excluded.update(mask, motion)
        kept.update(mask, motion and motion._replace(visible=np.ones((12, 20), bool)))
    assert excluded.compute() == 100
    assert kept.compute() == pytest.approx(50 * (208 / 224 + 16 / 32))


def test_tc_is_one_matrix_over_all_videos() -> None:
    """Not the mean over videos: the rare class counts by its pixels."""
    tc = TemporalConsistency()
    for clip in (flash(), [np.ones((10, 10), np.uint8)] * 2):
        tc.start()
        for mask in clip:
            tc.update(mask, STILL)
    assert tc.compute() == pytest.approx(50 * (1860 / 1900 + 100 / 140))


def test_vc_of_a_flash() -> None:
    """8 of the 13 windows of 8 frames hold it."""
    vc = VideoConsistency(8)
    for mask in flash():
        vc.update(mask, np.zeros((10, 10), np.uint8))
    assert vc.compute() == pytest.approx((5 * 100 + 8 * 80) / 13)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_vc_equals_the_definition(k: int) -> None:
    rng = np.random.default_rng(k)
    labels = np.repeat(rng.integers(0, 3, (6, 5, 7)), 5, axis=0).astype(np.uint8)
    labels[rng.uniform(size=labels.shape) < 0.03] = 255
    masks = np.where(rng.uniform(size=labels.shape) < 0.9, labels, 1).astype(np.uint8)
    shares = []
    for t in range(len(labels) - k + 1):
        window = labels[t : t + k]
        constant = (window == window[0]).all(0) & (window[0] != 255)
        right = (masks[t : t + k] == window).all(0)
        if constant.any():
            shares.append((right & constant).sum() / constant.sum())
    vc = VideoConsistency(k)
    for mask, label in zip(masks, labels, strict=True):
        vc.update(mask, label)
    assert vc.compute() == pytest.approx(100 * np.mean(shares))


def test_wrong_but_constant_is_not_right() -> None:
    vc = VideoConsistency(2)
    for _ in range(4):
        vc.update(np.ones((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    assert vc.compute() == 0


def test_no_window_spans_an_unknown_label() -> None:
    vc = VideoConsistency(3)
    mask = np.zeros((2, 2), np.uint8)
    for label in (mask, mask, None, mask, mask):
        vc.update(mask, label)
    assert math.isnan(vc.compute())
    with pytest.raises(ConfigError, match="k=0"):
        VideoConsistency(0)
