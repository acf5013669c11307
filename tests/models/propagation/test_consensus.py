"""Consensus: each frame of a window has one vote, along the motion of the picture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from support.factory import random_model
from tdseg.models.tdnet import TDNet

SIZE = (96, 128)


def pictures(count: int, step: tuple[int, int] = (0, 0), size: tuple[int, int] = SIZE, seed: int = 0) -> Tensor:
    """(1, T, 3, H, W) in 0 … 255: a texture that moves by `step` = (y, x) pixels a frame."""
    height, width = size
    reach = 8 * count * max(1, *map(abs, step))
    coarse = torch.rand(
        1, 3, (height + 2 * reach) // 8, (width + 2 * reach) // 8, generator=torch.Generator().manual_seed(seed)
    )
    wide = torch.nn.functional.interpolate(255 * coarse, scale_factor=8, mode="bicubic").clamp(0, 255).round()
    starts = [(reach - t * step[0], reach - t * step[1]) for t in range(count)]
    return torch.stack([wide[:, :, y : y + height, x : x + width] for y, x in starts], 1)


def consensus(name: str = "td4-lite0", **overrides: Any) -> TDNet:
    return random_model(name, propagation="consensus", **overrides)


def alone(model: TDNet, frames: Tensor) -> Tensor:
    """(B, T, C, u·h, u·w): scores of each frame by the path whose turn it is."""
    return torch.stack([model.encode(frames[:, t], t).code.value for t in range(frames.shape[1])], 1)


def merged(model: TDNet, frames: Tensor, path: int = 0) -> list[Tensor]:
    state, found = model.initial_state(path), []
    for t in range(frames.shape[1]):
        logits, state = model.advance(model.encode(frames[:, t], state.path), state)
        found.append(logits)
    return found


@torch.inference_mode()
def test_on_a_still_the_paths_have_one_vote_each() -> None:
    model = consensus(shared_paths=False)
    frames = model.normalize(pictures(9))
    votes, found = alone(model, frames), merged(model, frames)
    for t in range(9):
        torch.testing.assert_close(found[t], votes[:, max(t - 3, 0) : t + 1].mean(1), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_it_reaches_back_the_window_and_no_further() -> None:
    model = consensus()
    frames = model.normalize(pictures(9, (3, -5)))
    assert torch.equal(merged(model, frames)[-1], merged(model, frames[:, -4:], path=1)[-1])
    assert not torch.equal(merged(model, frames)[-1], merged(model, frames[:, -3:], path=2)[-1])


@pytest.mark.parametrize("size", [(64, 64), (101, 130)])
def test_gradients_reach_all_of_the_window(size: tuple[int, int]) -> None:
    model = consensus(shared_paths=False).train()
    frames = model.normalize(pictures(4, (1, 2), size)).expand(2, -1, -1, -1, -1)
    model.forward_clip(frames, score="last").logits.square().mean().backward()  # type: ignore[no-untyped-call]
    for path in model.paths:
        for name, parameter in path.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
