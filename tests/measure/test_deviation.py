from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from support.small import SIZE, moving_frames, small_model
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream, resized
from tdseg.measure.deviation import deviation
from tdseg.models.propagation import TDNetState
from tdseg.runtime.torch import TorchNetwork


class Louder(TorchNetwork):
    """Logits a tenth too large."""

    def advance(self, encoded: Any, state: TDNetState) -> tuple[Tensor, TDNetState]:
        logits, state = super().advance(encoded, state)
        return 1.1 * logits, state


def test_deviation() -> None:
    exact, louder = TorchNetwork(small_model()), Louder(small_model())
    frames = list(torch.from_numpy(np.stack(moving_frames(3))).permute(0, 3, 1, 2)[:, None])
    apart = deviation(exact, louder, frames)
    assert apart.max_relative_error == pytest.approx(0.1, rel=1e-4)
    assert apart.agreement > 0.999
    assert deviation(exact, TorchNetwork(small_model()), frames) == (0.0, 1.0, None)
    with pytest.raises(ConfigError, match="no frames"):
        deviation(exact, louder, [])


def test_labels_and_resets() -> None:
    model, frames = small_model(), moving_frames(4, (80, 112))
    images = [resized(frame, SIZE) for frame in frames]
    stream, labels = Stream(model), []
    for index, frame in enumerate(frames):
        if index == 2:
            stream.reset()
        labels.append(stream.step(frame).mask)
    same = deviation(TorchNetwork(model), TorchNetwork(model), images, resets=[2], labels=labels)
    assert tuple(same) == (0, 1, 0)
    apart = deviation(TorchNetwork(model), Turned(model), images, resets=[2], labels=labels)
    assert apart.agreement < 1
    assert apart.miou_drop is not None
    assert 0 < apart.miou_drop < 100


class Turned(TorchNetwork):
    """Logits of the other side of the frame."""

    def advance(self, encoded: Any, state: TDNetState) -> tuple[Tensor, TDNetState]:
        logits, state = super().advance(encoded, state)
        return logits.flip(-1), state
