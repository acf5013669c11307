"""Loss terms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tdseg.data.clip import IGNORE
from tdseg.data.transforms import Batch, warp
from tdseg.models.layers import resize
from tdseg.models.tdnet import ClipOutput
from tdseg.train.recipe import Losses


def clip_losses(output: ClipOutput, batch: Batch, class_weights: Tensor, config: Losses) -> dict[str, Tensor]:
    """Weighted loss terms of a batch of clips; their sum is what training minimises.

    Args:
        output: of `TDNet.forward_clip` with score="all", in training.
        batch: the clips, labels included.
        class_weights: (C,).
    """
    terms = {"full": cross_entropy(output.logits, batch.labels, class_weights)}
    if output.sub_logits is not None and output.logits.shape[1] > 1 and config.sub:
        terms["sub"] = config.sub * cross_entropy(output.sub_logits, batch.labels, class_weights)
    if output.aux_logits is not None and config.aux:
        terms["aux"] = config.aux * cross_entropy(output.aux_logits, batch.labels, class_weights)
    if config.lovasz:
        terms["lovasz"] = config.lovasz * lovasz(output.logits, batch.labels)
    if config.agreement and bool(batch.rigid.any()):
        terms["agreement"] = config.agreement * disagreement(output.logits[batch.rigid], batch.views[batch.rigid])
    return terms


def cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    """Weighted cross entropy of logits (B, T, C, h, w), resized to the labels (B, T, H, W), without IGNORE."""
    labels = labels.flatten(0, 1)
    full = resize(logits.flatten(0, 1), (labels.shape[-2], labels.shape[-1]))
    return F.cross_entropy(full, labels, class_weights, ignore_index=IGNORE)


def lovasz(logits: Tensor, labels: Tensor, stride: int = 4) -> Tensor:
    """Lovász-softmax loss, a surrogate of 1 - IoU averaged over the classes present in the batch.

    Berman, Rannen Triki & Blaschko, "The Lovász-Softmax loss", CVPR 2018.

    Args:
        logits: (B, T, C, H, W).
        labels: (B, T, H, W) int64.
        stride: every stride-th pixel in both directions is counted: the loss sorts them.
    """
    logits, labels = (
        logits[..., stride // 2 :: stride, stride // 2 :: stride],
        labels[:, :, stride // 2 :: stride, stride // 2 :: stride],
    )
    labelled = labels != IGNORE
    probabilities = logits.movedim(2, -1)[labelled].softmax(-1)  # (N, C)
    truth = F.one_hot(labels[labelled], probabilities.shape[-1]).to(probabilities.dtype)
    errors, order = (truth - probabilities).abs().sort(0, descending=True)
    hits = truth.gather(0, order)
    total = hits.sum(0)
    union = total + (1 - hits).cumsum(0)
    jaccard = 1 - (total - hits.cumsum(0)) / union
    steps = torch.cat([jaccard[:1], jaccard.diff(dim=0)])
    return ((errors * steps).sum(0) * (total > 0)).sum() / (total > 0).sum().clamp(min=1)


def disagreement(logits: Tensor, views: Tensor) -> Tensor:
    """Mean squared difference of class probabilities between successive frames, along their known motion.

    Args:
        logits: (B, T, C, H, W) of clips made from stills.
        views: (B, T, 3, 3), as in Batch.views.
    """
    probabilities = logits.softmax(2)
    earlier, later = probabilities[:, :-1].flatten(0, 1), probabilities[:, 1:].flatten(0, 1)
    warped, seen = warp(earlier, views[:, :-1].flatten(0, 1), views[:, 1:].flatten(0, 1))
    return ((warped - later).square().sum(1) * seen).sum() / seen.sum().clamp(min=1)


def class_weights(shares: Tensor, balance: float | None) -> Tensor:
    """1 / ln(c + share), scaled to mean one (Paszke et al., ENet, 2016; c = 1.10 as in ERFNet)."""
    if balance is None:
        return torch.ones_like(shares)
    weights = 1 / torch.log(balance + shares)
    return weights / weights.mean()
