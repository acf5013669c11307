"""The gate: an export gives the masks of the model it was made of, or is not left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.export.footage import Footage
from tdseg.export.request import OnProgress, Request
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


def check(
    reference: Candidate,
    candidates: Sequence[tuple[tuple[int, int], Candidate]],
    request: Request,
    footage: Footage,
    on_progress: OnProgress | None,
) -> Parity:
    """The gate: how the worst of the candidates compares.

    Args:
        reference: the model.
        candidates: with the (height, width) of the input, pixels, that each is compared at.
        request: says how much of the masks must agree.
        footage: what is shown to all.
        on_progress: see `tdseg.export.export`.

    Raises:
        ConfigError: masks agree too little.
    """
    done, total = 0, len(candidates) * len(footage.frames)

    def on_frame() -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, total)

    found = [compare(reference, one, footage, size, on_frame) for size, one in candidates]
    worst = min(found, key=lambda one: one.agreement)
    if worst.agreement < request.agreement:
        lost = "" if worst.miou_drop is None else f", and {worst.miou_drop:.2f} points of mIoU are lost"
        raise ConfigError(
            f"{request.precision} masks that agree on {worst.agreement:.3%} of the pixels of {footage.name}{lost}",
            expected=f"{request.agreement:.1%} at least; nothing was left",
            do=f"accept it with --agreement {int(worst.agreement * 1000) / 1000}, or choose another precision",
        )
    return worst


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
