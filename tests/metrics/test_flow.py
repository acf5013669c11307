from __future__ import annotations

import numpy as np
import pytest

from support.small import moving_frames
from tdseg.errors import ConfigError, DataError
from tdseg.metrics.figures import FLOWS
from tdseg.metrics.flow import ESTIMATORS, DISFlow, FlowEstimator, Flows, make_flow, warp


def field(height: int, width: int, dx: float = 0, dy: float = 0) -> np.ndarray:
    return np.broadcast_to(np.array([dx, dy], np.float32), (height, width, 2)).copy()


@pytest.mark.parametrize("kind", ESTIMATORS.values())
def test_a_translation_is_found(kind: type[FlowEstimator]) -> None:
    flow = kind()
    first, second = moving_frames(2)
    assert flow.step(first) is None
    found = flow.step(second)
    assert found is not None
    inner = found.backward[8:-8, 16:-16]  # frames wrap around at the edges
    assert np.median(inner, axis=(0, 1)) == pytest.approx([-3, 0], abs=0.2)
    assert found.visible[8:-8, 16:-16].mean() > 0.9
    flow.start()
    assert flow.step(first) is None


def test_flows_are_found_side_by_side() -> None:
    frames, flows = moving_frames(3), Flows()
    assert list(ESTIMATORS) == list(FLOWS) == list(flows.estimators)
    assert flows.step(frames[0]) == {"dis": None, "farneback": None}
    for name, found in flows.step(frames[1]).items():
        alone = ESTIMATORS[name]()
        alone.step(frames[0])
        expected = alone.step(frames[1])
        assert found is not None
        assert expected is not None
        np.testing.assert_array_equal(found.backward, expected.backward)
    flows.start()
    assert flows.step(frames[2]) == {"dis": None, "farneback": None}
    assert list(Flows(("farneback",)).step(frames[0])) == ["farneback"]
    assert Flows(()).step(frames[0]) == {}
    with pytest.raises(ConfigError, match=r"flow 'raft'[\s\S]*dis or farneback"):
        Flows(("dis", "raft"))


def test_warp_takes_the_nearest_pixel() -> None:
    mask = np.array([[0, 9, 9, 4]], np.uint8)
    assert warp(mask, make_flow(field(1, 4, dx=0.4))).tolist() == [[0, 9, 9, 4]]
    assert warp(mask, make_flow(field(1, 4, dx=1))).tolist() == [[9, 9, 4, 4]]


def test_what_was_outside_is_not_visible() -> None:
    flow = make_flow(field(3, 5, dx=2, dy=-1))
    assert flow.visible.astype(int).tolist() == [[0, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]]


def test_what_was_covered_is_not_visible() -> None:
    """A square of 4 pixels moves by 4 to the right over a still background."""
    forward, backward = field(12, 20), field(12, 20)
    forward[4:8, 4:8, 0] = 4
    backward[4:8, 8:12, 0] = -4
    hidden = ~make_flow(backward, forward).visible
    assert hidden[4:8, 4:8].all()
    assert hidden.sum() == 16


def test_bad_input() -> None:
    with pytest.raises(DataError, match=r"\(4, 5\)"):
        make_flow(np.zeros((4, 5), np.float32))
    with pytest.raises(DataError, match=r"\(4, 6, 2\)"):
        make_flow(field(4, 5), field(4, 6))
    with pytest.raises(DataError, match=r"uint8 \(4, 4, 3\)"):
        DISFlow().step(np.zeros((4, 4, 3), np.uint8))
    flow = DISFlow()
    flow.step(np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(DataError, match=r"call start\(\)"):
        flow.step(np.zeros((16, 20, 3), np.uint8))
