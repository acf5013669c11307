"""The consensus of our own models in the form that a host runs fastest, for any number of classes.

Its slots are tensors of their own, and as many as there are frames, so that keeping a frame copies nothing. Of many
classes a slot holds the likeliest: the others hardly ever win, and cost the most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.models.propagation.motion import MOTIONS, sampling_grid

MOST_FRAMES = 16
"""In a window, as in a ModelConfig."""
MOST_CLASSES = 24
"""Classes that a slot holds, unless it is said: pictures rarely show more."""

Memory = tuple[Tensor, ...]
"""The picture of the newest frame, the weights of the slots (B, n, u·h, u·w), then the n slots, the oldest first, and
where slots hold a part of the classes, the indices of those of each."""


class Ballot(NamedTuple):
    """A frame as the window takes it."""

    scores: Tensor
    """(B, C, u·h, u·w): class scores."""
    grey: Tensor
    """(B, 1, 4·h, 4·w): the picture that motion is found in, 0 … 255."""


def votes(indices: Tensor, values: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Class indices as scores: for each value the share of a cell's pixels that have it, float32 (B, C, *size), 0..1.

    Args:
        indices: (B, h, w); those that are none of the values vote for none.
        values: C of them.
        size: (height, width), cells.
    """
    planes = (F.interpolate((indices == value).float()[:, None], size, mode="area") for value in values)
    return torch.cat(list(planes), 1)


class Seen(NamedTuple):
    """Scores of the frames before one, carried to where it shows the same."""

    slots: list[Tensor]
    """Of each, scores times their weight, (B, C, u·h, u·w); see `ScoreWindow` for many classes."""
    weights: Tensor
    """(B, n, u·h, u·w)"""
    classes: list[Tensor]
    """Of each slot, where it holds a part of them, (K,)."""


class ScoreWindow:
    """The mean of the scores of the last m frames, those before the newest carried along the motion of the picture.

    See `ConsensusPropagation`, whose scores these are. With more than `most_classes`, a slot holds those that win most
    of its frame or come nearest to winning any of it, and one score for all others: the least of those, or the best of
    all where one of the others has it.

    Args:
        frames: m, in the window, 2 or more.
        scale: u.
        motion: of the picture, by its name in MOTIONS.
        device: where the scores are.
        most_classes: that a slot holds.
    """

    def __init__(
        self,
        frames: int,
        scale: int,
        motion: Literal["matching", "dis"],
        device: str,
        *,
        most_classes: int = MOST_CLASSES,
    ) -> None:
        if frames < 2:
            raise ConfigError(f"a window of {frames} frames", expected="2 or more", do="choose a larger one")
        self.frames, self.scale, self.most_classes = frames, scale, most_classes
        self.motion = MOTIONS[motion]().to(device)

    def advance(self, ballot: Ballot, memory: Memory) -> tuple[Tensor, Memory]:
        """The consensus, (B, C, u·h, u·w), and the memory after the frame; () before the first.

        Raises:
            ConfigError: the memory is of frames of another batch or size.
        """
        seen, memory = self.meet(ballot, memory)
        if not seen.slots:
            return ballot.scores, memory
        if seen.classes:
            return _merged_of_many(ballot.scores, seen), memory
        total, weight = added(ballot.scores, seen)
        return total.div_(weight), memory

    def meet(self, ballot: Ballot, memory: Memory) -> tuple[Seen, Memory]:
        """What the frames before say of a frame, and the memory after it. Arguments and errors: as of `advance`."""
        many = ballot.scores.shape[1] > self.most_classes
        newest, classes = _likeliest(ballot.scores, self.most_classes) if many else (ballot.scores, None)
        one = torch.ones_like(ballot.scores[:, :1])
        seen = self._carried(ballot, memory, many) if memory else Seen([], one[:, :0], [])
        kept = slice(max(0, len(seen.slots) + 2 - self.frames), None)
        weights = torch.cat([seen.weights[:, kept], one], 1)
        lists = [] if classes is None else [*seen.classes[kept], classes]
        return seen, (ballot.grey, weights, *seen.slots[kept], newest, *lists)

    def _carried(self, ballot: Ballot, memory: Memory, many: bool) -> Seen:
        grey, weights, *slots = memory
        if grey.shape != ballot.grey.shape or weights.shape[-2:] != ballot.scores.shape[-2:]:
            raise ConfigError(
                f"a memory of pictures {tuple(grey.shape)} and a frame of {tuple(ballot.grey.shape)}",
                expected="frames of one batch and size between two resets",
                do="reset the stream when the batch or the frame size changes",
            )
        count = weights.shape[1]
        displacement, validity = self.motion(ballot.grey, grey, self.scale)
        grid = sampling_grid(displacement)  # the same for all of them
        weights, *moved = (
            F.grid_sample(values, grid, align_corners=False).mul_(validity) for values in (weights, *slots[:count])
        )
        return Seen(moved, weights, slots[count:] if many else [])


def added(scores: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
    """s + Σ wᵢ sᵢ, (B, C, h, w), and 1 + Σ wᵢ, (B, 1, h, w), where slots hold all classes."""
    total = scores.clone() if not seen.slots else scores + seen.slots[0]
    for slot in seen.slots[1:]:
        total += slot
    return total, 1 + seen.weights.sum(1, keepdim=True)


def _merged_of_many(scores: Tensor, seen: Seen) -> Tensor:
    """The quotient of these where slots hold a part of the classes, and last one score for the others."""
    share = 1 / (1 + seen.weights.sum(1, keepdim=True))
    others = torch.cat([slot[:, -1:] for slot in seen.slots], 1).sum(1, keepdim=True)
    merged = torch.addcmul(share * others, scores, share)
    for slot, classes in zip(seen.slots, seen.classes, strict=True):
        merged.index_add_(1, classes, share * (slot[:, :-1] - slot[:, -1:]))
    return merged


def _likeliest(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """What a slot holds of many classes, (B, K + 1, h, w), and which these are, (K,), for the whole batch."""
    some = scores[:, :, ::4, ::4].contiguous()  # most things are larger
    behind = some.amax(1, keepdim=True) - some
    won, nearest = (behind == 0).sum((0, 2, 3)), behind.amin((0, 2, 3))  # (C,)
    classes = (won - nearest).topk(most).indices.sort().values
    held, best = scores.index_select(1, classes), scores.amax(1, keepdim=True)
    others = torch.where(held.amax(1, keepdim=True) < best, best, held.amin(1, keepdim=True))
    return torch.cat([held, others], 1), classes
