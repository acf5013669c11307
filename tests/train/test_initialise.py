from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import tdseg
from support.fabricate import paths_of
from tdseg.errors import ConfigError, WeightsError
from tdseg.models.subnets.pspnet import PSPSubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.street import render_street
from tdseg.train.init import initialise
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save


def start(model: TDNet, source: str | Path) -> list[str]:
    warnings: list[str] = []
    initialise(model, str(source), warnings.append)
    return warnings


def write(model: TDNet, path: Path) -> Path:
    save(model, path)
    return path


def test_none_changes_nothing() -> None:
    model = create_model("lite0", head_channels=16)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert start(model, "none") == []
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_fine_tuning_takes_all_but_a_new_last_layer(tmp_path: Path) -> None:
    path = write(create_model("td2-lite0", head_channels=16, num_classes=11), tmp_path / "old.safetensors")
    same, fewer = (create_model("td2-lite0", head_channels=16, num_classes=n) for n in (11, 5))
    old = tdseg.load(path).state_dict()
    assert start(same, path) == []
    assert all(torch.equal(value, old[key]) for key, value in same.state_dict().items())
    assert "the last layer starts anew" in start(fewer, path)[0]
    different = {key for key, value in fewer.state_dict().items() if not torch.equal(value, old[key])}
    assert different == {key for key in old if ".head.classify." in key}


@torch.inference_mode()
def test_a_group_starts_as_its_part_of_the_per_frame_model(tmp_path: Path) -> None:
    """Its sub-feature is that part of the channels of the whole model's."""
    whole = create_model("psp18", num_classes=3)
    model = create_model("td4-psp18", num_classes=3)
    assert start(model, write(whole, tmp_path / "psp18.safetensors")) == []
    x = torch.randn(1, 3, 64, 96)
    z = paths_of(whole)[0].subnet(x).z
    sections = z.split([512, *[128] * 4], 1)
    for path in paths_of(model):
        assert isinstance(path.subnet, PSPSubNetwork)
        half = path.subnet.first // 256
        expected = torch.cat([section.chunk(2, 1)[half] for section in sections], 1)
        torch.testing.assert_close(path.subnet(x).z, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_merge_starts_with_what_the_head_knows(tmp_path: Path) -> None:
    """On a still picture a new TDNet answers about as its per-frame model does."""
    whole = tdseg.load("lite0-camvid")
    model = create_model("td4-lite0", classes=whole.config.classes)
    assert start(model, "lite0-camvid") == []
    x = torch.rand(1, 1, 3, 96, 128).expand(-1, 5, -1, -1, -1) * 2 - 1
    same = model.forward_clip(x).logits[:, -1].argmax(1) == whole.step(x[:, 0])[0].argmax(1)
    assert same.float().mean() > 0.8


@torch.inference_mode()
def test_positions_look_for_their_like_from_the_start(tmp_path: Path) -> None:
    """On a still many positions of a path find themselves in what another path remembers: by chance one of 192."""
    torch.manual_seed(0)
    path = write(create_model("lite0s", num_classes=11), tmp_path / "per-frame.safetensors")
    model = create_model("td2-lite0s", num_classes=11, propagation="attention", weight_sets=None, memory_stride=1)
    start(model.train(), path)  # new norms are live
    (frame,) = render_street(3, num_frames=1, size=(96, 128))
    x = model.normalize(torch.from_numpy(frame.image).permute(2, 0, 1)[None])
    (before, _), (now, _) = (model.encode(x, path) for path in range(2))
    found = (now.query.flatten(2).transpose(1, 2) @ before.key.transpose(1, 2)).argmax(-1)[0]  # type: ignore[attr-defined]
    assert (found == torch.arange(len(found))).float().mean() > 0.1


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    wide = write(create_model("lite0", head_channels=32), tmp_path / "wide.safetensors")
    model = create_model("lite0", head_channels=16)
    with pytest.raises(ConfigError, match=r"head.*\(32, .*instead of \(16, "):
        start(model, wide)
    with pytest.raises(ConfigError, match="per-frame model of psp18"):
        start(create_model("psp18"), wide)
    with pytest.raises(ConfigError, match="imagenet for lite0"):
        start(create_model("bise18"), "imagenet")
    with pytest.raises(ConfigError, match="unknown model"):
        start(model, "lite1-camvid")


class Block(nn.Module):
    """The basic block of torchvision's ResNet, by its names."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        y: torch.Tensor = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (shortcut + y).relu()


class ResNet18(nn.Module):
    """torchvision's ResNet-18, by its names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        for i in range(1, 5):
            first = Block(widths[i - 1], widths[i], 1 if i == 1 else 2)
            setattr(self, f"layer{i}", nn.Sequential(first, Block(widths[i], widths[i], 1)))
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        features = []
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
            features.append(x)
        return features


@torch.inference_mode()
def test_a_resnet_of_torchvision(tmp_path: Path) -> None:
    reference = ResNet18().eval()
    for norm in (module for module in reference.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        assert norm.running_mean is not None
        norm.running_mean.normal_(0, 0.1)
    path = tmp_path / "resnet18.pth"
    torch.save(reference.state_dict(), path)
    model = create_model("td2-bise18")
    start(model, path)
    x = torch.randn(1, 3, 64, 96)
    for ours in paths_of(model):
        for mine, theirs in zip(ours.subnet.get_submodule("backbone")(x), reference(x), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    with pytest.raises(WeightsError, match=r"layer1\.2\.bn1\.bias missing"):
        start(create_model("bise34"), path)
    with pytest.raises(ConfigError, match="Lite"):
        start(create_model("lite0"), path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="no state dict of tensors"):
        start(model, path)
    with pytest.raises(WeightsError, match="No such file"):
        start(model, tmp_path / "missing.pth")
