"""Loss terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from tdseg.data.transforms import Batch, warp
from tdseg.metrics.iou import VOID
from tdseg.models.layers import resize
from tdseg.models.tdnet import ClipOutput
from tdseg.train.recipe import Losses

Reduce = Callable[[Tensor], Tensor]
"""The mean of values over the processes of a run. All of them call it equally often, whatever their data."""


def alone(x: Tensor) -> Tensor:
    """The mean over one process."""
    return x


TERMS = ("full", "sub", "aux", "lovasz", "agreement")
"""Names that terms may have."""


def part_weights(
    parts: Sequence[Batch], scored: int, class_weights: Tensor, config: Losses, mean_over_ranks: Reduce = alone
) -> list[dict[str, Tensor]]:
    """What the terms of each part of a batch weigh, so that their mean over the parts is that of the whole batch.

    Each is a mean over what counts in its part, and weighs as much as there is of it: labels, by the weights of their
    classes; for agreement, pixels that stay in sight. It is known without a prediction, and the mean weight is 1. With
    OHEM, each part weighs by its labels, not by those of them that it keeps.

    Args:
        parts: of the batch, in this process.
        scored: frames of each clip, the last, that the loss counts.
        class_weights: (C,).
        mean_over_ranks: see `clip_losses`.
    """
    if len(parts) == 1:
        return [dict.fromkeys(TERMS, torch.ones((), device=class_weights.device))]
    amounts = []
    for part in parts:
        labels, views = part.labels[:, -scored:], part.views[:, -scored:]
        amount = [_weights(labels, labels != VOID, class_weights).sum()]
        if config.agreement:
            still = torch.zeros(1, device=views.device).expand(int(part.rigid.sum()), scored, 1, *labels.shape[-2:])
            amount.append(_along_motion(still, views[part.rigid])[2].sum().float())
        amounts.append(torch.stack(amount))
    total = mean_over_ranks(torch.stack(amounts))  # (parts, 1 or 2)
    shares = total / _divisor(total.mean(0))
    return [dict.fromkeys(TERMS, share[0]) | {"agreement": share[-1]} for share in shares]


def clip_losses(
    output: ClipOutput, batch: Batch, class_weights: Tensor, config: Losses, mean_over_ranks: Reduce = alone
) -> dict[str, Tensor]:
    """Weighted loss terms of a batch of clips; their sum is what training minimises.

    Where nothing is labelled, a term is zero, and so is its gradient. The mean over processes of a term is what one
    process with all their clips has; only what OHEM keeps at least, and Lovász-softmax, are decided in each process.
    The same goes for the parts of a batch, see `part_weights`.

    Args:
        output: of `TDNet.forward_clip`, in training.
        batch: the clips, labels included; those of the frames that were scored, the last, are used.
        class_weights: (C,).
        mean_over_ranks: of a value without gradient; for training in several processes.
    """
    scored = output.logits.shape[1]
    labels, views = batch.labels[:, -scored:], batch.views[:, -scored:]
    entropy = partial(cross_entropy, labels=labels, class_weights=class_weights, mean_over_ranks=mean_over_ranks)
    entropy = partial(entropy, ohem=config.ohem, least=config.ohem_least)
    terms = {"full": entropy(output.logits)}
    if config.sub and output.sub_logits is not None:
        terms["sub"] = config.sub * entropy(output.sub_logits)
    if config.aux and output.aux_logits is not None:
        terms["aux"] = config.aux * entropy(output.aux_logits)
    if config.lovasz:
        terms["lovasz"] = config.lovasz * lovasz(output.logits, labels)
    if config.agreement:
        rigid = batch.rigid
        terms["agreement"] = config.agreement * disagreement(output.logits[rigid], views[rigid], mean_over_ranks)
    return terms


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    class_weights: Tensor,
    *,
    ohem: float | None = None,
    least: float = 1 / 16,
    mean_over_ranks: Reduce = alone,
) -> Tensor:
    """Cross entropy of logits (B, S, C, h, w), resized to the labels (B, S, H, W): the weighted mean over pixels.

    Args:
        logits: at any resolution.
        labels: int64; VOID is not counted.
        class_weights: (C,).
        ohem, least: see `hardest`; None counts all pixels.
        mean_over_ranks: see `clip_losses`.
    """
    labels = labels.flatten(0, 1)
    full = resize(logits.flatten(0, 1).float(), (labels.shape[-2], labels.shape[-1]))
    losses = F.cross_entropy(full, labels, ignore_index=VOID, reduction="none")  # (B·S, H, W)
    counted = labels != VOID
    if ohem is not None:
        counted = hardest(losses.detach(), counted, ohem, least)
    weights = _weights(labels, counted, class_weights)
    return (weights * losses).sum() / _divisor(mean_over_ranks(weights.sum()))


def hardest(losses: Tensor, labelled: Tensor, probability: float, least: float) -> Tensor:
    """Online hard example mining: which pixels count, (N, H, W) bool.

    Those whose loss exceeds -log(probability); if they are fewer, the `least` of all pixels with the largest losses.
    "All" are the pixels, labelled or not, of the frames in this process, but of each frame no more than twice those
    with labels: else the few labels of sparse ones would all be kept, easy or not. Ignored pixels never count. Where
    half of each frame or more is labelled, as released with TDNet: probability is 0.7 there, and least 1/16.

    Args:
        losses: (N, H, W), unweighted.
        labelled: (N, H, W) bool.
    """
    hard = labelled & (losses > -math.log(probability))
    known = labelled.flatten(1).sum(1)  # (N,)
    pixels = int((2 * known).clamp(max=labelled[0].numel()).sum())
    count = min(int(least * pixels), int(known.sum()))
    if int(hard.sum()) >= count:
        return hard
    kept = torch.zeros_like(hard).flatten()
    kept[losses.where(labelled, -1).flatten().topk(count).indices] = True
    return kept.view_as(hard)


def lovasz(logits: Tensor, labels: Tensor, stride: int = 4) -> Tensor:
    """Lovász-softmax loss, a surrogate of 1 - IoU averaged over the classes present in the batch of this process.

    Berman, Rannen Triki & Blaschko, "The Lovász-Softmax loss", CVPR 2018.

    Args:
        logits: (B, S, C, H, W).
        labels: (B, S, H, W) int64.
        stride: every stride-th pixel in both directions is counted: the loss sorts them.
    """
    kept = slice(stride // 2, None, stride)
    scores, target = logits[..., kept, kept], labels[..., kept, kept].flatten()
    # Classes first: sorting and adding up along a contiguous axis is what a GPU does well.
    probabilities = scores.movedim(2, 0).flatten(1).float().softmax(0)  # (C, N)
    truth = (target == torch.arange(len(probabilities), device=target.device)[:, None]).to(probabilities.dtype)
    errors, order = (truth - probabilities).abs().where(target != VOID, -1).sort(1, descending=True)  # void comes last
    hits = truth.gather(1, order)
    total = hits.sum(1, keepdim=True)
    union = total + (1 - hits).cumsum(1)
    jaccard = 1 - (total - hits.cumsum(1)) / union
    steps = jaccard.diff(dim=1, prepend=torch.zeros_like(total))
    present = total[:, 0] > 0
    return ((errors.clamp(min=0) * steps).sum(1) * present).sum() / _divisor(present.sum())


def disagreement(logits: Tensor, views: Tensor, mean_over_ranks: Reduce = alone) -> Tensor:
    """Mean squared difference of class probabilities between successive frames, along their known motion.

    Args:
        logits: (B, S, C, H, W) of clips made from stills.
        views: (B, S, 3, 3), as in Batch.views.
        mean_over_ranks: see `clip_losses`.
    """
    later, warped, seen = _along_motion(logits.float().softmax(2), views)
    return ((warped - later).square().sum(1) * seen).sum() / _divisor(mean_over_ranks(seen.sum()))


def class_weights(shares: Tensor, balance: float | None) -> Tensor:
    """1 / ln(c + share), scaled to mean one (Paszke et al., ENet, 2016; c = 1.10 as in ERFNet)."""
    if balance is None:
        return torch.ones_like(shares)
    weights = 1 / torch.log(balance + shares)
    return weights / weights.mean()


def _weights(labels: Tensor, counted: Tensor, class_weights: Tensor) -> Tensor:
    """The weight of each pixel's class, 0 where it does not count."""
    return class_weights[labels.where(counted, 0)] * counted


def _along_motion(maps: Tensor, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of maps (B, S, C, H, W), those of all frames but the first, (B·(S-1), C, H, W), and their predecessors warped."""
    earlier, later = maps[:, :-1].flatten(0, 1), maps[:, 1:].flatten(0, 1)
    return later, *warp(earlier, views[:, :-1].flatten(0, 1), views[:, 1:].flatten(0, 1))


def _divisor(total: Tensor) -> Tensor:
    """A sum of weights to divide by; 1 where it is zero, and so is what it divides."""
    return total.where(total > 0, 1)
