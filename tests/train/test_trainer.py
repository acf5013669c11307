from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support.fabricate import parse, paths_of
from tdseg.errors import ConfigError
from tdseg.models.tdnet import TDNet
from tdseg.train.losses import cross_entropy
from tdseg.train.mixture import Mixture
from tdseg.train.supply import supplies
from tdseg.train.trainer import Trainer, make_fabric, make_network


def make_trainer(values: dict[str, Any]) -> tuple[Trainer, Mixture]:
    recipe = parse(values)
    mixture = Mixture(recipe.sources, recipe.seed)
    network = make_network(recipe, mixture)
    return Trainer(recipe, make_fabric(recipe.precision), network, torch.ones(11) / 11), mixture


def take_step(trainer: Trainer, mixture: Mixture, step: int) -> dict[str, float]:
    recipe = trainer.recipe
    supply = next(supplies(recipe, mixture, (96, 128), range(recipe.batch), step, torch.device("cpu"), print))
    return trainer.read(step, trainer.launch(step, supply, stop=False)).terms


def test_every_path_is_trained_in_turn(values: dict[str, Any]) -> None:
    """The newest frame's head, and no other, learns; whatever the length of the clips."""
    overrides = {"propagation": "attention", "weight_sets": None, "head_channels": 16}
    values |= {"model": "td2-lite0", "overrides": overrides, "length": 3}
    trainer, mixture = make_trainer(values)
    heads = [path.head.classify.weight for path in paths_of(trainer.network)]
    for step in range(4):
        before = [head.detach().clone() for head in heads]
        take_step(trainer, mixture, step)
        assert [not torch.equal(one, other) for one, other in zip(before, heads, strict=True)] == [
            path == step % 2 for path in range(2)
        ]


def test_all_paths_of_a_consensus_are_trained_at_once(values: dict[str, Any]) -> None:
    values |= {"model": "td2-lite0s", "overrides": {"weight_sets": None, "head_channels": 16}, "length": 2}
    trainer, mixture = make_trainer(values)
    heads = [path.head.classify.weight for path in paths_of(trainer.network)]
    before = [head.detach().clone() for head in heads]
    take_step(trainer, mixture, 0)
    assert not any(torch.equal(one, other) for one, other in zip(before, heads, strict=True))


def test_frozen_parts_stay(values: dict[str, Any]) -> None:
    trainer, mixture = make_trainer(
        values | {"model": "td2-lite0", "length": 2, "freeze_subnet": True, "checkpoint_activations": True}
    )
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    take_step(trainer, mixture, 0)
    changed = {key for key, value in trainer.network.state_dict().items() if not torch.equal(value, before[key])}
    assert any(".head." in key for key in changed)
    assert not [key for key in changed if ".subnet." in key]
    trainer, mixture = make_trainer(values | {"freeze_norm": True})
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    take_step(trainer, mixture, 0)
    statistics = [key for key in before if "running_" in key or "num_batches" in key]
    changed = {key for key in statistics if not torch.equal(trainer.network.state_dict()[key], before[key])}
    assert changed == {key for key in statistics if ".encoder." in key}  # new in every run: they have none to keep


def test_what_attention_reads_is_told(values: dict[str, Any]) -> None:
    values |= {"model": "td2-lite0s", "overrides": {"propagation": "attention", "head_channels": 16}, "length": 2}
    trainer, mixture = make_trainer(values)
    supply = next(supplies(trainer.recipe, mixture, (96, 128), range(2), 0, torch.device("cpu"), print))
    outcome = trainer.read(0, trainer.launch(0, supply, stop=False))
    assert (
        1 < outcome.readings["effective_keys"] < 4 * 3
    )  # a quarter of the 64x96 crop's 8x12 positions, in each direction
    assert "effective_keys" not in outcome.terms


