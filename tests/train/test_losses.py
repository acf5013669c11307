from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tdseg.data.transforms import Batch
from tdseg.metrics.iou import VOID
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import ClipOutput
from tdseg.train.losses import Reduce, clip_losses, cross_entropy, hardest, lovasz
from tdseg.train.recipe import Losses

CLASSES, SIZE = 5, (16, 24)
WEIGHTS = torch.tensor([1.0, 0.5, 2.0, 1.5, 0.7])
EVERY = Losses(sub=0.5, aux=0.4, lovasz=0.0, agreement=0.3, ohem=0.7, ohem_least=1.0)
"""All terms that add up over processes; so OHEM keeps every pixel."""


def golden() -> tuple[Tensor, Tensor, Tensor]:
    """Two predictions (2, 19, 48, 64) and labels, a tenth of them ignored: what the released loss was given."""
    rng = np.random.default_rng(1)
    s, t = (torch.from_numpy(rng.normal(0, 2, (2, 19, 48, 64)).astype(np.float32)) for _ in "st")
    labels = rng.integers(0, 19, (2, 48, 64))
    labels[rng.uniform(size=labels.shape) < 0.1] = VOID
    return s, t, torch.from_numpy(labels)


def test_ohem_is_the_released_one() -> None:
    """Outputs of the official OhemCELoss2D(n_min=384, thresh=0.7): of a poor and of a good prediction."""
    s, _, labels = golden()
    right = F.one_hot(labels.where(labels != VOID, 0), 19).movedim(-1, 1) * (labels != VOID)[:, None]
    for logits, expected in ((s, 4.60100746), (s + 9 * right, 0.64242595)):
        found = cross_entropy(logits[:, None], labels[:, None], torch.ones(19), ohem=0.7, least=1 / 16)
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_ohem_keeps_the_hardest_and_never_what_is_ignored() -> None:
    losses = torch.tensor([[[9.0, 0.1, 0.3], [0.0, 0.2, 0.2]]])
    labelled = torch.tensor([[[False, True, True], [True, True, True]]])
    assert hardest(losses, labelled, 0.7, 1 / 6).sum() == 1
    assert hardest(losses, labelled, 0.7, 3 / 6).sum() == 3  # of equals, as many as are asked for
    assert hardest(losses, labelled, 0.7, 1.0).equal(labelled)
    assert hardest(losses, labelled, 0.85, 1 / 6).sum() == 3
    assert not hardest(losses, labelled & False, 0.7, 1.0).any()


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.04])
def test_ohem_keeps_a_share_of_sparse_labels_too(share: float) -> None:
    """Of easy pixels, the hardest 1/16 of the frame; or 1/8 of the labelled ones, if these are less than half of it."""
    losses = torch.rand(2, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.3
    labelled = torch.zeros(2, 2000, dtype=torch.bool)
    labelled[0, : int(share * 2000)] = True  # and nothing of the other frame
    labelled = labelled.view_as(losses)
    kept = hardest(losses, labelled, 0.7, 1 / 16)
    assert kept.sum() == int(min(2 * share, 1) * 2000 / 16)
    assert labelled[kept].all()
    assert losses[kept].min() >= losses[labelled & ~kept].max()
    assert hardest(losses, labelled, 0.7, 1.0).equal(labelled)


def test_weighted_cross_entropy_is_that_of_torch() -> None:
    s, _, labels = golden()
    weights = torch.rand(19) + 0.1
    expected = F.cross_entropy(s, labels, weights, ignore_index=VOID)
    torch.testing.assert_close(cross_entropy(s[:, None], labels[:, None], weights), expected)


def test_lovasz_of_a_hard_prediction_is_one_minus_its_iou() -> None:
    """Where all probabilities are 0 or 1, the surrogate equals what it stands for (Berman et al., section 3)."""
    rng = np.random.default_rng(0)
    truth, guess = (torch.from_numpy(rng.integers(0, 3, (1, 1, 32, 32))) for _ in range(2))
    truth[..., :5] = VOID
    logits = F.one_hot(guess, CLASSES).movedim(-1, 2) * 200.0
    known = truth != VOID
    present = [known & (truth == c) for c in range(3)]
    found = [known & (guess == c) for c in range(3)]
    iou = torch.stack([(a & b).sum() / (a | b).sum() for a, b in zip(present, found, strict=True)]).mean()
    torch.testing.assert_close(lovasz(logits, truth, stride=1), 1 - iou)


def clips(labels: Tensor, *, scored: int | None = None, rigid: bool = True) -> tuple[ClipOutput, Batch]:
    """Clips with random logits that need gradients, as a temporal model with an auxiliary head gives them."""
    generator = torch.Generator().manual_seed(0)
    count, length = labels.shape[:2]
    scored = scored or length

    def draw(scale: int) -> Tensor:
        shape = (count, length, CLASSES, SIZE[0] // scale, SIZE[1] // scale)
        return torch.randn(shape, generator=generator)[:, -scored:].clone().requires_grad_()

    output = ClipOutput(draw(1), TDNetState(0, (torch.zeros(count, 1, 1),)), draw(4), draw(4), draw(8))
    motion = 0.05 * torch.randn(count, length, 3, 3, generator=generator)
    motion[..., 2, :] = 0
    frames = torch.zeros(count, length, 3, *SIZE)
    return output, Batch(frames, labels, torch.eye(3) + motion, torch.full((count,), rigid))


def random_labels(*shape: int) -> Tensor:
    return torch.randint(0, CLASSES, (*shape, *SIZE), generator=torch.Generator().manual_seed(1))


def gradients(output: ClipOutput, terms: dict[str, Tensor]) -> list[Tensor]:
    inputs = [x for x in (output.logits, output.sub_logits, output.aux_logits) if x is not None]
    return list(torch.autograd.grad(torch.stack(list(terms.values())).sum(), inputs))


@pytest.mark.parametrize("rigid", [True, False])
@pytest.mark.parametrize("ohem", [None, 0.7])
def test_without_labels_every_term_is_zero_and_so_is_its_gradient(ohem: float | None, rigid: bool) -> None:
    agreement = 0.0 if rigid else 1.0  # which needs no labels, but stills
    config = Losses(sub=0.5, aux=0.4, lovasz=1.0, agreement=agreement, ohem=ohem)
    output, batch = clips(torch.full((2, 3, *SIZE), VOID), rigid=rigid)
    terms = clip_losses(output, batch, WEIGHTS, config)
    assert terms.keys() >= {"full", "sub", "aux", "lovasz"}
    assert all(term.item() == 0 for term in terms.values())
    assert all(x.eq(0).all() for x in gradients(output, terms))


def part_of(output: ClipOutput, take: Callable[[Tensor], Tensor]) -> ClipOutput:
    parts: dict[str, Any] = {name: take(x) for name, x in output._asdict().items() if isinstance(x, Tensor)}
    return output._replace(**parts)


def test_frames_without_labels_do_not_disturb() -> None:
    """The labelled clip alone, and beside a clip of unlabelled video; its other frames are unlabelled, too."""
    labels = random_labels(2, 3)
    labels[1] = labels[0, :2] = VOID
    config = Losses(sub=0.5, aux=0.4, lovasz=1.0, ohem=0.9, ohem_least=0.5)
    output, batch = clips(labels)
    expected = clip_losses(part_of(output, lambda x: x[:1, 2:]), Batch(*(x[:1] for x in batch)), WEIGHTS, config)
    torch.testing.assert_close(clip_losses(output, batch, WEIGHTS, config), expected)


def test_only_the_scored_frames_count() -> None:
    labels = random_labels(2, 4)
    output, batch = clips(labels, scored=1)
    last = Batch(*(x[:, -1:] if x.ndim > 1 else x for x in batch))
    torch.testing.assert_close(
        clip_losses(output, batch, WEIGHTS, EVERY), clip_losses(output, last, WEIGHTS, EVERY), rtol=0, atol=0
    )


def test_the_sub_feature_counts_where_there_is_a_memory() -> None:
    output, batch = clips(random_labels(2, 1), scored=1)
    assert "sub" in clip_losses(output, batch, WEIGHTS, EVERY)
    assert "sub" not in clip_losses(output._replace(sub_logits=None), batch, WEIGHTS, EVERY)


def in_processes(run: Callable[[int, Reduce], Any], count: int) -> list[Any]:
    """Processes one after the other: first all of them say what they would reduce, then each is told the mean."""
    said: list[list[Tensor]] = [[] for _ in range(count)]

    def listen(rank: int, x: Tensor) -> Tensor:
        said[rank].append(x)
        return x

    def tell(answers: Iterator[Tensor], x: Tensor) -> Tensor:
        return next(answers)

    for rank in range(count):
        run(rank, partial(listen, rank))
    assert len({len(calls) for calls in said}) == 1, "a process that reduces less often would hang the others"
    assert not any(x.requires_grad for calls in said for x in calls)
    means = [torch.stack([x.float() for x in calls]).mean(0) for calls in zip(*said, strict=True)]
    return [run(rank, partial(tell, iter(means))) for rank in range(count)]


def test_processes_share_a_batch() -> None:
    """Two processes with unequal labels, one without still images: their mean is one process with both clips."""
    labels = random_labels(2, 3)
    labels[0, :, :, 5:] = VOID
    output, batch = clips(labels)
    batch = batch._replace(rigid=torch.tensor([True, False]))
    whole = clip_losses(output, batch, WEIGHTS, EVERY)
    expected = gradients(output, whole)

    def run(rank: int, reduce: Reduce) -> dict[str, Tensor]:
        def mine(x: Tensor) -> Tensor:
            return x[rank : rank + 1]

        return clip_losses(part_of(output, mine), Batch(*map(mine, batch)), WEIGHTS, EVERY, reduce)

    first, second = in_processes(run, 2)
    mean = {name: (first[name] + second[name]) / 2 for name in first}
    torch.testing.assert_close(mean, whole)
    for found, right in zip(gradients(output, mean), expected, strict=True):
        torch.testing.assert_close(found, right)
