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
MOST_CLASSES = 32
"""Classes that a slot holds, unless it is said: pictures rarely show more."""

Memory = tuple[Tensor, ...]


class Ballot(NamedTuple):
    """A frame as the window takes it."""

    scores: Tensor
    """(B, C, u·h, u·w): class scores."""
    grey: Tensor
    """(B, 1, 4·h, 4·w): the picture that motion is found in, 0 … 255."""


class ScoreWindow:
    """The mean of the scores of the last m frames, those before the newest carried along the motion of the picture.

    See `ConsensusPropagation`, whose scores these are. The memory is the picture of the newest frame, then the slots of
    the frames there are, the oldest first: scores times their weight, and the weight. With more than `most_classes`, a
    slot holds those that win most of its frame or come nearest to winning any of it, and before the weight one score
    for all others: the least of those, or the best of all where one of the others has it; the memory then has the
    indices of the classes of each slot at its end.

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
        self.frames, self.scale, self.most_classes = frames, scale, most_classes
        self.motion = MOTIONS[motion]().to(device)

    def advance(self, ballot: Ballot, memory: Memory) -> tuple[Tensor, Memory]:
        """The consensus, (B, C, u·h, u·w), and the memory after the frame; () before the first.

        Raises:
            ConfigError: the memory is of frames of another batch or size.
        """
        slots, lists, memory = self.meet(ballot, memory)
        if len(slots) == 1:
            return ballot.scores, memory
        if lists:
            return _merged_of_many(ballot.scores, slots[:-1], lists[:-1]), memory
        return merged(added(slots)), memory

    def meet(self, ballot: Ballot, memory: Memory) -> tuple[list[Tensor], list[Tensor], Memory]:
        """The slots of the window, that of the frame itself the last, the classes of each, and the memory after it.

        Arguments and errors: as of `advance`. Where slots hold all classes, there are no lists of them.
        """
        many = ballot.scores.shape[1] > self.most_classes
        slots, lists = list[Tensor](), list[Tensor]()
        if memory:
            self._check(ballot, memory)
            count = (len(memory) - 1) // (2 if many else 1)
            displacement, validity = self.motion(ballot.grey, memory[0], self.scale)
            grid = sampling_grid(displacement)  # the same for all of them
            slots = [F.grid_sample(slot, grid, align_corners=False).mul_(validity) for slot in memory[1 : count + 1]]
            lists = list(memory[count + 1 :])
        if many:
            newest, classes = _slot_of_many(ballot.scores, self.most_classes)
            slots, lists = [*slots, newest], [*lists, classes]
        else:
            slots.append(torch.cat([ballot.scores, torch.ones_like(ballot.scores[:, :1])], 1))
        kept = slice(max(0, len(slots) - self.frames + 1), None)
        return slots, lists, (ballot.grey, *slots[kept], *lists[kept])

    def _check(self, ballot: Ballot, memory: Memory) -> None:
        if memory[0].shape != ballot.grey.shape or memory[1].shape[-2:] != ballot.scores.shape[-2:]:
            raise ConfigError(
                f"a memory of pictures {tuple(memory[0].shape)} and a frame of {tuple(ballot.grey.shape)}",
                expected="frames of one batch and size between two resets",
                do="reset the stream when the batch or the frame size changes",
            )


def _slot_of_many(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """A frame's slot, (B, K + 2, h, w), and its classes, (K,), the same for the whole batch."""
    some = scores[:, :, ::4, ::4].contiguous()  # most things are larger
    behind = some.amax(1, keepdim=True) - some
    won, nearest = (behind == 0).sum((0, 2, 3)), behind.amin((0, 2, 3))  # (C,)
    classes = (won - nearest).topk(most).indices.sort().values
    held, best = scores.index_select(1, classes), scores.amax(1, keepdim=True)
    others = torch.where(held.amax(1, keepdim=True) < best, best, held.amin(1, keepdim=True))
    return torch.cat([held, others, torch.ones_like(others)], 1), classes


def added(slots: Sequence[Tensor]) -> Tensor:
    """The sum of slots: Σ wᵢ sᵢ and Σ wᵢ, (B, C + 1, h, w), where they hold all classes."""
    total = slots[0].clone() if len(slots) == 1 else slots[0] + slots[1]
    for slot in slots[2:]:
        total += slot
    return total


def merged(total: Tensor) -> Tensor:
    """Σ wᵢ sᵢ / Σ wᵢ, (B, C, h, w), in the place of what `added` gave."""
    return total[:, :-1].div_(total[:, -1:])


def _merged_of_many(scores: Tensor, slots: list[Tensor], lists: list[Tensor]) -> Tensor:
    """The same of a frame's own scores and slots that hold a part of the classes each, and one score for the others."""
    last = added([slot[:, -2:] for slot in slots])
    share = 1 / (1 + last[:, 1:])
    scored = torch.addcmul(share * last[:, :1], scores, share)
    for slot, classes in zip(slots, lists, strict=True):
        scored.index_add_(1, classes, share * (slot[:, :-2] - slot[:, -2:-1]))
    return scored
