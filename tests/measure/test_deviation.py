from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from support.small import moving_frames, small_model
from tdseg.errors import ConfigError
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
    assert deviation(exact, TorchNetwork(small_model()), frames) == (0.0, 1.0)
    with pytest.raises(ConfigError, match="no frames"):
        deviation(exact, louder, [])
