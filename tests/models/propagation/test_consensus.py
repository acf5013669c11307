"""Consensus: each frame of a window has one vote, along the motion of the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.factory import random_model
from support.panning import pan
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.models.propagation.base import Memory
from tdseg.models.propagation.consensus import ConsensusCode, ConsensusPropagation
from tdseg.models.tdnet import TDNet
from tdseg.zoo.catalog import create_model, model_config

SIZE = (96, 128)


def consensus(name: str = "td4-lite0", **overrides: Any) -> TDNet:
    return random_model(name, propagation="consensus", **overrides)


def alone(model: TDNet, frames: Tensor, first: int = 0) -> list[Tensor]:
    """Scores of each frame by the path whose turn it is, (B, C, u·h, u·w)."""
    return [model.encode(frames[:, t], first + t).code.value for t in range(frames.shape[1])]


def merged(model: TDNet, frames: Tensor, first: int = 0) -> list[Tensor]:
    state, found = model.initial_state(first), []
    for t in range(frames.shape[1]):
        logits, state = model.advance(model.encode(frames[:, t], state.path), state)
        found.append(logits)
    return found


@torch.inference_mode()
def test_on_a_still_each_path_has_one_vote() -> None:
    model = consensus(weight_sets=None)
    frames = model.normalize(pan(9))
    votes, found = alone(model, frames), merged(model, frames)
    for t in range(9):
        mean = torch.stack(votes[max(t - 3, 0) : t + 1]).mean(0)
        torch.testing.assert_close(found[t], mean, atol=1e-4, rtol=1e-4)
    for later in found[4:]:  # so there is no rhythm of paths that differ
        torch.testing.assert_close(later, found[3], atol=1e-4, rtol=1e-4)


def test_what_weights_do_not_hold_is_there_in_a_network_made_without_memory() -> None:
    with torch.device("meta"):
        model = TDNet(model_config("td4-lite0", propagation="consensus"))
    assert all(not buffer.is_meta for name, buffer in model.named_buffers() if name not in model.state_dict())


@torch.inference_mode()
def test_without_its_oldest_slots_it_is_a_shorter_window() -> None:
    model, shorter = consensus(), consensus("td2-lite0")
    shorter.load_state_dict(model.state_dict())
    frames = model.normalize(pan(6))
    for dropped, expected in ((2, merged(shorter, frames)), (3, alone(model, frames))):
        model.path(0).propagation.left_out = dropped
        torch.testing.assert_close(merged(model, frames), expected, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_on_a_still_shared_paths_are_the_per_frame_model() -> None:
    model, single = consensus(), random_model("lite0")
    single.load_state_dict(model.state_dict(), strict=False)
    frames = model.normalize(pan(6))
    expected = single.step(frames[:, 0])[0]
    torch.testing.assert_close(model.forward_clip(frames).logits[:, -1], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("motion", ["matching", "dis"])
@torch.inference_mode()
def test_it_reaches_back_the_window_and_no_further(motion: str) -> None:
    if motion == "dis":
        pytest.importorskip("cv2", reason="DIS flow needs the extra 'metrics'")
    model = consensus(motion=motion)
    frames = model.normalize(pan(9, (3, -5)))
    whole = merged(model, frames)[-1]
    assert torch.equal(whole, merged(model, frames[:, -4:], first=1)[-1])
    assert not torch.equal(whole, merged(model, frames[:, -3:], first=2)[-1])


@torch.inference_mode()
def test_scores_are_carried_along_the_motion() -> None:
    """Scores fixed to what is seen: their mean is theirs, though the picture moves by two cells a frame."""
    propagation = ConsensusPropagation(model_config("td4-lite0", propagation="consensus", num_classes=3))
    frames = pan(4, (0, 8), (192, 256))
    codes = [
        ConsensusCode(frame[:, :, 2::4, 2::4], F.avg_pool2d(frame.mean(1, keepdim=True), 2))
        for frame in frames.unbind(1)
    ]
    memory = propagation.empty(codes[0].value)
    for code in codes:
        aligned = propagation.align(code, memory)
        found, memory = propagation.merge(code, aligned), propagation.remember(code, aligned)
    inner = (..., slice(6, -6), slice(12, -6))
    carried = (found - codes[-1].value)[inner].abs().mean()
    in_place = (torch.stack([code.value for code in codes]).mean(0) - codes[-1].value)[inner].abs().mean()
    assert carried < 0.15 * in_place
    assert memory[1][0, -1].min() == 1  # the newest slot counts whole …
    assert (memory[1][0, 3::4][:, 6:-6, 12:-6] > 0.5).float().mean() > 0.9  # … and most of the others, too


@torch.inference_mode()
def test_an_occlusion_does_not_smear() -> None:
    """A bright board before a dark wall: what it uncovers and covers is seen as it is at once, but for its edges."""
    propagation = ConsensusPropagation(model_config("td4-lite0", propagation="consensus", num_classes=2))
    wall = pan(1, size=(192, 256))[:, 0].mean(1, keepdim=True)[..., ::2, ::2] / 4
    memory: Memory = ()
    for t in range(6):
        picture = wall.clone()
        picture[..., 30:60, 20 + 8 * t : 60 + 8 * t] = 220
        board = (picture[..., ::2, ::2] == 220).float()
        code = ConsensusCode(8 * torch.cat([1 - board, board], 1), picture)
        aligned = propagation.align(code, memory or propagation.empty(code.value))
        seen, memory = propagation.merge(code, aligned).argmax(1), propagation.remember(code, aligned)
        edges = F.max_pool2d(board, 5, 1, 2) + F.max_pool2d(-board, 5, 1, 2)  # two cells to either side
        assert not ((seen != board[:, 0]) & (edges[:, 0] == 0)).any(), t
        assert (seen != board[:, 0]).sum() < 20, t  # of 300 cells


@torch.inference_mode()
def test_a_cut_does_not_smear() -> None:
    model = consensus()
    frames = model.normalize(torch.cat([pan(4, (2, 3), seed=1), pan(3, (2, 3), seed=2)], 1))
    votes, found = alone(model, frames), merged(model, frames)
    assert (found[3] - votes[3]).abs().max() > 1e-3
    torch.testing.assert_close(found[4], votes[4], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (101, 130)])
def test_gradients_reach_all_of_the_window(size: tuple[int, int]) -> None:
    model = consensus(weight_sets=None).train()
    frames = model.normalize(pan(4, (1, 2), size)).expand(2, -1, -1, -1, -1)
    model.forward_clip(frames, score="last").logits.square().mean().backward()  # type: ignore[no-untyped-call]
    for path in model.paths:
        for name, parameter in path.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", [SIZE, (101, 130)])
@torch.inference_mode()
def test_clips_streams_and_batches_agree(size: tuple[int, int]) -> None:
    model = consensus("td3-lite0", size=size).fuse()
    clips = torch.cat([pan(5, step, size, seed) for seed, step in enumerate([(0, 4), (3, -2)])])
    out = model.forward_clip(model.normalize(clips), batch_paths=True).logits
    for clip, expected in zip(clips, out, strict=True):
        stream = Stream(model)
        for frame, logits in zip(clip, expected, strict=True):
            image = np.ascontiguousarray(frame.permute(1, 2, 0).to(torch.uint8).numpy())
            found = F.interpolate(stream.step(image).logits, size, mode="bilinear", align_corners=True)
            torch.testing.assert_close(found[0], logits, atol=2e-3, rtol=1e-3)


@torch.inference_mode()
def test_low_precision_stays_finite() -> None:
    model = consensus()
    frames = pan(4, (2, -3))
    with torch.autocast("cpu", torch.bfloat16):
        assert merged(model, model.normalize(frames))[-1].isfinite().all()
    model = model.to(torch.bfloat16)
    assert merged(model, model.normalize(frames))[-1].isfinite().all()


def test_no_graph_holds_flow_of_the_host(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="DIS flow needs the extra 'metrics'")
    from tdseg.export import export

    model = create_model("td2-lite0", propagation="consensus", motion="dis", size=SIZE)
    with pytest.raises(ConfigError, match="motion='dis'"):
        export(model, tmp_path / "graph", to="onnx")


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "dynamic"), [("onnx", False), ("onnx", True), ("openvino", True)])
def test_graphs_agree(runtime: Any, dynamic: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    pytest.importorskip(
        "openvino" if runtime == "openvino" else "onnxruntime", reason="exports need the extra 'export'"
    )
    from tdseg.export import export
    from tdseg.runtime.exported import open_exported

    model = consensus("td3-lite0", size=SIZE, head_channels=16)
    export(model, tmp_path / "graph", to=runtime, dynamic=dynamic, agreement=0.99)
    stream, exact = Stream(open_exported(tmp_path / "graph")), Stream(model)
    frames = torch.cat([pan(4, (3, -5), seed=1), pan(2, (0, 4), seed=2)], 1)[0]
    for frame in frames:
        image = np.ascontiguousarray(frame.permute(1, 2, 0).to(torch.uint8).numpy())
        found, expected = stream.step(image).logits, exact.step(image).logits
        assert (found - expected).abs().mean() < 1e-3 * expected.abs().max()


@pytest.mark.slow
def test_nothing_but_the_network_is_quantised(tmp_path: Path) -> None:
    """Pictures, motion and merging stay in float: no quantised tensor leads past the scores to them."""
    pytest.importorskip("nncf", reason="int8 needs the extra 'export'")
    import onnx

    from tdseg.export import export

    model = consensus("td2-lite0", size=SIZE, head_channels=16)
    manifest = export(model, tmp_path / "graph", to="onnx", precision="int8", agreement=0)
    graph = onnx.load(tmp_path / "graph" / manifest.graph).graph
    makers = {name: node for node in graph.node for name in node.output}
    reached, asked = set(), [manifest.encoded[0]]
    while asked:
        node = makers.get(asked.pop())
        if node is not None and node.name not in reached:
            reached.add(node.name)
            asked.extend(node.input)
    quantised = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert quantised
    assert all(node.name in reached for node in quantised)
