"""What a second stage starts from: the head that the per-frame model has, and the auxiliary heads of its run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tdseg
from support.fabricate import Kept, parse, paths_of
from support.factory import random_model
from support.reference import shapes
from tdseg.models.head import Head
from tdseg.models.tdnet import TDNet
from tdseg.train.init import initialise
from tdseg.zoo.catalog import model_config
from tdseg.zoo.checkpoint import save

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from tdseg.train.loop import fit
from tdseg.train.watch import Run


def started(name: str, first: TDNet, folder: Path, **overrides: Any) -> tuple[TDNet, list[str]]:
    """A new model from the weights of another, and what was warned of."""
    save(first, folder / "first.safetensors")
    model, warnings = TDNet(model_config(name, **overrides), aux=True), list[str]()
    initialise(model, str(folder / "first.safetensors"), warnings.append)
    return model.eval(), warnings


@torch.inference_mode()
@pytest.mark.parametrize("head", ["conv", "separable"])
def test_a_head_on_a_group_starts_as_what_reads_that_group(head: str, tmp_path: Path) -> None:
    """As split_psp_dict of the released code cuts it: columns of the 3x3 convolution, norm and classifier whole."""
    whole = random_model("psp18", num_classes=3, head=head)
    model, warnings = started("td4-psp18", whole, tmp_path, num_classes=3, head=head)
    assert warnings == []
    known = paths_of(whole)[0].head.state_dict()
    # The released layout: of a half, its half of the backbone's 512 channels and of each level's 128.
    halves = [
        [*range(256 * i, 256 * i + 256), *(512 + 128 * level + 64 * i + c for level in range(4) for c in range(64))]
        for i in range(2)
    ]
    tensors = 0
    for index, path in enumerate(paths_of(model)):
        for key, value in path.head.state_dict().items():
            expected = known[key]
            for axis in [axis for axis, size in enumerate(expected.shape) if size == 1024]:
                expected = expected.index_select(axis, torch.tensor(halves[index % 2]))
            assert torch.equal(value, expected), key
            tensors += not key.endswith("num_batches_tracked")
    assert tensors == (28 if head == "conv" else 48)


@torch.inference_mode()
def test_heads_on_groups_add_up_to_the_whole(tmp_path: Path) -> None:
    """On the groups of a picture's features, their 3x3 convolutions sum to that of the per-frame model on all."""
    whole = random_model("psp18", num_classes=3)
    model, _ = started("td2-psp18", whole, tmp_path, num_classes=3)
    x = torch.randn(1, 3, 64, 96)

    def convolved(network: TDNet, index: int) -> Tensor:
        path = paths_of(network)[index]
        assert isinstance(path.head, Head)
        answer: Tensor = path.head.hidden.get_submodule("conv")(path.subnet(x).z)
        return answer

    torch.testing.assert_close(convolved(model, 0) + convolved(model, 1), convolved(whole, 0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("changes", [{"head": "separable"}, {"head": "leaky"}, {"head_channels": 64}, {"d_v": 256}])
def test_a_head_that_differs_starts_anew(changes: dict[str, Any], tmp_path: Path) -> None:
    """As td2-psp50's, whose values are fewer than a group's channels, in the released code."""
    whole = random_model("psp18", num_classes=3)
    model, warnings = started("td2-psp18", whole, tmp_path, num_classes=3, **changes)
    assert warnings == []
    known = paths_of(whole)[0].head.classify.weight
    assert not any(torch.equal(path.head.classify.weight, known) for path in paths_of(model))


@pytest.mark.parametrize("name", ["td4-psp18", "td2-psp50"])
def test_auxiliary_heads_are_as_wide_as_the_released_ones(name: str) -> None:
    with torch.device("meta"):
        model = TDNet(model_config(name), aux=True)
    known = shapes(f"{name}-train")
    for number, path in enumerate(paths_of(model), 1):
        assert path.aux_head is not None
        ours = {key: tuple(value.shape) for key, value in path.aux_head.state_dict().items()}
        assert ours["hidden.conv.weight"] == tuple(known[f"auxlayer{number}.conv5.0.weight"])
        assert ours["hidden.norm.running_var"] == tuple(known[f"auxlayer{number}.conv5.1.running_var"])
        assert ours["classify.weight"] == tuple(known[f"auxlayer{number}.conv5.4.weight"])
        assert ours["classify.bias"] == tuple(known[f"auxlayer{number}.conv5.4.bias"])


class AtStart(Kept):
    """Keeps the auxiliary heads that each stage starts with, and the newest ones."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[dict[str, Tensor]] = []

    def start(self, run: Run) -> None:
        super().start(run)
        self.heads.append(heads_of(run.model))


def heads_of(model: TDNet) -> dict[str, Tensor]:
    """Their weights and statistics, without how many batches these are of."""
    tensors = {key: value.clone() for key, value in model.state_dict().items() if ".aux_head." in key}
    return {key: value for key, value in tensors.items() if value.is_floating_point()}


def test_auxiliary_heads_go_from_stage_to_stage(values: dict[str, Any], tmp_path: Path) -> None:
    """Every path starts with that of the first stage, and a model from these weights with those of the second."""
    stages = values | {
        "model": "td2-lite0s",
        "overrides": {"head_channels": 16, "weight_sets": None},
        "steps": 1,
        "length": 2,
        "optimizer": {"lr": 0.01, "warmup": 0},
        "per_frame": {"steps": 1},
    }
    kept = AtStart()
    fit(parse(stages), tmp_path, watchers=[kept])
    first, second = (heads_of(run.model) for run in kept.runs)
    for key, value in kept.heads[1].items():
        assert torch.equal(value, first[f"paths.0.{key.split('.', 2)[2]}"]), key
    assert not heads_of(tdseg.load(tmp_path))
    model = TDNet(kept.runs[1].model.config, aux=True)
    initialise(model, str(tmp_path), pytest.fail)
    assert all(torch.equal(value, second[key]) for key, value in heads_of(model).items())


def test_without_checkpoints_auxiliary_heads_are_new(values: dict[str, Any], tmp_path: Path) -> None:
    """Weights alone start a run; damaged checkpoints beside them are named."""
    trained = fit(parse(values | {"model": "lite0s", "steps": 1}), tmp_path)
    model, warnings = TDNet(trained.config, aux=True), list[str]()
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    initialise(model, str(tmp_path / "model.safetensors"), warnings.append)
    assert "auxiliary heads start anew" in warnings[-1]
    shutil.rmtree(tmp_path / "checkpoints")
    before = heads_of(model)
    initialise(model, str(tmp_path / "model.safetensors"), pytest.fail)
    assert all(torch.equal(value, before[key]) for key, value in heads_of(model).items())
