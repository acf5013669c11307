from __future__ import annotations

import copy
import threading
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from support import fake_cuda
from support.small import moving_frames, small_model
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.models.path import Encoded
from tdseg.models.propagation.state import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.torch import accelerate, deviation

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: CUDA graphs run nowhere else")


@pytest.fixture
def model() -> TDNet:
    return small_model().fuse()


def clip(model: TDNet, count: int, seed: int = 0) -> list[Tensor]:
    frames = torch.from_numpy(np.stack(moving_frames(count, seed=seed))).permute(0, 3, 1, 2)
    return list(model.normalize(frames)[:, None])


def run(model: TDNet, frames: list[Tensor]) -> list[Tensor]:
    state, logits = None, []
    for x in frames:
        out, state = model.step(x, state)
        logits.append(out)
    return logits


@pytest.mark.parametrize("channels_last", [True, False])
def test_memory_format(model: TDNet, channels_last: bool) -> None:
    before = copy.deepcopy(model.state_dict())
    other = accelerate(model, channels_last=channels_last)
    apart = deviation(small_model(), other, clip(model, 9))
    assert apart.max_relative_error < 1e-4
    assert apart.agreement > 0.999
    spatial = [m.weight for m in other.modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1 and m.groups == 1]
    assert spatial
    assert all(weight.is_contiguous() != channels_last for weight in spatial)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.stride() == before[name].stride() for name, value in model.state_dict().items())


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_autocast(model: TDNet, precision: Literal["bf16", "fp16"], dtype: torch.dtype) -> None:
    other = accelerate(model, autocast=precision)
    frames = clip(model, 6)
    apart = deviation(model, other, frames)
    assert 1e-4 < apart.max_relative_error < 0.1
    assert 0.9 < apart.agreement < 1
    state = model.initial_state()
    for x in frames[:4]:
        logits, state = other.advance(x, state)
    assert logits.dtype == torch.float32
    assert {tensor.dtype for frame in state.memory for tensor in frame} == {dtype}


@torch.inference_mode()
def test_clip_equals_steps(model: TDNet) -> None:
    """Also from a state in lower precision."""
    other = accelerate(model, autocast="bf16")
    first, *rest = clip(model, 6)
    _, state = other.step(first)
    expected, after = [], state
    for x in rest:
        logits, after = other.step(x, after)
        expected.append(logits)
    out = other.forward_clip(torch.stack(rest, 1), state)
    torch.testing.assert_close(out.logits[0], torch.cat(expected), rtol=1e-2, atol=1e-2)  # a bf16 has 8 bits
    assert out.logits.dtype == torch.float32


def test_interface(model: TDNet) -> None:
    """All that Stream and pipeline ask of a model, in lower precision too."""
    other = accelerate(model, autocast="bf16")
    assert other.config == model.config
    assert other.fuse() is other
    assert not other.training
    frames = moving_frames(6)
    stream = Stream(other)
    ahead = [result.mask for result in Stream(other).ahead(((frame, 0.0) for frame in frames), workers=2)]
    np.testing.assert_array_equal([stream.step(frame).mask for frame in frames], ahead)
    expected = [result.mask for result in map(Stream(model).step, frames)]
    assert np.mean(np.equal(ahead, expected)) > 0.9


def check_purity(model: TDNet) -> None:
    """A call changes neither what it was given nor what earlier calls gave, and the same call gives the same."""
    first, *rest = clip(model, 8)
    encoded = model.encode(first, 0)
    kept = copy.deepcopy(encoded)
    logits, state = model.advance(first, None, encoded)
    states, outputs = [state], [logits]
    copies = copy.deepcopy((states, outputs))
    for x in rest:
        logits, state = model.advance(x, state)
        states.append(state)
        outputs.append(logits)
        copies[0].append(copy.deepcopy(state))
        copies[1].append(logits.clone())
    again, after = model.advance(rest[2], states[2])
    torch.testing.assert_close((again, after), (outputs[3], states[3]), rtol=0, atol=0)
    torch.testing.assert_close((states, outputs), copies, rtol=0, atol=0)
    torch.testing.assert_close(encoded, kept, rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"autocast": "bf16"}])
@torch.inference_mode()
def test_purity(model: TDNet, options: dict[str, Any]) -> None:
    check_purity(accelerate(model, **options))


class Louder(TDNet):
    """Logits a tenth too large."""

    def advance(
        self, x: Tensor, state: TDNetState | None = None, encoded: Encoded | None = None
    ) -> tuple[Tensor, TDNetState]:
        logits, state = super().advance(x, state, encoded)
        return 1.1 * logits, state


def test_deviation(model: TDNet) -> None:
    louder = copy.deepcopy(model)
    louder.__class__ = Louder
    apart = deviation(model, louder, clip(model, 3))
    assert apart.max_relative_error == pytest.approx(0.1, rel=1e-4)
    assert apart.agreement > 0.999
    assert deviation(model, model, clip(model, 3)) == (0.0, 1.0)
    with pytest.raises(ConfigError, match="no frames"):
        deviation(model, model, [])


@pytest.mark.parametrize(
    ("options", "message"), [({"cuda_graphs": True}, "on cpu"), ({"autocast": "int8"}, "bf16, fp16 or None")]
)
def test_refused(model: TDNet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        accelerate(model, **options)
    with pytest.raises(ConfigError, match="training mode"):
        accelerate(copy.deepcopy(model).train())


@pytest.mark.slow
def test_compile(model: TDNet) -> None:
    other = accelerate(model, compile=True)
    apart = deviation(model, other, clip(model, 8))
    assert apart.max_relative_error < 1e-4
    assert apart.agreement > 0.999
    with torch.inference_mode():
        check_purity(other)


def test_graphs_without_a_gpu(model: TDNet, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda.install(monkeypatch)
    monkeypatch.setattr("tdseg.runtime.torch._check_device", lambda *_: None)
    graphs = accelerate(model, cuda_graphs=True)
    frames = clip(model, 9)
    assert deviation(accelerate(model), graphs, frames) == (0.0, 1.0)
    with torch.inference_mode():
        check_purity(graphs)
        two = [torch.cat([x, x]) for x in frames]
        torch.testing.assert_close(run(graphs, two), run(model, two), rtol=1e-4, atol=1e-5)
    logits, _ = graphs.step(frames[0])  # outside inference mode
    torch.testing.assert_close(logits, model.step(frames[0])[0], rtol=1e-4, atol=1e-5)


@needs_gpu
@pytest.mark.parametrize("options", [{}, {"autocast": "bf16"}, {"autocast": "fp16", "compile": True}])
@torch.inference_mode()
def test_cuda_graphs(model: TDNet, options: dict[str, Any]) -> None:
    model = model.cuda()
    eager, graphs = accelerate(model, **options), accelerate(model, cuda_graphs=True, **options)
    apart = deviation(eager, graphs, clip(model, 9))
    assert apart.max_relative_error < 1e-3
    check_purity(graphs)


@needs_gpu
def test_cuda_graphs_from_many_threads(model: TDNet) -> None:
    model = accelerate(model.cuda(), cuda_graphs=True)
    clips = [clip(model, 12, seed) for seed in range(4)]
    expected = [run(model, frames) for frames in clips]
    seen: dict[int, list[Tensor]] = {}

    def work(index: int) -> None:
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream()):  # type: ignore[no-untyped-call]
            seen[index] = run(model, clips[index])
            torch.cuda.current_stream().synchronize()

    torch.cuda.synchronize()  # the frames are there for the threads' streams
    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close([seen[index] for index in range(len(clips))], expected, rtol=0, atol=0)
