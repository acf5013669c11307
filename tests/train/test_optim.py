from __future__ import annotations

from typing import Any

import pytest
import torch

from tdseg.train.optim import Average, lr_factor, make_optimizer
from tdseg.train.recipe import Optimizer
from tdseg.zoo.catalog import create_model


def config(**fields: Any) -> Optimizer:
    parsed: Optimizer = Optimizer.parse({"lr": 0.01, **fields}, where="test")
    return parsed


def test_poly_is_exact_at_the_last_step() -> None:
    rates = [lr_factor(config(warmup=0), step, 40_000) for step in range(0, 40_000)]
    assert rates[0] == 1
    assert rates[20_000] == pytest.approx(0.5**0.9)
    assert rates[-1] == pytest.approx((1 / 40_000) ** 0.9)
    assert rates == sorted(rates, reverse=True)


def test_exponential_warm_up_as_released() -> None:
    released = config(warmup=1000, warmup_lr=1e-5)
    assert 0.01 * lr_factor(released, 0, 40_000) == pytest.approx(1e-5)
    assert 0.01 * lr_factor(released, 500, 40_000) == pytest.approx((1e-5 * 1e-2) ** 0.5 * (1 - 500 / 40_000) ** 0.9)
    assert lr_factor(released, 1000, 40_000) == pytest.approx((1 - 1000 / 40_000) ** 0.9)


def test_linear_warm_up() -> None:
    flat = config(warmup=4, power=1e-9)
    assert [lr_factor(flat, step, 100) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1], rel=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_groups(kind: str) -> None:
    """Backbone apart; norms, biases and the spatial affine do not decay; what is frozen is left out."""
    model = create_model(
        "td2-lite0", propagation="attention", norm="layer", norm_size=(8, 12), weight_sets=None
    ).train()
    model.get_submodule("paths.1.subnet").requires_grad_(False)
    fields = config(kind=kind, backbone_lr=0.001, weight_decay=0.5)
    optimizer = make_optimizer(model, fields)
    found = {
        id(parameter): (group["peak_lr"] * 0.1, group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)
    for name, lr, decay in (
        ("subnet.backbone.stem.conv.weight", 1e-4, 0.5),
        ("subnet.backbone.stem.norm.weight", 1e-4, 0),
        ("head.classify.weight", 1e-3, 0.5),
        ("head.classify.bias", 1e-3, 0),
        ("propagation.phi.0.weight", 1e-3, 0.5),
        ("norm.weight", 1e-3, 0),
    ):
        assert found[id(model.get_parameter(f"paths.0.{name}"))] == pytest.approx((lr, decay))
    assert id(model.get_parameter("paths.1.subnet.backbone.stem.conv.weight")) not in found
    assert id(model.get_parameter("paths.1.head.classify.weight")) in found
    assert isinstance(optimizer, torch.optim.SGD if kind == "sgd" else torch.optim.AdamW)


def test_average_moves_towards_the_model() -> None:
    model = create_model("lite0", head_channels=16)
    average = Average(model, decay=0.75)
    stem = "paths.0.subnet.backbone.stem.norm"
    bias, mean = model.get_parameter("paths.0.head.classify.bias"), model.get_buffer(f"{stem}.running_mean")
    ours = average.model.get_parameter("paths.0.head.classify.bias")
    start = ours.clone()
    with torch.no_grad():
        bias.add_(1)
        mean.add_(2)
        model.get_buffer(f"{stem}.num_batches_tracked").fill_(3)
    average.update(model)  # keeps (1 + 1) / (10 + 1) of the start
    torch.testing.assert_close(ours, start + 9 / 11)
    torch.testing.assert_close(average.model.get_buffer(f"{stem}.running_mean"), mean - 2 * 2 / 11)
    assert average.model.get_buffer(f"{stem}.num_batches_tracked") == 3
    average.updates = 10_000
    average.update(model)
    torch.testing.assert_close(ours, start + 1 - 0.75 * 2 / 11)
