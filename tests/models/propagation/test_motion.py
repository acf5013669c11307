from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.factory import random_model
from tdseg.models.propagation.base import Memory
from tdseg.models.propagation.motion import MotionCode, MotionPropagation, sample
from tdseg.models.tdnet import TDNet
from tdseg.zoo.catalog import model_config

SIZE = (64, 96)


@pytest.fixture
def model() -> TDNet:
    return random_model("td4-lite0", propagation="motion", d_k=16)


def texture(height: int, width: int) -> Tensor:
    """A smooth picture of 8 channels, so that a shift by part of a cell has a meaning."""
    coarse = torch.randn(1, 8, height // 3, width // 3, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)


def code(key: Tensor, value: Tensor) -> MotionCode:
    return MotionCode(F.normalize(key - key.mean((2, 3), keepdim=True), dim=1), value)


def propagation(frames: int, reach: int) -> MotionPropagation:
    return MotionPropagation(model_config(f"td{frames}-lite0", reach=reach, d_k=8, d_v=8))


def remember(motion: MotionPropagation, own: MotionCode, memory: Memory) -> Memory:
    return motion.remember(own, motion.align(own, memory))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, 0.0), (-1.0, 2.0), (0.5, -0.5)])
def test_known_motion_is_found(shift: tuple[float, float]) -> None:
    motion = propagation(4, reach=2)
    earlier = texture(24, 30)
    displacement = torch.tensor(shift).view(1, 2, 1, 1).expand(1, 2, 24, 30)
    later = code(sample(earlier, displacement), earlier)
    found, correlation = motion.find(later.key, code(earlier, earlier).key)
    inner = (..., slice(4, -4), slice(4, -4))  # what came into the picture has no earlier place
    assert (found - displacement)[inner].abs().mean() < 0.25
    assert correlation[inner].mean() > 0.8


def test_sampling_moves_by_whole_cells() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    right = torch.zeros(1, 2, 4, 5)
    right[:, 0] = 1
    assert torch.allclose(sample(x, right)[..., :-1], x[..., 1:], atol=1e-4)
    assert torch.allclose(sample(x, -right)[..., 0], x[..., 0])  # the border goes on


def test_a_still_keeps_its_values_and_counts_its_frames() -> None:
    motion = propagation(4, reach=1)
    with torch.no_grad():
        motion.trust.copy_(torch.tensor([0.0, 50.0]))  # believe everything
        motion.sharpness.fill_(1e4)
    own = code(texture(12, 12), texture(12, 12))
    kept = motion.empty(own.value)
    for expected in (1, 2, 3, 4, 4, 4):
        kept = remember(motion, own, kept)
        _, value, weight = kept
        torch.testing.assert_close(value, own.value, atol=1e-4, rtol=0)
        torch.testing.assert_close(weight, torch.full_like(weight, expected), atol=1e-3, rtol=0)


def test_the_mean_is_of_the_values_along_the_motion() -> None:
    motion = propagation(2, reach=1)
    with torch.no_grad():
        motion.trust.copy_(torch.tensor([0.0, 50.0]))
        motion.sharpness.fill_(1e4)
    key = texture(12, 12)
    zeros, ones = code(key, torch.zeros(1, 8, 12, 12)), code(key, torch.ones(1, 8, 12, 12))
    first = remember(motion, zeros, (torch.zeros_like(key), zeros.value, torch.zeros(1, 1, 12, 12)))
    _, value, _ = remember(motion, ones, first)
    torch.testing.assert_close(value[:, :3], torch.full((1, 3, 12, 12), 0.5), atol=1e-3, rtol=0)


def test_what_does_not_agree_is_forgotten() -> None:
    motion = propagation(4, reach=1)
    with torch.no_grad():
        motion.trust.copy_(torch.tensor([200.0, -100.0]))
    before = code(texture(12, 12), torch.zeros(1, 3, 12, 12))
    strange = MotionCode(-before.key, torch.ones(1, 3, 12, 12))
    merged = motion.merge(strange, motion.align(strange, (*before, torch.full((1, 1, 12, 12), 4.0))))
    correlation = motion.find(strange.key, before.key)[1]
    forgotten = correlation < 0.4
    assert forgotten.any()
    torch.testing.assert_close(merged[:, :1][forgotten], torch.ones(int(forgotten.sum())))


@pytest.mark.parametrize("shared", [True, False])
@torch.inference_mode()
def test_clip_equals_steps_and_memory_matters(shared: bool) -> None:
    model = random_model("td2-lite0", propagation="motion", shared_paths=shared, d_k=16)
    frames = torch.randn(2, 1, 3, *SIZE) + 0.1 * torch.randn(2, 5, 3, *SIZE)
    out = model.forward_clip(frames)
    batched = model.forward_clip(frames, batch_paths=True)
    torch.testing.assert_close(batched.logits, out.logits, atol=1e-4, rtol=1e-4)
    state = None
    for t in range(5):
        logits, state = model.step(frames[:, t], state)
        torch.testing.assert_close(logits, out.logits[:, t], atol=1e-5, rtol=1e-5)
    alone, _ = model.step(frames[:, 4], model.initial_state(out.state.path - 1 if out.state.path else 1))
    assert (alone - out.logits[:, 4]).abs().max() > 1e-5


def test_everything_learns(model: TDNet) -> None:
    model.train()
    model.forward_clip(torch.randn(2, 3, 3, *SIZE), score="last").logits.square().mean().backward()  # type: ignore[no-untyped-call]
    path = model.paths[0]
    for name, parameter in path.named_parameters():
        if name.startswith(("encoder", "propagation", "head")):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@torch.inference_mode()
def test_fused_it_is_the_same(model: TDNet) -> None:
    frames = torch.randn(1, 3, 3, *SIZE)
    torch.testing.assert_close(
        model.fuse().forward_clip(frames).logits, model.forward_clip(frames).logits, atol=1e-3, rtol=1e-3
    )
