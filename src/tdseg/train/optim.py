"""Optimizer, learning rate schedule, averaged weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tdseg.models.norm import SpatialLayerNorm
from tdseg.models.tdnet import TDNet
from tdseg.train.recipe import Optimizer

_MANY = 10_000
"""Batches after which nothing is left of a start."""


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
    """Share of the peak learning rate at `step`, 0 … steps-1: a warm-up to 1, then polynomial decay to zero.

    The warm-up takes `warmup` steps: linear, (step + 1) / (warmup + 1), or exponential, from warmup_lr on,
    (warmup_lr / lr) ** (1 - step / warmup). The decay takes the others, and begins at the peak:
    (1 - (step - warmup) / (steps - warmup)) ** power. As released with TDNet, where the warm-up is exponential.
    """
    if step >= config.warmup:
        decay: float = (1 - (step - config.warmup) / (steps - config.warmup)) ** config.power
        return decay
    if config.warmup_lr is None:
        return (step + 1) / (config.warmup + 1)
    rise: float = (config.warmup_lr / config.lr) ** (1 - step / config.warmup)
    return rise


def settle_statistics(model: nn.Module) -> None:
    """Let batch norm's statistics that a model starts with, new ones apart, stand for any number of batches.

    Files of weights often say that there were none, and then `Average` would take them for new.
    """
    for norm in _batch_norms(model):
        if norm.running_mean.any() or norm.running_var.ne(1).any():
            norm.num_batches_tracked.clamp_(min=_MANY)


class Average:
    """Moving average of a model's weights and statistics over its updates; how it started has no share in it.

    The n-th update keeps min(decay, (n - 1) / (n + 8)): until the decay sets the pace, the mean age of what is averaged
    is a tenth of the run so far. Running statistics of batch norm enter without the 0 and 1 that they started from.
    """

    def __init__(self, model: TDNet, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards `model`."""
        self.updates += 1
        keep = min(self.decay, (self.updates - 1) / (self.updates + 8))
        mine, theirs, unbiased = _tensors(self.model), _tensors(model), _unbiased_statistics(model)
        torch._foreach_lerp_(mine[True], [unbiased.get(tensor, tensor) for tensor in theirs[True]], 1 - keep)
        if mine[False]:
            torch._foreach_copy_(mine[False], theirs[False])


def _tensors(model: nn.Module) -> dict[bool, list[Tensor]]:
    """Weights and buffers of a model, floating ones apart from counts."""
    tensors: dict[bool, list[Tensor]] = {True: [], False: []}
    for tensor in (*model.parameters(), *model.buffers()):
        tensors[tensor.is_floating_point()].append(tensor)
    return tensors


def _unbiased_statistics(model: nn.Module) -> dict[Tensor, Tensor]:
    """Running means and variances -> the same without their start, whose share is (1 - momentum)^n after n batches."""
    norms = [norm for norm in _batch_norms(model) if norm.momentum]
    counts = [norm.num_batches_tracked.clamp(min=1).float() for norm in norms]
    left = [math.log1p(-norm.momentum) if norm.momentum < 1 else -math.inf for norm in norms]
    shares = torch._foreach_neg(torch._foreach_expm1(torch._foreach_mul(counts, left)))
    unbiased = {}
    for norm, share in zip(norms, shares, strict=True):
        unbiased[norm.running_mean] = norm.running_mean / share
        unbiased[norm.running_var] = (1 + (norm.running_var - 1) / share).clamp(min=0)  # of hardly any, by rounding
    return unbiased


def _batch_norms(model: nn.Module) -> list[Any]:
    """The batch norms that keep statistics."""
    norms = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in norms if norm.track_running_stats]
