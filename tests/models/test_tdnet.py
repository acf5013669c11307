from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.factory import SIZES, random_model
from tdseg.errors import ConfigError
from tdseg.models.layers import resize
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.zoo import catalog

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "per-frame": ("lite0", {}),
    "two": ("td2-lite0", {}),
    "four": ("td4-lite0", {}),
    "independent": ("td4-lite0", {"weight_sets": None}),
    "shared": (
        "td4-lite0",
        {
            "weight_sets": 1,
            "memory_stride": 2,
        },
    ),
    "layer norm": ("td2-lite0", {"norm": "layer", "norm_size": (12, 17)}),
    "instance norm": ("td2-lite0", {"norm": "instance"}),
    "three": ("td3-lite0", {"weight_sets": None, "d_k": 16, "d_v": 24}),
    "bisenet": ("td2-bise18", {"num_classes": 3, "memory_stride": 1}),
}


@pytest.fixture(scope="module")
def models() -> dict[str, TDNet]:
    return {key: random_model(name, **overrides) for key, (name, overrides) in VARIANTS.items()}


@pytest.fixture(scope="module")
def td4(models: dict[str, TDNet]) -> TDNet:
    return models["four"]


def clip(frames: int, size: tuple[int, int], batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, frames, 3, *size, generator=torch.Generator().manual_seed(seed))


def step_through(model: TDNet, frames: torch.Tensor, state: TDNetState) -> tuple[torch.Tensor, TDNetState]:
    logits = []
    for t in range(frames.shape[1]):
        out, state = model.step(frames[:, t], state)
        logits.append(out)
    return torch.stack(logits, 1), state


