from __future__ import annotations

import math

import torch

from tdseg.models.tdnet import TDNet
from tdseg.street import render_street
from tdseg.zoo.catalog import model_config

CELLS = 6 * 8
"""Positions of the memory."""


def readings_of_a_clip(frames: int, **fields: object) -> dict[str, torch.Tensor] | None:
    torch.manual_seed(0)
    overrides = {"num_classes": 11, "propagation": "attention", "weight_sets": None, "memory_stride": 2}
    model = TDNet(model_config("td3-lite0s", **{**overrides, **fields})).train()
    street = render_street(3, num_frames=frames, size=(96, 128))
    clip = torch.stack([torch.from_numpy(frame.image).permute(2, 0, 1) for frame in street])[None]
    return model.forward_clip(model.normalize(clip), score="last").readings


def test_new_attention_can_look() -> None:
    """Queries read some positions more than others from the first step on."""
    readings = readings_of_a_clip(3)
    assert readings is not None
    assert 1 < readings["effective_keys"] < 0.95 * CELLS


def test_attention_that_cannot_look_is_seen() -> None:
    """The figure is the number of positions where queries or keys are nothing."""
    model = TDNet(model_config("td2-lite0s", num_classes=11, propagation="attention", memory_stride=2))
    path = model.path(0)
    code = path.encode(torch.randn(1, 3, 96, 128)).code
    memory = path.propagation.empty(code.value)
    assert math.isclose(path.propagation.readings(code, memory)["effective_keys"], CELLS, rel_tol=1e-5)


def test_no_readings_before_the_memory_is_full() -> None:
    assert readings_of_a_clip(2) is None
    assert not readings_of_a_clip(3, propagation="consensus")