def test_activations_may_be_computed_twice_under_synchronised_batch_norm(values: dict[str, Any]) -> None:
    """As they are on several GPUs; batches count once."""
    trainer, mixture = make_trainer(values | {"checkpoint_activations": True})
    torch.nn.SyncBatchNorm.convert_sync_batchnorm(trainer.network)  # type: ignore[no-untyped-call]
    take_step(trainer, mixture, 0)
    counts = [value for key, value in trainer.network.state_dict().items() if key.endswith("num_batches_tracked")]
    assert {int(count) for count in counts} == {1}


def test_parts_of_a_batch_sum_to_the_batch(values: dict[str, Any]) -> None:
    """Whatever is labelled in each of them, and stays in sight, where batch norm does not see the batch."""
    values |= {"model": "td2-lite0s", "length": 2, "score": "all", "batch": 4, "dropout": 0.0, "freeze_norm": True}
    values |= {"losses": {"agreement": 1.0}, "optimizer": {"kind": "sgd", "lr": 1.0, "clip": None, "warmup": 0}}
    values["augmentation"] |= {"scale": [0.3, 1.2], "rotation": 20}
    gradients, losses = [], []
    for accumulate in (1, 2, 4):
        trainer, mixture = make_trainer(values | {"accumulate": accumulate})
        before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
        losses.append(take_step(trainer, mixture, 0))
        gradients.append([a - b for a, b in zip(before, trainer.network.parameters(), strict=True)])
    for cut, loss in zip(gradients[1:], losses[1:], strict=True):
        assert loss == pytest.approx(losses[0], rel=1e-5)
        for one, other in zip(gradients[0], cut, strict=True):
            torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-3)


def test_a_short_run_ends_with_what_it_learned(values: dict[str, Any]) -> None:
    """After a few steps the averaged model, with its statistics, is about as good as the trained one in its batches."""
    values |= {"model": "lite0s", "steps": 24, "optimizer": {"lr": 3e-3, "warmup": 2}}
    trainer, mixture = make_trainer(values)
    clips = [mixture.datasets[0].clip(index) for index in range(6)]
    frames, labels = (torch.stack([clip[i] for clip in clips]) for i in (0, 1))

    @torch.no_grad()
    def loss(model: TDNet) -> float:
        logits = model.forward_clip(model.normalize(frames)).logits
        return float(cross_entropy(logits, labels.long(), torch.ones(11)))

    start = loss(trainer.average.model)
    for step in range(24):
        take_step(trainer, mixture, step)
    trained, averaged = loss(trainer.network.train()), loss(trainer.average.model)
    assert trained < start - 0.4
    assert averaged < trained + 0.3 * (start - trained)


def test_low_precision_trains(values: dict[str, Any]) -> None:
    trainer, mixture = make_trainer(values | {"precision": "bf16-mixed"})
    exact, _ = make_trainer(values)
    low, high = take_step(trainer, mixture, 0), take_step(exact, mixture, 0)
    assert low != high
    assert low == pytest.approx(high, rel=0.05)
    assert all(parameter.dtype == torch.float32 for parameter in trainer.network.parameters())


@pytest.mark.parametrize(
    ("model", "pools"),
    [("lite0s", False), ("bise18", False), ("td2-lite0", False), ("psp18", True), ("fa18", True)],
)
def test_one_clip_trains_or_is_too_few(values: dict[str, Any], model: str, pools: bool) -> None:
    """A batch norm of features that are pooled to one position (in fa18 by small crops) has nothing to compare."""
    values |= {"model": model, "batch": 1, "overrides": {}, "steps": 1, "augmentation": {"crop": [64, 64]}}
    trainer, mixture = make_trainer(values)
    if pools:
        with pytest.raises(ConfigError, match=rf"^batch=1 with accumulate=1: 1 clip .* {model},[^$]*freeze_norm: true"):
            take_step(trainer, mixture, 0)
        trainer, mixture = make_trainer(values | {"freeze_norm": True})
    assert take_step(trainer, mixture, 0)["full"] > 0
