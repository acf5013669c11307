"""N videos on one network, a frame of each at a time, timed stage by stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tdseg.inference.stream import resized
from tdseg.masks.classmap import class_map
from tdseg.measure.pairing import RGB
from tdseg.metrics.basic import Mask
from tdseg.models.propagation import TDNetState
from tdseg.runtime.network import Network


class StageTimes(NamedTuple):
    """Where the time of one frame of each video went, milliseconds. The sum is the latency."""

    preprocess: float
    """Resizing."""
    model: float
    """The way to the device, normalising, and the network, up to logits at the resolution of its head."""
    postprocess: float
    """The way back and the class of every pixel; ends with the masks in host memory."""

    @property
    def latency(self) -> float:
        """From the frames handed over until the masks are in host memory."""
        return sum(self)


class StreamBatch:
    """As `Stream` for one video, for N of them: one batch, whose state holds the states of all.

    Args:
        network: one of another runtime than torch takes one video.
        size: (height, width) of the network's input, pixels.

    Attributes:
        on_gpu: torch computes on a GPU, which runs behind.
    """

    def __init__(self, network: Network, size: tuple[int, int]) -> None:
        self.network, self.size = network, size
        self.on_gpu = network.runtime == "torch" and network.device.startswith("cuda")
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frames are the first of other videos."""
        self.state = TDNetState()

    def images(self, frames: Sequence[RGB]) -> Tensor:
        """N frames, uint8 (H, W, 3) of any sizes -> uint8 (N, 3, h, w)."""
        return torch.cat([resized(frame, self.size) for frame in frames])

    @torch.inference_mode()
    def step(self, frames: Sequence[RGB]) -> tuple[list[Mask], StageTimes]:
        """The masks of the next frame of each video, and the time they took.

        On a GPU the first two stages are timed by events on its own time line, which nobody waits for: the frame waits
        once, for its masks, as it would untimed. The last stage is what is left of the latency.
        """
        start = time.perf_counter()
        handed = self._mark()
        images = self.images(frames)
        prepared = self._mark()
        logits, self.state = self.network.advance(self.network.encode(images, self.state.path), self.state)
        scored = self._mark()
        scores = logits.float().cpu().numpy()  # (N, C, h, w)
        masks = [class_map(of_one, frame.shape[:2]) for of_one, frame in zip(scores, frames, strict=True)]
        latency = (time.perf_counter() - start) * 1e3
        preprocess, model = _between_ms(handed, prepared), _between_ms(prepared, scored)
        return masks, StageTimes(preprocess, model, latency - preprocess - model)

    def _mark(self) -> Any:
        """This moment: seconds, or an event of the GPU."""
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


def _between_ms(start: Any, end: Any) -> float:
    return float((end - start) * 1e3 if isinstance(start, float) else start.elapsed_time(end))
