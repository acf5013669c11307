"""Stream: one video's state between frames, from a frame of any size to its class mask."""

from __future__ import annotations

import io
import time
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.inference.continuity import Break, Continuity
from tdseg.inference.stages import ahead
from tdseg.masks import draw
from tdseg.masks.classmap import class_map
from tdseg.masks.legend import Legend
from tdseg.masks.palette import Colors, color_table
from tdseg.models.propagation import TDNetState
from tdseg.runtime.any_model import AnyModel, as_network
from tdseg.runtime.network import check_pair
from tdseg.video import Frame


@dataclass(frozen=True, eq=False)
class Result:
    """A frame and its class mask."""

    index: int
    """Number of the frame in its video, from 0."""
    time_s: float | None
    """Presentation time in seconds, as given to `Stream.step`."""
    frame: NDArray[np.uint8] = field(repr=False)
    """The frame itself, (H, W, 3) RGB."""
    mask: NDArray[np.uint8] = field(repr=False)
    """Class index of each pixel, (H, W)."""
    latency_ms: float
    """From the frame handed to `Stream.step` until the mask is in host memory, milliseconds."""
    age_ms: float | None = field(default=None, kw_only=True)
    """From the arrival of the frame until then, milliseconds: the wait for its turn is in it; None: arrival unknown."""
    name: str | None = field(default=None, kw_only=True)
    """Of the image file that the frame is, without suffix; None: it is none."""
    broken_by: Break | None = field(default=None, kw_only=True)
    """Why the frames before it were forgotten: another size, a gap in time, a hard cut; None: they were not."""
    logits: Tensor = field(repr=False)
    """(1, C, h, w) at the resolution of the head, on the model's device."""
    align_corners: bool = field(default=True, repr=False)
    """The outer logits lie on the corners of the frame; else each lies in the middle of an equal part."""

    classes: tuple[str, ...] = field(default=(), repr=False)
    """Their names, by index."""
    colors: Colors = field(default_factory=color_table, repr=False)
    """RGB of every mask value, (256, 3)."""

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of pixels of each mask value, (256,)."""
        return np.array(Image.fromarray(self.mask).histogram())  # half the time of bincount

    @cached_property
    def confidence(self) -> NDArray[np.float16]:
        """Probability of each pixel's class, (H, W), 0..1; computed when first asked for."""
        index = torch.from_numpy(self.mask.astype(np.int64))[None]
        with torch.inference_mode():
            scores = self._scores()
            probability = scores.softmax(0).gather(0, index.to(scores.device))[0]
        return probability.half().cpu().numpy()

    def probability(self, index: int) -> NDArray[np.float32]:
        """Probability of a class at each pixel, (H, W), 0..1."""
        with torch.inference_mode():
            return self._scores().softmax(0)[index].cpu().numpy()

    def overlay(self, opacity: float = 0.5) -> NDArray[np.uint8]:
        """The frame with the classes in colour, (H, W, 3) RGB.

        Args:
            opacity: of the colours, 0 … 1.
        """
        return draw.overlay(self.frame, self.mask, self.colors, opacity)

    def save(self, path: str | Path) -> None:
        """Write the mask as 8-bit indexed PNG: the pixel values are the classes, the palette shows them in colour.

        Raises:
            OutputError: the file cannot be written; nothing of it is left.
        """
        draw.save_mask(Path(path), self.mask, self.colors)

    def _repr_png_(self) -> bytes:
        """What a notebook shows: the overlay, its classes named."""
        picture = self.overlay()
        Legend(self.classes, self.colors).draw_on(picture, self.counts)
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        return file.getvalue()

    def _scores(self) -> Tensor:
        """(C, H, W)."""
        size = (self.mask.shape[0], self.mask.shape[1])
        return F.interpolate(self.logits.float(), size, mode="bilinear", align_corners=self.align_corners)[0]


