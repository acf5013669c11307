"""Every model is made of the same parts: what is particular to each, and what a user's own needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tdseg
from support.factory import random_model
from tdseg.errors import ConfigError
from tdseg.models.path import NetworkPath
from tdseg.models.tdnet import TDNet
from tdseg.zoo import catalog


def subnet(model: TDNet, path: int = 0) -> Any:
    module = model.paths[path]
    assert isinstance(module, NetworkPath)
    return module.subnet


@torch.inference_mode()
@pytest.mark.parametrize("name", [*catalog.architectures(), "td2-psp18", "td3-lite0"])
def test_every_model_runs(name: str) -> None:
    model = catalog.create_model(name, num_classes=5)
    logits, state = model.step(torch.randn(1, 3, 65, 90))
    assert logits.shape == (1, 5, 65, 90)
    assert logits.isfinite().all()
    assert state.path == (1 if model.config.paths > 1 else 0)


@torch.inference_mode()
@pytest.mark.parametrize("name", catalog.architectures())
def test_every_model_fuses(name: str) -> None:
    model = random_model(name, num_classes=5)
    frames = torch.randn(1, model.config.paths + 1, 3, 64, 72)
    expected, found = model.forward_clip(frames).logits, model.fuse().forward_clip(frames).logits
    assert (found - expected).abs().max() / expected.abs().max() < 1e-4


def test_groups_are_parts_of_one_pyramid() -> None:
    """With the whole pyramid's weights shared out, groups side by side are the whole, as grouped distillation needs."""
    torch.manual_seed(0)
    whole, parts = random_model("psp18"), random_model("td4-psp18", groups=4)
    x = torch.randn(1, 3, 65, 97)
    features = torch.split(subnet(whole)(x).z, [512, 128, 128, 128, 128], dim=1)
    for path in range(4):
        part = subnet(parts, path)
        part.backbone.load_state_dict(subnet(whole).backbone.state_dict())
        for level, source in zip(part.levels, subnet(whole).levels, strict=True):
            rows = slice(32 * path, 32 * (path + 1))
            level.conv.weight.data = source.conv.weight.data[rows].clone()
            for key in ("weight", "bias", "running_mean", "running_var"):
                getattr(level.norm, key).data = getattr(source.norm, key).data[rows].clone()
        expected = [feature.chunk(4, dim=1)[path] for feature in features]
        torch.testing.assert_close(part.eval()(x).z, torch.cat(expected, dim=1))


def test_groups_repeat_where_there_are_more_paths() -> None:
    model = catalog.create_model("td4-psp18")
    assert [subnet(model, path).first for path in range(4)] == [0, 256, 0, 256]


@pytest.mark.parametrize(
    ("name", "overrides", "named"),
    [
        ("td2-bise18", {"groups": 2}, "psp"),
        ("td2-psp18", {"groups": 4}, "paths"),
        ("td4-psp18", {"weight_sets": 1}, "weight_sets"),
        ("td3-psp18", {"groups": 3}, "power of 2"),
        ("psp18", {"subnet": "custom"}, "whose name says it"),
        ("psp18", {"paths": 4}, "td2-psp18"),
        ("td4-psp18", {"norm": "layer", "norm_size": (10**6, 10**6)}, "16384"),
        ("lite0", {"std": (0.0, 1.0, 1.0)}, "greater than or equal to 0"),
    ],
)
def test_contradictions(name: str, overrides: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        catalog.create_model(name, **overrides)


@pytest.mark.parametrize("name", ["td1-psp18", "td17-psp18", "td-psp18", "psp19", "td4-", "custom"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown model"):
        catalog.create_model(name)


class Pooled(tdseg.SubNetwork):
    """The least there is: a mean over 16 pixels, and a convolution."""

    channels = 12
    stride = 16

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.avg_pool2d(x, 16, ceil_mode=True))  # type: ignore[no-any-return]


@torch.inference_mode()
def test_a_network_of_ones_own(tmp_path: Path) -> None:
    model = tdseg.distribute(Pooled, paths=3, num_classes=4, d_v=8, memory_stride=2)
    frames = torch.randn(1, 5, 3, 70, 100)
    logits = model.forward_clip(frames).logits
    assert logits.shape == (1, 5, 4, 70, 100)
    tdseg.save(model, tmp_path / "own.safetensors")
    loaded = tdseg.load(tmp_path / "own.safetensors", make_subnetwork=Pooled)
    torch.testing.assert_close(loaded.forward_clip(frames).logits, logits)
    with pytest.raises(ConfigError, match="make_subnetwork"):
        tdseg.load(tmp_path / "own.safetensors")
    with pytest.raises(ConfigError, match="make_subnetwork"):
        tdseg.load("lite0-camvid", make_subnetwork=Pooled)


def test_a_network_of_ones_own_that_trains() -> None:
    model = tdseg.distribute(Pooled, paths=2, num_classes=4).train()
    out = model.forward_clip(torch.randn(2, 2, 3, 64, 64), score="last")
    assert out.aux_logits is None
    assert out.sub_logits is not None
    torch.autograd.backward(out.logits.mean())


class WrongStride(Pooled):
    stride = 8


def test_wrong_declarations() -> None:
    with pytest.raises(ConfigError, match="WrongStride made z"):
        tdseg.distribute(WrongStride, num_classes=4).step(torch.randn(1, 3, 64, 64))
    with pytest.raises(ConfigError, match="channels and stride"):
        tdseg.distribute(lambda: nn.Conv2d(3, 8, 1), num_classes=4)  # type: ignore[arg-type,return-value]
