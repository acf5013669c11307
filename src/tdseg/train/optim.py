"""Optimizer, learning rate schedule, averaged weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from tdseg.models.norm import SpatialLayerNorm
from tdseg.models.tdnet import TDNet
from tdseg.train.recipe import Optimizer


def make_optimizer(model: nn.Module, config: Optimizer) -> torch.optim.Optimizer:
    """AdamW or SGD over what is trained: the pretrained backbone apart, no decay on norms and biases."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    seen: set[nn.Parameter] = set()
    for place, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                decays = parameter.ndim > 1 and not isinstance(module, SpatialLayerNorm)
                groups.setdefault((".backbone." in f"{place}.", decays), []).append(parameter)
    parts = [
        {
            "params": parameters,
            "peak_lr": (config.backbone_lr or config.lr) if backbone else config.lr,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (backbone, decays), parameters in groups.items()
    ]
    if config.kind == "sgd":
        return torch.optim.SGD(parts, lr=config.lr, momentum=config.momentum)
    return torch.optim.AdamW(parts, lr=config.lr)


def lr_factor(config: Optimizer, step: int, steps: int) -> float:
    """Share of the peak learning rate at `step`, 0 … steps-1: (1 - step / steps) ** power, times the warm-up.

    So the last step has (1 / steps) ** power. The warm-up rises to 1 over `warmup` steps: linear, by
    (step + 1) / (warmup + 1), or exponential, by (warmup_lr / lr) ** (1 - step / warmup), which starts from warmup_lr.
    """
    decay: float = (1 - step / steps) ** config.power
    if step >= config.warmup:
        return decay
    if config.warmup_lr is None:
        return decay * (step + 1) / (config.warmup + 1)
    rise: float = (config.warmup_lr / config.lr) ** (1 - step / config.warmup)
    return decay * rise


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
        mine, theirs = _tensors(self.model), _tensors(model)
        torch._foreach_lerp_(mine[True], theirs[True], 1 - keep)
        if mine[False]:
            torch._foreach_copy_(mine[False], theirs[False])


def _tensors(model: nn.Module) -> dict[bool, list[Tensor]]:
    """Weights and buffers of a model, floating ones apart from counts."""
    tensors: dict[bool, list[Tensor]] = {True: [], False: []}
    for tensor in (*model.parameters(), *model.buffers()):
        tensors[tensor.is_floating_point()].append(tensor)
    return tensors
