"""Networks made ready for videos: loaded, warmed up, for the shape of their frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from tdseg.errors import ConfigError, first_line
from tdseg.inference.stream import Stream
from tdseg.models.subnets import SubNetwork
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution, Network, size_for
from tdseg.system import cpu_threads, keep_freed_memory
from tdseg.zoo.load import prepare

FEWEST_WORKERS, MOST_WORKERS = 2, 4
"""Frames encoded at once; more would only add memory and latency. On a single thread two as well: a graph that is cut
for that rounds otherwise than a whole one, in int8 a pixel in fifty, and masks are not to depend on threads."""


_SHAPES = ((64, 512), (512, 64))
"""(height, width) of frames of very different shapes, pixels."""


class ReadyNetwork(NamedTuple):
    """A network that has run once, for any number of videos one after the other."""

    network: Network
    name: str
    """As it was given."""
    size: tuple[int, int] | None
    """(height, width) that was asked for."""
    frame: tuple[int, int]
    """(height, width) of the frames it was made ready for; others of about their shape are resized to the same."""
    workers: int
    """Frames encoded at once."""
    startup_s: float
    """Loading the network and running it for the first time, seconds."""


class ReadyFor(Protocol):
    """A source of networks that are ready for frames."""

    def __call__(self, frame: tuple[int, int], *, at_once: bool = True) -> ReadyNetwork:
        """The network, loaded and warmed up.

        Args:
            frame: (height, width) of the frames, pixels.
            at_once: several are encoded at once, for throughput; else one by all threads, for the least latency.
        """


@contextmanager
def networks(
    model: str | Path | AnyModel, memory: int | None, size: tuple[int, int] | None, execution: Execution
) -> Iterator[ReadyFor]:
    """What loads a network and warms it up, and again for frames of another shape; at the end torch has its threads."""
    keep_freed_memory()
    with cpu_threads(execution.threads) as available:
        threads = replace(execution, threads=available)
        last: ReadyNetwork | None = None

        def ready_for(frame: tuple[int, int], *, at_once: bool = True) -> ReadyNetwork:
            nonlocal last
            workers = min(max(available, FEWEST_WORKERS), MOST_WORKERS) if at_once else 1
            if last and last.workers == workers and (size or _serves(last, frame)):
                return last
            last, begun = None, time.perf_counter()
            network = prepare(model, threads, memory=memory, size=size, frame=frame, workers=workers)
            # Two frames on a thread each are faster than one frame on two, which wait for each other at every layer,
            # and on busy cores wait long. Other runtimes have threads of their own.
            torch.set_num_threads(max(1, available // workers) if network.runtime == "torch" else 1)
            stream = Stream(network, size)
            stream.expect(frame)
            warm_up(stream)
            name = str(model) if isinstance(model, str | Path) else network.config.name
            last = ReadyNetwork(network, name, size, frame, workers, time.perf_counter() - begun)
            return last

        yield ready_for


def _serves(ready: ReadyNetwork, frame: tuple[int, int]) -> bool:
    """Whether a network resizes frames of this (height, width) as one that is loaded for them."""
    network, own = ready.network, ready.network.config.size
    sizes = {size_for(own, shape, SubNetwork.stride) for shape in (frame, ready.frame)}
    return len(sizes) == 1 or len({network.fit_size(None, shape) for shape in _SHAPES}) > 1


def warm_up(stream: Stream) -> None:
    """Run every path once, so that one-time costs count as start-up and not as the first frames' latency."""
    other = Stream(stream.model, stream.size)  # its own for frames that are not known yet
    try:
        for _ in range(stream.model.config.paths):
            other.step(np.zeros((8, 8, 3), np.uint8))  # resized to the network's size, as any frame
    except RuntimeError as error:  # torch's, of no memory or of more pixels than it can count
        raise ConfigError(
            f"size {stream.size[0]}x{stream.size[1]}, at which the network does not run: {first_line(error)}",
            expected="a size for which there is memory",
            do="choose a smaller --size",
        ) from error
