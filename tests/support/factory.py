from __future__ import annotations

from typing import Any

import torch

from tdseg.models.tdnet import TDNet
from tdseg.zoo import catalog

SIZES = ((64, 64), (101, 130), (96, 65))


def random_model(name: str, **overrides: Any) -> TDNet:
    """An untrained model whose batch norms are not the identity, so that nothing hides behind them."""
    torch.manual_seed(0)
    model = catalog.create_model(name, **overrides)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model
