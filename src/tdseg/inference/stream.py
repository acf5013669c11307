"""Stream: one video's state between frames, from a frame of any size to its class mask."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.masks.classmap import class_map
from tdseg.models.layers import resize
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import Network
from tdseg.runtime.torch import as_network

_READY = 2
"""Frames encoded ahead that wait for their turn, or for a worker: so that none idles while another frame is merged."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a Stream says about one frame."""

    index: int
    """Frames since the stream began or was reset by its owner, from 0."""
    time_s: float | None
    """Presentation time in seconds, as given to `Stream.step`."""
    frame: NDArray[np.uint8] = field(repr=False)
    """The frame itself, (H, W, 3) RGB."""
    mask: NDArray[np.uint8] = field(repr=False)
    """Class index of each pixel, (H, W)."""
    latency_ms: float
    """From the frame handed to `Stream.step` until the mask is in host memory, milliseconds."""
    logits: Tensor = field(repr=False)
    """(1, C, h, w) at the resolution of the features, on the model's device."""

    @cached_property
    def confidence(self) -> NDArray[np.float16]:
        """Probability of each pixel's class, (H, W), 0..1; computed when first asked for."""
        height, width = self.mask.shape
        with torch.inference_mode():
            probability = resize(self.logits.float(), (height, width))[0].softmax(0).amax(0)
        return probability.half().cpu().numpy()


class Prepared(NamedTuple):
    """A frame on its way: resized, and encoded by the path whose turn it will be."""

    frame: NDArray[np.uint8]
    start: float
    """When it was handed over, `time.perf_counter()`."""
    encoded: Any
    """As the network's `encode` gives it."""


class Stream:
    """The state of one video on its way through a model. Streams on one model, in any threads, are independent.

    Args:
        model: a TDNet in eval mode, of which `fuse()` gives the fastest form; or a network in another runtime.
        size: (height, width) of the network's input, pixels; None: the model's own.

    Raises:
        ConfigError: a size below 64 pixels, or one that an exported model does not take; or a model in training mode.
    """

    def __init__(self, model: TDNet | Network, size: tuple[int, int] | None = None) -> None:
        self.model: Network = as_network(model)
        self.size = self.model.fit_size(size)
        self.resets = 0
        """How many times the frame size changed in mid-stream, which resets the state."""
        self._index = 0
        self._frame_size: tuple[int, int] | None = None
        self._state = TDNetState()

    def reset(self) -> None:
        """Forget everything: the next frame is the first of another video."""
        self._index = self.resets = 0
        self._frame_size, self._state = None, TDNetState()

    def step(self, frame: NDArray[np.uint8], *, time_s: float | None = None) -> Result:
        """Segment the next frame.

        Args:
            frame: uint8 (H, W, 3) RGB, of any size. A size other than the previous frame's resets the state.
            time_s: presentation time in seconds, handed on to the result.

        Raises:
            ConfigError: the frame has another shape or dtype.
        """
        start = time.perf_counter()
        _check_frame(frame)
        return self._finish(self._encode(frame, self._next_path(frame), start), time_s=time_s)

    def ahead(self, frames: Iterable[tuple[NDArray[np.uint8], float]], workers: int) -> Iterator[Result]:
        """`step` on each (frame, time_s), with up to `workers` frames encoded at once: same results, higher throughput.

        A few more frames may wait. A frame's latency includes its wait for its turn.
        """
        paths = self.model.config.paths
        waiting: deque[tuple[Future[Prepared], float]] = deque()
        pool = ThreadPoolExecutor(workers, "tdseg-encode")
        most = workers + (_READY if self.model.concurrent else 0)
        size, path = self._frame_size, self._state.path
        try:
            for frame, time_s in frames:
                _check_frame(frame)
                if frame.shape[:2] != size:
                    size, path = frame.shape[:2], 0
                waiting.append((pool.submit(self._encode, frame, path, time.perf_counter()), time_s))
                path = (path + 1) % paths
                while len(waiting) >= most or (waiting and waiting[0][0].done()):
                    yield self._take(waiting)
            while waiting:
                yield self._take(waiting)
        finally:
            pool.shutdown(cancel_futures=True)

    def _take(self, waiting: deque[tuple[Future[Prepared], float]]) -> Result:
        future, time_s = waiting.popleft()
        return self._finish(future.result(), time_s=time_s)

    def _next_path(self, frame: NDArray[np.uint8]) -> int:
        same_size = self._frame_size in (None, frame.shape[:2])
        return self._state.path if same_size else 0

    def _encode(self, frame: NDArray[np.uint8], path: int, start: float) -> Prepared:
        """What can be done of a frame before its turn. Changes nothing, so any thread may do it."""
        with torch.inference_mode():
            return Prepared(frame, start, self.model.encode(resized(frame, self.size), path))

    def _finish(self, prepared: Prepared, *, time_s: float | None) -> Result:
        """What must be done in turn: read the memory, classify, remember."""
        frame, start, encoded = prepared
        height, width = frame.shape[:2]
        if self._frame_size not in (None, (height, width)):
            self._state = TDNetState()
            self.resets += 1
        self._frame_size = (height, width)
        with torch.inference_mode():
            logits, self._state = self.model.advance(encoded, self._state)
            mask = class_map(logits[0].float().cpu().numpy(), (height, width))
        latency_ms = (time.perf_counter() - start) * 1e3
        result = Result(self._index, time_s, frame, mask, latency_ms, logits)
        self._index += 1
        return result


def resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """(H, W, 3) -> uint8 (1, 3, h, w). Resized as bytes on the CPU, so every device and runtime sees the same."""
    frame = np.require(frame, requirements=["C", "W"])  # torch knows neither negative strides nor read-only memory
    images = torch.from_numpy(frame).permute(2, 0, 1)[None]
    if images.shape[-2:] != size:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    return images


def _check_frame(frame: NDArray[np.uint8]) -> None:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        shown = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ConfigError(
            f"a frame of {shown}",
            expected="a numpy array, uint8 (H, W, 3), RGB",
            do="convert the frame; for tensors use model.step",
        )
    if frame.size == 0:
        raise ConfigError(f"a frame of {frame.shape}", expected="at least one pixel", do="leave empty frames out")
