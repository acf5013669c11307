from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.factory import random_model
from tdseg.models.propagation.motion import MotionPropagation, sample
from tdseg.models.propagation.state import MotionMemory
from tdseg.models.tdnet import TDNet

SIZE = (64, 96)


@pytest.fixture
def model() -> TDNet:
    return random_model("td4-lite0", propagation="motion", d_k=16)


def texture(height: int, width: int) -> Tensor:
    """A smooth picture of 8 channels, so that a shift by part of a cell has a meaning."""
    coarse = torch.randn(1, 8, height // 3, width // 3, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)


def memory(key: Tensor, value: Tensor, weight: float = 1.0) -> MotionMemory:
    key = F.normalize(key - key.mean((2, 3), keepdim=True), dim=1)
    return MotionMemory(key, value, torch.full_like(value[:, :1], weight))


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, 0.0), (-1.0, 2.0), (0.5, -0.5)])
def test_known_motion_is_found(shift: tuple[float, float]) -> None:
    propagation = MotionPropagation(4, reach=2)
    earlier = texture(24, 30)
    displacement = torch.tensor(shift).view(1, 2, 1, 1).expand(1, 2, 24, 30)
    later = memory(sample(earlier, displacement), earlier)
    motion, correlation = propagation.find(later.key, memory(earlier, earlier).key)
    inner = (..., slice(4, -4), slice(4, -4))  # what came into the picture has no earlier place
    assert (motion - displacement)[inner].abs().mean() < 0.25
    assert correlation[inner].mean() > 0.8


def test_sampling_moves_by_whole_cells() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    right = torch.zeros(1, 2, 4, 5)
    right[:, 0] = 1
    assert torch.allclose(sample(x, right)[..., :-1], x[..., 1:], atol=1e-4)
    assert torch.allclose(sample(x, -right)[..., 0], x[..., 0])  # the border goes on


def test_a_still_keeps_its_values_and_counts_its_frames() -> None:
    propagation = MotionPropagation(4, reach=1)
    with torch.no_grad():
        propagation.trust.copy_(torch.tensor([0.0, 50.0]))  # believe everything
        propagation.sharpness.fill_(1e4)
    own = memory(texture(12, 12), texture(12, 12))
    kept: tuple[MotionMemory, ...] = ()
    for expected in (1, 2, 3, 4, 4, 4):
        kept = propagation.remember(own, kept)
        torch.testing.assert_close(kept[0].value, own.value, atol=1e-4, rtol=0)
        torch.testing.assert_close(kept[0].weight, torch.full_like(kept[0].weight, expected), atol=1e-3, rtol=0)


def test_the_mean_is_of_the_values_along_the_motion() -> None:
    propagation = MotionPropagation(2, reach=1)
    with torch.no_grad():
        propagation.trust.copy_(torch.tensor([0.0, 50.0]))
        propagation.sharpness.fill_(1e4)
    key = texture(12, 12)
    (first,) = propagation.remember(memory(key, torch.zeros(1, 3, 12, 12)), ())
    (second,) = propagation.remember(memory(key, torch.ones(1, 3, 12, 12)), (first,))
    torch.testing.assert_close(second.value, torch.full((1, 3, 12, 12), 0.5), atol=1e-3, rtol=0)


def test_what_does_not_agree_is_forgotten() -> None:
    propagation = MotionPropagation(4, reach=1)
    with torch.no_grad():
        propagation.trust.copy_(torch.tensor([200.0, -100.0]))
    key = texture(12, 12)
    seen = memory(key, torch.zeros(1, 3, 12, 12), 4)
    strange = seen._replace(key=-seen.key, value=torch.ones(1, 3, 12, 12), weight=torch.ones(1, 1, 12, 12))
    (merged,) = propagation.remember(strange, (seen,))
    correlation = propagation.find(strange.key, seen.key)[1]
    forgotten = correlation < 0.4
    assert forgotten.any()
    torch.testing.assert_close(merged.value[:, :1][forgotten], torch.ones(int(forgotten.sum())))


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
    assert len(out.state.memory) == 1
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
