from __future__ import annotations

import math

import numpy as np
import pytest

from tdseg.errors import ConfigError, DataError
from tdseg.metrics.bootstrap import Interval, Trace, interval, paired
from tdseg.metrics.consistency import TemporalConsistency, VideoConsistency
from tdseg.metrics.flips import ExcessFlipRate, FlipRateByPhase, FlowFlipRate
from tdseg.metrics.flow import make_flow
from tdseg.metrics.iou import ConfusionMatrix


def trace(shares: np.ndarray, weights: np.ndarray | None = None) -> Trace:
    """Of a mean share, each frame's."""
    made = Trace()
    weights = np.ones(len(shares)) if weights is None else weights
    for sums in np.stack([shares * weights, weights], 1).cumsum(0):
        made.add(sums[:, None])
    return made


def alike(count: int, rng: np.random.Generator, *, last: float = 0.8) -> np.ndarray:
    """Shares of frames, each near the one before."""
    noise = rng.normal(0, 0.1, count)
    for t in range(1, count):
        noise[t] = last * noise[t - 1] + math.sqrt(1 - last**2) * noise[t]
    return 0.5 + noise


def test_equal_sequences_differ_by_exactly_nothing() -> None:
    one, same = (trace(alike(101, np.random.default_rng(0))) for _ in range(2))
    both = paired(one, same)
    assert both.a == both.b == interval(one)
    assert both.a.low < both.a.value < both.a.high
    assert both.difference == (0, 0, 0)


def test_a_constant_improvement_is_sure_however_frames_vary() -> None:
    shares = alike(101, np.random.default_rng(1))
    both = paired(trace(shares), trace(shares + 0.01))
    assert both.difference == pytest.approx((0.01, 0.01, 0.01))
    assert both.a.high > both.b.low  # each alone would not tell


def test_noise_about_nothing_is_not_sure() -> None:
    rng = np.random.default_rng(2)
    difference = paired(trace(alike(200, rng)), trace(alike(200, rng))).difference
    assert difference.low < 0 < difference.high


def test_the_seed_says_the_draws() -> None:
    shares = trace(alike(101, np.random.default_rng(3)))
    assert interval(shares, seed=4) == interval(shares, seed=4) != interval(shares, seed=5)


def test_single_frames_would_promise_too_much() -> None:
    shares = trace(alike(400, np.random.default_rng(6), last=0.95))
    (_, low, high), (_, lowest, highest) = interval(shares, stretch=1), interval(shares, stretch=40)
    assert highest - lowest > 2 * (high - low)


def test_every_frame_counts_alike() -> None:
    """The first and the last, too: the mean of all draws is the figure."""
    shares = np.zeros(40)
    shares[0] = 1
    value, low, high = interval(trace(shares), stretch=10)
    assert value == 1 / 40
    assert low == 0
    assert high == pytest.approx(3 / 40)  # it is in up to three of four stretches


@pytest.mark.parametrize("count", [0, 1, 15, 31])
def test_a_video_of_less_than_two_stretches_has_no_interval(count: int) -> None:
    short = trace(np.full(count, 0.25))
    for value, low, high in (interval(short), paired(short, short).b):
        assert value == pytest.approx(0.25) if count else math.isnan(value)
        assert math.isnan(low)
        assert math.isnan(high)
    assert interval(trace(np.full(32, 0.25))) == Interval(0.25, 0.25, 0.25)


def test_what_does_not_count_leaves_no_trace() -> None:
    weights = (np.arange(64) >= 16).astype(float)
    assert interval(trace(np.where(weights, 0.5, math.pi), weights)) == pytest.approx((0.5, 0.5, 0.5))
    nothing = trace(np.zeros(64), np.zeros(64))
    assert np.isnan(interval(nothing)).all()


def test_sums_of_the_metrics_give_their_figures() -> None:
    """Also of classes that come late, and with frames that do not count."""
    rng = np.random.default_rng(7)
    flow = make_flow(rng.normal(0, 1, (12, 16, 2)).astype(np.float32))
    metrics = TemporalConsistency(), VideoConsistency(3), FlowFlipRate(15), ExcessFlipRate()
    matrix, traces = ConfusionMatrix(9), [Trace() for _ in range(5)]
    label = rng.integers(0, 4, (12, 16))
    for t in range(40):
        label = np.where(rng.uniform(size=label.shape) < 0.05, t // 5, label)
        mask = np.where(rng.uniform(size=label.shape) < 0.1, 2, label)
        matrix.update(mask.astype(np.uint8), label.astype(np.uint8))
        for metric, given in zip(metrics, (flow if t != 9 else None, label, flow, label), strict=True):
            metric.update(mask, given)
        for one, sums in zip(traces, (matrix.sums, *(metric.sums() for metric in metrics)), strict=True):
            assert sums is not None
            one.add(sums)
    expected = [matrix.miou, *(metric.compute().item() for metric in metrics)]
    assert [interval(one).value for one in traces] == pytest.approx(expected)
    assert FlipRateByPhase(2).sums() is None


def test_bad_input() -> None:
    with pytest.raises(DataError, match="traces of 40 and 41 frames"):
        paired(trace(np.zeros(40)), trace(np.zeros(41)))
    for settings in ({"stretch": 0}, {"draws": 0}):
        with pytest.raises(ConfigError, match="draws of stretches"):
            interval(trace(np.zeros(40)), **settings)
