"""Optimizer, learning rate schedule, averaged weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

from tdseg.models.tdnet import TDNet
from tdseg.train.recipe import Optimizer


def make_optimizer(model: nn.Module, config: Optimizer) -> torch.optim.AdamW:
    """AdamW with the pretrained backbone apart, and no decay on norms and biases."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((".backbone." in name, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak_lr": (config.backbone_lr or config.lr) if backbone else config.lr,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (backbone, decays), parameters in groups.items()
        ],
        lr=config.lr,
    )


def set_lr(optimizer: torch.optim.Optimizer, config: Optimizer, step: int, steps: int) -> None:
    """Linear warm-up, then polynomial decay that would reach zero at step `steps`."""
    factor = (1 - step / steps) ** config.power * min(1.0, (step + 1) / (config.warmup + 1))
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


class Average:
    """Exponential moving average of a model's weights and statistics.

    Args:
        decay: share kept at each update; early updates keep less, so that the start is forgotten.
    """

    def __init__(self, model: TDNet, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards `model`."""
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        theirs_by_name = model.state_dict()
        for name, mine in self.model.state_dict().items():
            theirs = theirs_by_name[name]
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)