@torch.inference_mode()
@settings(max_examples=25, deadline=None)
@given(
    variant=st.sampled_from(list(VARIANTS)),
    length=st.integers(1, 7),
    size=st.sampled_from(SIZES),
    phase=st.integers(0, 3),
    history=st.integers(0, 4),
    batch_paths=st.booleans(),
)
def test_clip_equals_steps(
    models: dict[str, TDNet],
    variant: str,
    length: int,
    size: tuple[int, int],
    phase: int,
    history: int,
    batch_paths: bool,
) -> None:
    model = models[variant]
    start = model.initial_state(phase % model.config.paths)
    if history:
        start = step_through(model, clip(history, size, seed=1), start)[1]
    frames = clip(length, size)
    logits, state = step_through(model, frames, start)
    out = model.forward_clip(frames, start, batch_paths=batch_paths)
    torch.testing.assert_close(out.logits, logits, atol=1e-5, rtol=1e-5)
    assert out.state.path == state.path
    for ours, theirs in zip(out.state.memory, state.memory, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    last = model.forward_clip(frames, start, "last", batch_paths=batch_paths).logits
    torch.testing.assert_close(last, logits[:, -1:], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("variant", VARIANTS)
def test_fused_gives_the_same(models: dict[str, TDNet], variant: str) -> None:
    model = models[variant]
    frames = clip(6, (72, 80))
    expected = model.forward_clip(frames).logits
    fused = model.fuse()
    torch.testing.assert_close(fused.forward_clip(frames).logits, expected, atol=1e-5, rtol=1e-4)
    assert not [m for m in fused.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    torch.testing.assert_close(model.forward_clip(frames).logits, expected, atol=0, rtol=0)  # the original is untouched


@torch.inference_mode()
def test_step_is_pure(td4: TDNet) -> None:
    frames = clip(6, (64, 64))
    _, state = step_through(td4, frames[:, :5], td4.initial_state())
    kept = [tensor.clone() for tensor in state.memory]
    first, _ = td4.step(frames[:, 5], state)
    second, _ = td4.step(frames[:, 5], state)
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    assert all(map(torch.equal, kept, state.memory))


@torch.inference_mode()
def test_memory_reaches_back_m_minus_one_frames() -> None:
    """So a long video can be cut into chunks, each started m-1 frames early at the right path."""
    model = random_model("td4-lite0", propagation="attention")
    frames = clip(9, (64, 64))
    whole = model.forward_clip(frames).logits
    chunk = model.forward_clip(frames[:, 2:], model.initial_state(path=2)).logits
    torch.testing.assert_close(chunk[:, 3:], whole[:, 5:], atol=1e-5, rtol=1e-5)
    short = model.forward_clip(frames[:, 3:], model.initial_state(path=3)).logits
    assert (short[:, 2] - whole[:, 5]).abs().max() > 1e-4


@pytest.mark.parametrize("dropped", [0, 2])
@torch.inference_mode()
def test_propagation_as_the_paper_writes_it(dropped: int) -> None:
    """Against a plain transcription of the recursion: softmax, then φ, for every hop, in float64."""
    paper = {"propagation": "attention", "d_k": 64, "weight_sets": None}
    model = random_model("td4-lite0", **paper, memory_stride=3).double()
    frames = clip(4, (72, 96)).double()
    for p in range(4):
        model.path(p).propagation.left_out = dropped
    out = model.forward_clip(frames, model.initial_state(1))
    slots = []
    for t in range(4):
        path: Any = model.paths[(1 + t) % 4]
        z = path.subnet(frames[:, t]).z
        q, k, v = (getattr(path.encoder, name)(z) for name in ("query", "key", "value"))
        slots.append((q, k, v))
    n, a = 3, torch.zeros(())
    for i in range(1 + dropped, 4):
        q = slots[i][0] if i == 3 else slots[i][0][:, :, ::n, ::n]
        k, v = (slots[i - 1][j][:, :, ::n, ::n].flatten(2) for j in (1, 2))
        weights = torch.softmax(q.flatten(2).transpose(1, 2) @ k / 64**0.5, -1)
        a = path.propagation.phi[i - 1](weights @ (v.transpose(1, 2) + a))
    merged = slots[3][2] + a.transpose(1, 2).reshape(slots[3][2].shape)
    expected = resize(path.head(path.norm(merged)), (72, 96))
    torch.testing.assert_close(out.logits[:, 3], expected, atol=1e-9, rtol=1e-9)


@torch.inference_mode()
def test_a_frame_with_few_before_it_is_alone() -> None:
    model = random_model("td4-lite0", propagation="attention", weight_sets=None)
    frames = clip(4, (64, 64))
    out = model.forward_clip(frames).logits
    for t in range(3):
        torch.testing.assert_close(out[:, t], model.step(frames[:, t], model.initial_state(t))[0], atol=1e-5, rtol=1e-5)
    assert (out[:, 3] - model.step(frames[:, 3], model.initial_state(3))[0]).abs().max() > 1e-4


@torch.inference_mode()
def test_threads_share_a_model(td4: TDNet) -> None:
    clips = [clip(6, (64, 64), seed=seed) for seed in (1, 2)]
    alone = [step_through(td4, frames, td4.initial_state())[0] for frames in clips]
    together: dict[int, torch.Tensor] = {}

    def work(which: int) -> None:
        with torch.inference_mode():
            together[which] = step_through(td4, clips[which], td4.initial_state())[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which, expected in enumerate(alone):
        torch.testing.assert_close(together[which], expected, atol=1e-5, rtol=1e-5)


def test_training_gives_what_losses_need() -> None:
    model = TDNet(catalog.model_config("td4-lite0", weight_sets=None), aux=True).train()
    for phase in range(4):  # only the newest frame of a clip of m has a full memory, so every phase must come
        out = model.forward_clip(clip(4, (64, 96), batch=2), model.initial_state(phase))
        assert out.logits.shape == (2, 4, 11, 64, 96)
        assert out.sub_logits is not None
        assert out.sub_logits.shape == (2, 4, 11, 16, 24)
        assert out.aux_logits is not None
        assert out.aux_logits.shape == (2, 4, 11, 4, 6)
        torch.autograd.backward(out.logits.square().mean() + out.aux_logits.square().mean())
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_budget() -> None:
    parameters = sum(p.numel() for p in catalog.create_model("td4-lite0", weight_sets=None).parameters())
    assert parameters <= 16_000_000


@pytest.mark.parametrize(
    "frames",
    [
        torch.zeros(3, 64, 64),
        torch.zeros(1, 1, 64, 64),
        torch.zeros(1, 3, 63, 64),
        torch.zeros(0, 3, 64, 64),
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
    ],
    ids=["no batch", "grayscale", "too small", "nothing", "not normalised"],
)
def test_bad_frames(td4: TDNet, frames: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="expected"):
        td4.step(frames)


@torch.inference_mode()
def test_state_of_another_size() -> None:
    model = random_model("td4-lite0", propagation="attention")
    _, state = model.step(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ConfigError, match="state=None"):
        model.step(torch.zeros(1, 3, 128, 128), state)
    with pytest.raises(ConfigError, match="state=None"):
        model.step(torch.zeros(2, 3, 64, 64), state)


def test_bad_clips(td4: TDNet) -> None:
    with pytest.raises(ConfigError, match="expected"):
        td4.forward_clip(torch.zeros(1, 0, 3, 64, 64))
    with pytest.raises(ConfigError, match="'all' or 'last'"):
        td4.forward_clip(torch.zeros(1, 1, 3, 64, 64), score="lsat")  # type: ignore[arg-type]


def test_bad_path(td4: TDNet) -> None:
    with pytest.raises(ConfigError, match="0 … 3"):
        td4.initial_state(4)