class Stream:
    """The state of one video on its way through a model. Streams on one model, in any threads, are independent.

    Args:
        model: a TDNet in eval mode, which runs as it is (`fuse()` gives a faster one); a network that `tdseg.load`
            gave; or a function from a frame, uint8 (H, W, 3), to class scores, floats (C, h, w).
        size: (height, width) of the network's input, pixels; None: the model's own or, where frames have another shape
            and the network takes any, as many pixels in their shape.
        stills: frames are no video: each is as the first, without memory of those before it.

    Raises:
        ConfigError: a size below 64 pixels, or one that an exported model does not take; a model in training mode; or
            something that is no model or no size.
    """

    def __init__(self, model: AnyModel, size: tuple[int, int] | None = None, *, stills: bool = False) -> None:
        if isinstance(model, str | Path):
            raise ConfigError(
                f"Stream({str(model)!r})",
                expected="a model, not its name",
                do=f'load it first: tdseg.Stream(tdseg.load("{model}"))',
            )
        check_pair(size)
        self.stills = stills
        self.model = as_network(model)
        self._asked = size
        self.size = self.model.fit_size(size)
        """(height, width) of the network's input, pixels; where it follows from the frames, for the latest of them."""
        self.resets = 0
        """How many times what was remembered was forgotten in mid-stream, see `Result.broken_by`."""
        self._index = 0
        self._continuity = Continuity()
        self._state = TDNetState()
        self._classes, self._colors = self.model.config.class_names, color_table(self.model.config.palette)

    def expect(self, frame: tuple[int, int]) -> None:
        """Say of which (height, width) the frames will be, so that `size` is right before the first of them."""
        self.size = self.model.fit_size(self._asked, frame)

    def reset(self, index: int = 0) -> None:
        """Forget everything: the next frame is the first of another video, or of a part of one.

        Args:
            index: its number in its video, from 0. It says whose turn it is: a part of a video that begins m-1 frames
                early has the masks of the whole from there on.

        Raises:
            ConfigError: a number below 0.
        """
        if index < 0:
            raise ConfigError(f"reset(index={index})", expected="0 or more", do="give the number of the next frame")
        self._index, self.resets = index, 0
        self._continuity, self._state = Continuity(), self._empty(index)

    def step(self, frame: NDArray[np.uint8], *, time_s: float | None = None, arrived_s: float | None = None) -> Result:
        """Segment the next frame.

        Args:
            frame: uint8 (H, W, 3) RGB, of any size. Of another size than the one before it, after a hard cut, or after
                a gap in time, it is the first of what is remembered.
            time_s: presentation time in seconds.
            arrived_s: when it came, by `time.perf_counter()`; from then on its age counts.

        Raises:
            ConfigError: the frame has another shape or dtype.
        """
        return self._step(frame, time_s=time_s, arrived_s=arrived_s)

    def step_of(self, frame: Frame) -> Result:
        """`step` on a frame of a video, with all that is known of it: its time, its arrival, a gap before it.

        Raises:
            ConfigError: as of `step`.
        """
        return self._step(frame.image, **_about(frame))

    def ahead(self, frames: Iterable[Frame], workers: int) -> Generator[Result, None, None]:
        """`step` on each frame, with frames to come made ready meanwhile: same results, higher throughput.

        Each result is given as soon as it is there, whenever the next frame comes. Frames are read in a thread of their
        own; where the network can, up to `workers` of them are encoded at once, and a few more wait for their turn, a
        wait that is part of their latency.

        Args:
            frames: closed by the thread that reads them, as a `VideoReader` must be.
            workers: frames encoded at once.
        """
        if not self.model.concurrent:
            with closing(ahead(frames, lambda frame: frame)) as read:
                yield from map(self.step_of, read)
            return
        numbers, pool = count(self._index), ThreadPoolExecutor(workers, "tdseg-encode")

        def submit(frame: Frame) -> tuple[Frame, float, Future[Any]]:
            _check_frame(frame.image)
            return frame, time.perf_counter(), pool.submit(self._encode, frame.image, next(numbers))

        try:
            # As many wait as are encoded, and one that has no room yet: so no worker idles while a frame is merged.
            with closing(ahead(frames, submit, most=workers)) as submitted:
                for frame, start, encoded in submitted:
                    yield self._finish(frame.image, encoded.result(), start, **_about(frame))
        finally:
            pool.shutdown(cancel_futures=True)

    def _step(self, frame: NDArray[np.uint8], **about: Any) -> Result:
        start = time.perf_counter()
        _check_frame(frame)
        return self._finish(frame, self._encode(frame, self._index), start, **about)

    def _empty(self, index: int) -> TDNetState:
        """No memory, before the frame of this number."""
        return TDNetState(0 if self.stills else index % self.model.config.paths)

    def _encode(self, frame: NDArray[np.uint8], index: int) -> Any:
        """The part of a step that need not wait for its turn. It changes nothing, so any thread may do it."""
        with torch.inference_mode():
            height, width = frame.shape[:2]
            images = resized(frame, self.model.fit_size(self._asked, (height, width)))
            return self.model.encode(images, self._empty(index).path)

    def _finish(
        self,
        frame: NDArray[np.uint8],
        encoded: Any,
        start: float,
        *,
        time_s: float | None,
        arrived_s: float | None,
        part: int = 0,
        name: str | None = None,
    ) -> Result:
        """The part of a step that is done in turn: read the memory, classify, remember."""
        size = frame.shape[:2]
        broken_by = self._continuity.check(frame, time_s, part) if self.model.keeps_state and not self.stills else None
        self.resets += broken_by is not None
        if broken_by or self.stills:
            self._state = self._empty(self._index)
        self.size = self.model.fit_size(self._asked, size)
        with torch.inference_mode():
            logits, self._state = self.model.advance(encoded, self._state)
            mask = class_map(logits[0].float().cpu().numpy(), size, align_corners=self.model.align_corners)
        done = time.perf_counter()
        age_ms = None if arrived_s is None else (done - arrived_s) * 1e3
        about = self.model.align_corners, self._classes, self._colors
        latency_ms, told = (done - start) * 1e3, dict[str, Any](age_ms=age_ms, name=name, broken_by=broken_by)
        result = Result(self._index, time_s, frame, mask, latency_ms, logits, *about, **told)
        self._index += 1
        return result


def _about(frame: Frame) -> dict[str, Any]:
    """What a result says of its frame, beside the picture."""
    return {"time_s": frame.time_s, "arrived_s": frame.arrived_s, "part": frame.part, "name": frame.name}


def resized(frame: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """(H, W, 3) -> uint8 (1, 3, h, w). Resized as bytes on the CPU, so every device and runtime sees the same."""
    frame = np.require(frame, requirements=["C", "W"])  # torch knows neither negative strides nor read-only memory
    images = torch.from_numpy(frame).permute(2, 0, 1)[None]
    if images.shape[-2:] != size:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    return images


def _check_frame(frame: NDArray[np.uint8]) -> None:
    is_array = isinstance(frame, np.ndarray)
    if not is_array or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise ConfigError(
            f"a frame of {f'{frame.dtype} {frame.shape}' if is_array else type(frame).__name__}",
            expected="a numpy array, uint8 (H, W, 3), RGB, of at least one pixel",
            do="convert the frame, or leave it out if it is empty; for tensors use model.step",
        )
