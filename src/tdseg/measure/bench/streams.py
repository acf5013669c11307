"""N videos at once: where their frames come from, and the way of these through one network, timed stage by stage."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.inference.stream import resized
from tdseg.masks import draw
from tdseg.masks.classmap import class_map
from tdseg.masks.palette import Color, color_table
from tdseg.metrics.basic import Mask
from tdseg.models.propagation import TDNetState
from tdseg.runtime.network import Network
from tdseg.video import Frame, VideoReader, VideoWriter, open_video
from tdseg.video.address import is_camera
from tdseg.video.pictures import RGB

PERIOD = 4
"""Different pictures, shown again and again; few, for their memory is part of the peak."""


class Feed:
    """The frames of N streams, and the place for their masks.

    Each stream decodes the source for itself, and encodes an overlay that is thrown away at the end. Without a source
    there are made-up pictures, made before anything is timed, and masks are dropped.
    Iterating gives a list of N frames, uint8 (H, W, 3), at a time.

    Args:
        source: as in `open_video`; None: made-up pictures.
        streams: N.
        rate: frames per second that come, as of a camera: each is waited for, and left out where a newer one has come;
            None: there is always a next one.

    Attributes:
        arrived_s: when the frames that were given last came, by `time.perf_counter()`, at a rate.
        waited_s: how long they were waited for, seconds.
        skipped: frames that were left out.
        frame_size: (height, width) of the frames of a source, pixels; None without one.
        size: (height, width) of the frames, after `show`.
        name: of the source; None for made-up pictures.

    Raises:
        VideoError: the source cannot be opened, or holds no frame.
        ConfigError: several streams of a source that can be opened only once.
    """

    def __init__(self, source: str | Path | int | None, streams: int, rate: float | None = None) -> None:
        if streams > 1 and (source == "-" or (source is not None and is_camera(source))):
            raise ConfigError(
                f"{streams} streams from {source!r}",
                expected="a source that can be opened several times",
                do="give a video file, or --streams 1",
            )
        self.streams, self.rate = streams, rate
        self.arrived_s = self.waited_s = 0.0
        self.skipped = 0
        self.frame_size: tuple[int, int] | None = None
        self.name: str | None = None
        self._frames: tuple[Frame, ...] = ()
        self._readers: list[VideoReader] = []
        self._writers: list[VideoWriter] = []
        with ExitStack() as opened:  # closes what is open, should the next one fail
            if source is not None:
                self._readers = [opened.enter_context(open_video(source)) for _ in range(streams)]
                folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tdseg-bench-")))
                info = self._readers[0].info
                self.frame_size, self.name = (info.height, info.width), info.source
                self._writers = [
                    opened.enter_context(VideoWriter(folder / f"{index}.mp4", size=self.frame_size, fps=info.fps))
                    for index in range(streams)
                ]
            self._open = opened.pop_all()

    def show(self, size: tuple[int, int], palette: Sequence[Color]) -> None:
        """Before the first frame: the (height, width) of made-up pictures, pixels, and the colours of the overlay."""
        self.size, self._colors = size, color_table(palette)

    @cached_property
    def pictures(self) -> list[list[RGB]]:
        """PERIOD times a made-up frame for each stream; the warm-up takes them whatever the source."""
        height, width = self.size
        random = torch.Generator().manual_seed(0)
        blobs = 255 * torch.rand(self.streams, 3, 2 + height // 32, 2 + width // 32, generator=random)
        images = F.interpolate(blobs, self.size, mode="bilinear").to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [list(np.roll(images, 4 * index, axis=2)) for index in range(PERIOD)]

    def __iter__(self) -> Iterator[list[RGB]]:
        frames = self._decoded() if self._readers else cycle(self.pictures)
        return frames if self.rate is None else self._paced(frames, self.rate)

    def _decoded(self) -> Iterator[list[RGB]]:
        for frames in zip(*self._readers, strict=False):
            self._frames = frames
            yield [frame.image for frame in frames]

    def _paced(self, frames: Iterator[list[RGB]], rate: float) -> Iterator[list[RGB]]:
        """Of frames that come at a rate, the newest whenever one is asked for."""
        begun = time.perf_counter()
        for number, images in enumerate(frames):
            self.waited_s = begun + number / rate - time.perf_counter()
            if self.waited_s <= -1 / rate:
                self.skipped += 1
                continue
            self.waited_s = max(0.0, self.waited_s)
            time.sleep(self.waited_s)
            self.arrived_s = begun + number / rate
            yield images

    def put(self, masks: Sequence[Mask]) -> None:
        """Draw and encode the overlays of the frames that were given last."""
        for writer, frame, mask in zip(self._writers, self._frames, masks, strict=False):
            writer.write(draw.overlay(frame.image, mask, self._colors), frame.time_s)

    def close(self) -> None:
        """Finish the overlays, throw them away, and close the source. A second call does nothing."""
        self._open.close()


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
        aligned = self.network.align_corners
        masks = [
            class_map(of_one, frame.shape[:2], align_corners=aligned)
            for of_one, frame in zip(scores, frames, strict=True)
        ]
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
