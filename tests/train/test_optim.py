from __future__ import annotations

from typing import Any

import pytest
import torch

from tdseg.train.optim import Average, lr_factor, make_optimizer, settle_statistics
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
    """To the peak itself, from which the rate decays over the steps that are left."""
    released = config(warmup=1000, warmup_lr=1e-5)
    assert 0.01 * lr_factor(released, 0, 40_000) == pytest.approx(1e-5)
    assert 0.01 * lr_factor(released, 500, 40_000) == pytest.approx((1e-5 * 1e-2) ** 0.5)
    assert lr_factor(released, 1000, 40_000) == 1
    assert lr_factor(released, 20_500, 40_000) == pytest.approx(0.5**0.9)
    assert lr_factor(released, 39_999, 40_000) == pytest.approx((1 / 39_000) ** 0.9)


def test_linear_warm_up() -> None:
    flat = config(warmup=4, power=1e-9)
    assert [lr_factor(flat, step, 100) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1], rel=1e-6)


@pytest.mark.parametrize("warmup_lr", [None, 1e-4])
def test_the_peak_is_reached_unless_the_warm_up_is_longer_than_the_run(warmup_lr: float | None) -> None:
    fields = config(warmup=60, warmup_lr=warmup_lr)
    assert max(lr_factor(fields, step, 90) for step in range(90)) == 1
    assert max(lr_factor(fields, step, 60) for step in range(60)) == lr_factor(fields, 59, 60) < 1


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


STEM = "paths.0.subnet.backbone.stem.norm"


def test_average_moves_towards_the_model() -> None:
    model = create_model("lite0", head_channels=16)
    average = Average(model, decay=0.75)
    bias, ours = (one.get_parameter("paths.0.head.classify.bias") for one in (model, average.model))
    first = bias.detach() + 1
    for kept in (0, 1 / 10, 2 / 11):  # nothing of the start
        before = ours.clone()
        with torch.no_grad():
            bias.add_(1)
            model.get_buffer(f"{STEM}.num_batches_tracked").add_(3)
        average.update(model)
        torch.testing.assert_close(ours, before.lerp(bias, 1 - kept))
    assert (ours > first).all()
    assert average.model.get_buffer(f"{STEM}.num_batches_tracked") == 9
    average.updates, before = 10_000, ours.clone()
    average.update(model)
    torch.testing.assert_close(ours, before.lerp(bias, 0.25))


def test_averaged_statistics_are_those_of_the_batches() -> None:
    """After three batches, of which running statistics of momentum 0.01 have seen 3 %."""
    model = create_model("lite0", head_channels=16).train()
    average, stem = Average(model, decay=0.998), model.get_submodule(STEM)
    x = 5 + 3 * torch.randn(8, stem.get_buffer("running_mean").numel(), 16, 16)
    variance, mean = torch.var_mean(x, (0, 2, 3))
    for _ in range(3):
        stem(x)
        average.update(model)
        torch.testing.assert_close(average.model.get_buffer(f"{STEM}.running_mean"), mean, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(average.model.get_buffer(f"{STEM}.running_var"), variance, atol=1e-3, rtol=1e-3)
    untouched = average.model.get_submodule("paths.0.head.hidden.0.norm")
    assert untouched.get_buffer("running_mean").eq(0).all()
    assert untouched.get_buffer("running_var").eq(1).all()


def test_statistics_that_a_model_starts_with_are_kept() -> None:
    model = create_model("lite0", head_channels=16).train()
    average, stem = Average(model, decay=0.998), model.get_submodule(STEM)
    stem.get_buffer("running_mean").fill_(2)
    settle_statistics(model)
    stem(torch.zeros(2, stem.get_buffer("running_mean").numel(), 4, 4))
    average.update(model)
    torch.testing.assert_close(average.model.get_buffer(f"{STEM}.running_mean"), stem.get_buffer("running_mean"))
    assert model.get_buffer("paths.0.head.hidden.0.norm.num_batches_tracked") == 0


def test_variances_of_what_hardly_varies_do_not_fall_below_zero() -> None:
    model = create_model("lite0", head_channels=16).train()
    average, stem = Average(model, decay=0.998), model.get_submodule(STEM)
    stem.momentum = 0.1  # type: ignore[assignment]
    for _ in range(9):
        stem(torch.ones(2, stem.get_buffer("running_mean").numel(), 4, 4))
        average.update(model)
        assert average.model.get_buffer(f"{STEM}.running_var").ge(0).all()
