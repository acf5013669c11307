"""OpenVINO's graph with the state inside, as the gate runs it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tdseg.export.footage import Image
from tdseg.runtime.openvino import compile_graph


class Stateful:
    """One video on its way through such a graph; see `tdseg.export.parity.Candidate`."""

    def __init__(self, graph: Path) -> None:
        self._request = compile_graph(graph).create_infer_request()

    def reset(self) -> None:
        """Forget everything."""
        self._request.reset_state()

    def step(self, image: Image) -> Tensor:
        """Logits (1, C, u·h, u·w) of the next frame, uint8 (h, w, 3)."""
        return torch.tensor(self._request.infer([image[None]])[0])
