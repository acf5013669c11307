"""A third kind of propagation is one class and one entry: it steps, streams, exports and knows its layout."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from support.small import SIZE, moving_frames
from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.models.propagation import PROPAGATIONS
from tdseg.models.propagation.base import Memory, PathView, Propagation, StateTensor
from tdseg.models.tdnet import TDNet
from tdseg.zoo.catalog import create_model


class Scores(NamedTuple):
    value: Tensor


class ScoreEncoder(nn.Module):
    def forward(self, view: PathView) -> Scores:
        return Scores(view.feature)


class LastTwo(Propagation[Scores]):
    """The mean of the class scores of this frame and of the one before."""

    after_head = True

    @staticmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        assert channels == config.num_classes
        return ScoreEncoder()

    @staticmethod
    def layout(config: ModelConfig, cells: tuple[int, int]) -> tuple[StateTensor, ...]:
        height, width = (config.head_upscale * n for n in cells)
        return StateTensor("scores", (1, config.num_classes, height, width)), StateTensor("frames", (1, 1, 1, 1))

    def merge(self, code: Scores, aligned: Memory) -> Tensor:
        scores, frames = aligned
        return (code.value + frames * scores) / (1 + frames)

    def remember(self, code: Scores, aligned: Memory) -> Memory:
        return code.value, torch.ones_like(aligned[1])


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> TDNet:
    monkeypatch.setitem(PROPAGATIONS, "last two", LastTwo)
    torch.manual_seed(0)
    return create_model("td2-lite0", propagation="last two", size=SIZE, weight_sets=None)


@torch.inference_mode()
def test_steps_and_clips(model: TDNet) -> None:
    frames = torch.randn(2, 4, 3, *SIZE)
    alone = [model.step(frames[:, t], model.initial_state(t % 2))[0] for t in range(4)]
    out = model.forward_clip(frames, batch_paths=True)
    torch.testing.assert_close(out.logits[:, 0], alone[0], atol=1e-5, rtol=1e-4)
    for t in range(1, 4):
        torch.testing.assert_close(out.logits[:, t], (alone[t - 1] + alone[t]) / 2, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_exports(model: TDNet, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    from tdseg.export import export
    from tdseg.runtime.exported import open_exported

    export(model, tmp_path / "any", to="onnx", dynamic=True)
    stream, exact = Stream(open_exported(tmp_path / "any")), Stream(model)
    for frame in moving_frames(4):
        found, expected = stream.step(frame).logits, exact.step(frame).logits
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


class Unmapped(LastTwo):
    """Its values are the features themselves, whatever d_v is."""

    after_head = False

    @staticmethod
    def make_encoder(config: ModelConfig, channels: int) -> nn.Module:
        return ScoreEncoder()


def test_values_of_other_channels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROPAGATIONS, "unmapped", Unmapped)
    model = create_model("td2-lite0", propagation="unmapped", size=SIZE, d_v=64)
    with pytest.raises(ConfigError, match="made values of 128 channels"):
        model.step(torch.zeros(1, 3, *SIZE))
