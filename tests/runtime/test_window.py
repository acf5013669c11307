from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.panning import pan
from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.propagation.base import Memory
from tdseg.models.propagation.consensus import ConsensusCode, ConsensusPropagation
from tdseg.runtime.window import Ballot, ScoreWindow

SIZE = (96, 128)
CELLS = (SIZE[0] // 4, SIZE[1] // 4)


def scores(count: int, classes: int, seed: int = 0) -> Tensor:
    """(T, 1, C, h, w): blobs, of which each wins somewhere."""
    coarse = torch.randn(count, classes, 4, 5, generator=torch.Generator().manual_seed(seed))
    return 5 * F.interpolate(coarse, CELLS, mode="bicubic")[:, None]


def pictures(count: int, window: ScoreWindow, seed: int = 0) -> list[Tensor]:
    frames = pan(count, (1, -2), SIZE, seed)[0].to(torch.uint8)
    return [window.motion.pictures(frame[None], (SIZE[0] // 2, SIZE[1] // 2)) for frame in frames]


@torch.inference_mode()
def run(window: ScoreWindow, given: Tensor, seed: int = 0) -> list[Tensor]:
    memory: Memory = ()
    merged = []
    for frame, grey in zip(given, pictures(len(given), window, seed), strict=True):
        out, memory = window.advance(Ballot(frame, grey), memory)
        merged.append(out)
    return merged


@pytest.mark.parametrize("motion", ["matching", "dis"])
@pytest.mark.parametrize("frames", [2, 4])
def test_it_is_the_consensus_of_our_models(motion: str, frames: int) -> None:
    config = ModelConfig.parse(
        {
            "name": "any",
            "subnet": "external",
            "paths": frames,
            "weight_sets": 1,
            "num_classes": 5,
            "size": SIZE,
            "mean": (0, 0, 0),
            "std": (1, 1, 1),
            "head_upscale": 2,
            "propagation": "consensus",
            "motion": motion,
        },
        where="test",
    )
    propagation = ConsensusPropagation(config)
    window = ScoreWindow(frames, 2, config.motion, "cpu")
    given, memory = scores(6, 5), propagation.empty(torch.zeros(1, 5, *CELLS))
    found = run(window, given)
    with torch.inference_mode():
        for frame, grey, one in zip(given, pictures(6, window), found, strict=True):
            code = ConsensusCode(frame, grey)
            aligned = propagation.align(code, memory)
            torch.testing.assert_close(one, propagation.merge(code, aligned), atol=1e-4, rtol=1e-4)
            memory = propagation.remember(code, aligned)


@pytest.mark.parametrize("classes", [5, 40])
def test_nothing_older_than_the_window_is_in_it(classes: int) -> None:
    window = ScoreWindow(3, 2, "matching", "cpu")
    given, greys = scores(6, classes), pictures(6, window)
    memory: Memory = ()
    with torch.inference_mode():
        whole = run(window, given)
        for at in range(3, 6):  # begun two frames before the last
            out, memory = window.advance(Ballot(given[at], greys[at]), memory)
    torch.testing.assert_close(out, whole[-1], atol=0, rtol=0)


def test_of_many_classes_the_likeliest_are_enough() -> None:
    """150 classes, of which a picture shows a dozen: what the slots leave out changes no pixel."""
    coarse = torch.randn(6, 150, 4, 5, generator=torch.Generator().manual_seed(1))
    coarse[:, 12:] -= 4  # the others win nowhere
    given = 5 * F.interpolate(coarse, CELLS, mode="bicubic")[:, None]
    some = run(ScoreWindow(4, 2, "matching", "cpu"), given)
    every = run(ScoreWindow(4, 2, "matching", "cpu", most_classes=255), given)
    for one, other in zip(some, every, strict=True):
        assert len(set(other.argmax(1).flatten().tolist())) > 5
        assert (one.argmax(1) == other.argmax(1)).all()
        best, at = other.max(1, keepdim=True)
        torch.testing.assert_close(one.gather(1, at), best, atol=1e-4, rtol=1e-4)


def test_more_classes_than_slots_hold() -> None:
    """Each of 12 classes wins somewhere, and slots hold 11: the masks are nearly those of slots that hold all."""
    given = scores(1, 12) + 0.5 * scores(6, 12, seed=1)
    some = run(ScoreWindow(4, 2, "matching", "cpu", most_classes=11), given)
    every = run(ScoreWindow(4, 2, "matching", "cpu"), given)
    for one, other, own in list(zip(some, every, given, strict=True))[3:]:
        apart, healed = ((masks.argmax(1) != other.argmax(1)).float().mean() for masks in (one, own))
        assert healed > 0.1
        assert apart < 0.5 * healed


def test_a_batch_is_many_videos() -> None:
    window = ScoreWindow(3, 2, "dis", "cpu")
    first, second = scores(4, 5, seed=1), scores(4, 5, seed=2)
    lone = run(window, first, seed=1), run(window, second, seed=2)
    greys = [torch.cat(pair) for pair in zip(pictures(4, window, 1), pictures(4, window, 2), strict=True)]
    memory: Memory = ()
    with torch.inference_mode():
        for frame, grey, one, other in zip(torch.cat([first, second], 1), greys, *lone, strict=True):
            out, memory = window.advance(Ballot(frame, grey), memory)
            torch.testing.assert_close(out, torch.cat([one, other]))


def test_a_memory_of_other_frames_is_refused() -> None:
    window = ScoreWindow(3, 2, "matching", "cpu")
    _, memory = window.advance(Ballot(torch.zeros(1, 5, 24, 32), torch.zeros(1, 1, 48, 64)), ())
    for batch, height in ((2, 24), (1, 32)):
        ballot = Ballot(torch.zeros(batch, 5, height, 32), torch.zeros(batch, 1, 2 * height, 64))
        with pytest.raises(ConfigError, match="one batch and size"):
            window.advance(ballot, memory)
