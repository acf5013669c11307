"""The gate: an export gives the masks of the model it was made of, or is not left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.export.footage import Footage
from tdseg.inference.stream import resized
from tdseg.measure.deviation import Candidate, deviation
from tdseg.models.propagation import TDNetState
from tdseg.runtime.manifest import Parity
from tdseg.runtime.openvino import compile_graph


class StatefulGraph:
    """OpenVINO's graph with the state inside, for one video; see `tdseg.measure.deviation.Candidate`."""

    align_corners = True

    def __init__(self, graph: Path) -> None:
        self._request = compile_graph(graph).create_infer_request()

    def encode(self, images: Tensor, path: int) -> NDArray[np.uint8]:
        """uint8 (1, 3, h, w) -> (1, h, w, 3): the graph does all in its turn, and knows whose that is."""
        return images.permute(0, 2, 3, 1).contiguous().numpy()

    def advance(self, encoded: NDArray[np.uint8], state: TDNetState) -> tuple[Tensor, TDNetState]:
        """Logits (1, C, u·h, u·w), and a state that only says that there is one."""
        if not state.memory:
            self._request.reset_state()
        logits = torch.tensor(self._request.infer([encoded])[0])
        return logits, TDNetState(memory=(logits,))


def compare(
    reference: Candidate, candidate: Candidate, footage: Footage, size: tuple[int, int], on_frame: Callable[[], None]
) -> Parity:
    """Show footage to both, with a reset in the middle, and compare logits and masks.

    Args:
        reference: what is right: the model.
        candidate: what was exported.
        footage: frames of any size.
        size: (height, width) of the networks' input, pixels.
        on_frame: called after each frame.
    """

    def images() -> Iterator[Tensor]:
        for frame in footage.frames:
            yield resized(frame, size)
            on_frame()

    resets = [len(footage.frames) // 2]
    found = deviation(reference, candidate, images(), resets=resets, labels=footage.labels)
    return Parity(
        source=footage.name,
        frames=len(footage.frames),
        resets=len(resets),
        agreement=round(found.agreement, 6),
        max_relative_error=float(f"{found.max_relative_error:.3g}"),
        miou_drop=None if found.miou_drop is None else round(found.miou_drop, 3),
    )
