from __future__ import annotations

import copy
import threading
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from support import fake_cuda
from support.small import moving_frames, small_model
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.measure.deviation import deviation
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import Execution, Network
from tdseg.runtime.torch import TorchNetwork
from tdseg.video import Frame

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: CUDA graphs run nowhere else")


@pytest.fixture
def model() -> TDNet:
    return small_model().fuse()


def clip(count: int, seed: int = 0) -> list[Tensor]:
    frames = torch.from_numpy(np.stack(moving_frames(count, seed=seed))).permute(0, 3, 1, 2)
    return list(frames[:, None])


def run(network: Network, frames: list[Tensor]) -> list[Tensor]:
    state, logits = TDNetState(), []
    for images in frames:
        out, state = network.advance(network.encode(images, state.path), state)
        logits.append(out)
    return logits


@pytest.mark.parametrize("channels_last", [True, False])
def test_memory_format(model: TDNet, channels_last: bool) -> None:
    before = copy.deepcopy(model.state_dict())
    other = TorchNetwork(model, Execution(fuse=False, channels_last=channels_last))
    apart = deviation(TorchNetwork(small_model()), other, clip(9))
    assert apart.max_relative_error < 1e-4
    assert apart.agreement > 0.999
    spatial = [
        m.weight for m in other.model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size[0] > 1 and m.groups == 1
    ]
    assert spatial
    assert all(weight.is_contiguous() != channels_last for weight in spatial)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.stride() == before[name].stride() for name, value in model.state_dict().items())


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_autocast(model: TDNet, precision: Literal["bf16", "fp16"], dtype: torch.dtype) -> None:
    other = TorchNetwork(model, Execution(autocast=precision))
    frames = clip(6)
    apart = deviation(TorchNetwork(model), other, frames)
    assert 1e-4 < apart.max_relative_error < 0.1
    assert 0.9 < apart.agreement < 1
    state = TDNetState()
    with torch.inference_mode():
        for images in frames[:4]:
            logits, state = other.advance(other.encode(images, state.path), state)
    assert logits.dtype == torch.float32
    assert {tensor.dtype for tensor in state.memory} == {dtype}


def test_interface(model: TDNet) -> None:
    """All that Stream and pipeline ask of a model, in lower precision too."""
    other = TorchNetwork(model, Execution(autocast="bf16"))
    assert other.config == model.config
    assert other.form == "fused, channels-last, bf16"
    frames = moving_frames(6)
    stream = Stream(other)
    ahead = [result.mask for result in Stream(other).ahead((Frame(0, 0.0, frame) for frame in frames), workers=2)]
    np.testing.assert_array_equal([stream.step(frame).mask for frame in frames], ahead)
    expected = [result.mask for result in map(Stream(model).step, frames)]
    assert np.mean(np.equal(ahead, expected)) > 0.9


def check_purity(network: Network) -> None:
    """A call changes neither what it was given nor what earlier calls gave, and the same call gives the same."""
    frames = clip(8)
    encoded = [network.encode(images, index % 4) for index, images in enumerate(frames)]
    kept = copy.deepcopy(encoded)
    states, outputs = [TDNetState()], []
    copies: tuple[list[Any], list[Any]] = ([TDNetState()], [])
    for one in encoded:
        logits, state = network.advance(one, states[-1])
        states.append(state)
        outputs.append(logits)
        copies[0].append(copy.deepcopy(state))
        copies[1].append(logits.clone())
    again, after = network.advance(encoded[3], states[3])
    torch.testing.assert_close((again, after), (outputs[3], states[4]), rtol=0, atol=0)
    torch.testing.assert_close((states, outputs), copies, rtol=0, atol=0)
    torch.testing.assert_close(tree_leaves(encoded), tree_leaves(kept), rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"autocast": "bf16"}])
@torch.inference_mode()
def test_purity(model: TDNet, options: dict[str, Any]) -> None:
    check_purity(TorchNetwork(model, Execution(**options)))


@pytest.mark.parametrize(
    ("options", "message"), [({"cuda_graphs": True}, "on cpu"), ({"autocast": "int8"}, "bf16, fp16 or None")]
)
def test_refused(model: TDNet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TorchNetwork(model, Execution(**options))
    with pytest.raises(ConfigError, match="training mode"):
        TorchNetwork(copy.deepcopy(model).train())
    with pytest.raises(ConfigError, match="winograd in float32"):
        Execution(winograd=True, autocast="bf16")


@pytest.mark.slow
def test_compile(model: TDNet) -> None:
    other = TorchNetwork(model, Execution(compile=True))
    apart = deviation(TorchNetwork(model), other, clip(8))
    assert apart.max_relative_error < 1e-4
    assert apart.agreement > 0.999
    with torch.inference_mode():
        check_purity(other)


def test_graphs_without_a_gpu(model: TDNet, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda.install(monkeypatch)
    monkeypatch.setattr("tdseg.runtime.torch.check_device", lambda *_: None)
    graphs, eager = TorchNetwork(model, Execution(cuda_graphs=True)), TorchNetwork(model, Execution())
    frames = clip(9)
    assert deviation(eager, graphs, frames)[:2] == (0.0, 1.0)
    with torch.inference_mode():
        check_purity(graphs)
        two = [torch.cat([x, x]) for x in frames]
        torch.testing.assert_close(run(graphs, two), run(eager, two), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(run(graphs, frames[:1]), run(eager, frames[:1]), rtol=1e-4, atol=1e-5)  # with gradients


@needs_gpu
@pytest.mark.parametrize("options", [{}, {"autocast": "bf16"}, {"autocast": "fp16", "compile": True}])
@torch.inference_mode()
def test_cuda_graphs(model: TDNet, options: dict[str, Any]) -> None:
    eager, graphs = (TorchNetwork(model, Execution("cuda", cuda_graphs=graphs, **options)) for graphs in (False, True))
    apart = deviation(eager, graphs, clip(9))
    assert apart.max_relative_error < 1e-3
    check_purity(graphs)


@needs_gpu
def test_cuda_graphs_from_many_threads(model: TDNet) -> None:
    network = TorchNetwork(model, Execution("cuda", cuda_graphs=True))
    clips = [clip(12, seed) for seed in range(4)]
    expected = [run(network, frames) for frames in clips]
    seen: dict[int, list[Tensor]] = {}

    def work(index: int) -> None:
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.Stream()):  # type: ignore[no-untyped-call]
            seen[index] = run(network, clips[index])
            torch.cuda.current_stream().synchronize()

    torch.cuda.synchronize()  # the frames are there for the threads' streams
    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close([seen[index] for index in range(len(clips))], expected, rtol=0, atol=0)
