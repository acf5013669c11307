from __future__ import annotations

from math import ceil

import torch

from support.small import SIZE, small_model
from tdseg.measure import cost
from tdseg.zoo.catalog import create_model


def test_multiply_adds_of_one_more_class() -> None:
    """The last convolution is 1x1, on a grid `head_upscale` times finer than 1/8, done as outputs of the 1/8 grid."""
    counts = [
        cost.multiply_adds(create_model("lite0", head_channels=24, head_upscale=2, num_classes=classes), (72, 104))[0]
        for classes in (5, 6)
    ]
    assert counts[1] - counts[0] == 9 * 13 * 24 * 2**2


def test_multiply_adds_of_memory() -> None:
    """At a finer memory stride: more keys, more values to map, and attention on them from everywhere."""
    options = {"propagation": "attention", "d_k": 16, "d_v": 32, "size": (128, 192)}
    counts = [
        cost.multiply_adds(create_model("td2-lite0", memory_stride=stride, **options), (128, 192)) for stride in (4, 2)
    ]
    h, w = 128 // 8, 192 // 8
    more = ceil(h / 2) * ceil(w / 2) - ceil(h / 4) * ceil(w / 4)
    keys, phi, attention = 128 * 16 + 16 * 16, 32 * 32, h * w * (16 + 32)
    assert counts[1][0] - counts[0][0] == more * (keys + phi + attention)
    assert len(counts[0]) == 2


def test_multiply_adds_of_merging() -> None:
    model = create_model("td2-lite0", propagation="attention", d_k=16, d_v=32)
    positions, kept = 16 * 24, 4 * 6
    projection = 128 * 16 + 16 * 16
    expected = positions * (projection + 128 * 32) + kept * (projection + 32 * 32) + positions * kept * (16 + 32)
    assert cost.merging_multiply_adds(model, (128, 192)) == expected
    assert cost.merging_multiply_adds(create_model("lite0"), (128, 192)) == 0
    along_motion = create_model("td2-lite0")
    work = cost.merging_multiply_adds(along_motion, (128, 192))
    assert 0 < work < cost.multiply_adds(along_motion, (128, 192))[0] / 10


def test_state_bytes() -> None:
    model = small_model()
    positions = ceil(8 / 4) * ceil(12 / 4)
    slots, count = 3 * positions * (64 + 64 + 16), 1
    expected = 4 * (slots + count)
    state = None
    with torch.inference_mode():
        assert cost.bytes_of(model.step(torch.zeros(1, 3, *SIZE))[1]) == expected
        for _ in range(5):
            _, state = model.step(torch.zeros(2, 3, *SIZE), state)
        assert state is not None
        assert cost.bytes_of(state) == 2 * expected
        assert cost.bytes_of(create_model("lite0").eval().step(torch.zeros(1, 3, *SIZE))[1]) == 0


def test_parameters() -> None:
    shared = create_model("td2-lite0")
    own = create_model("td2-lite0", weight_sets=None)
    count = sum(parameter.numel() for parameter in shared.parameters())
    assert cost.parameters(shared) == count
    assert cost.parameters_per_path(shared) == (count, count)
    assert cost.parameters_per_path(own) == (count, count)
    assert cost.parameters(own) == 2 * count
