"""From a video to its masks: decode, infer, and draw + encode + save overlap in threads, over bounded queues."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import torch

from tdseg.errors import ConfigError, OutputError
from tdseg.inference.output import STAGING, OutputFolder, Recorder, Summary, places
from tdseg.inference.selection import Order, Selection
from tdseg.inference.stream import Result, Stream
from tdseg.inference.writers import writers_of
from tdseg.masks.appearance import Appearance
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution, Network, frames_remembered
from tdseg.system import cpu_threads, keep_freed_memory
from tdseg.video import Excerpt, VideoReader, open_video
from tdseg.zoo.load import prepare

DEFAULT_MODEL = "td6-lite0s-camvid"
MOST_WORKERS = 4
"""Frames encoded at once; more would only add memory and latency."""


def segment(
    source: str | Path | int,
    model: str | Path | AnyModel = DEFAULT_MODEL,
    *,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    excerpt: Excerpt = Excerpt(),  # noqa: B008 - immutable
    classes: tuple[str, ...] = (),
) -> Iterator[Result]:
    """Segment a video frame by frame in bounded memory; frames to come are made ready in threads.

    A generator: closing it stops it. Meanwhile torch has only the threads of the CPU that its share of the work needs.
    Everything runs as in the command `tdseg segment`: a name is loaded in the fastest runtime installed, not in torch
    as `tdseg.load` does unless it is told otherwise.

    Args:
        source, model, memory, size, execution, excerpt, classes: as in `segment_all`.

    Yields:
        A Result for each frame, in order.

    Raises:
        VideoError, ConfigError, WeightsError: as in `segment_to`.

    Warns:
        UserWarning: the source gave fewer frames than it declares.
    """
    source = _one(source)
    with made_ready(model, memory, size, execution) as ready:
        selection = Selection(ready.network.config, classes, Appearance())
        with _opened(source, ready, excerpt) as run:
            yield from map(selection.of, run.results)
    if run.reader.problem:
        warnings.warn(run.reader.problem, stacklevel=2)


def segment_to(
    source: str | Path | int,
    output: str | Path | None = None,
    *,
    model: str | Path | AnyModel = DEFAULT_MODEL,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    excerpt: Excerpt = Excerpt(),  # noqa: B008 - immutable
    classes: tuple[str, ...] = (),
    appearance: Appearance = Appearance(),  # noqa: B008 - immutable
    write: tuple[str, ...] = ("masks", "overlay"),
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Summary:
    """Segment one video into a folder: overlay.mp4, masks/000000.png …, summary.json. For several see `segment_all`.

    An interrupt (KeyboardInterrupt) ends the run early: what was done is published, marked incomplete, and the
    interrupt is raised again. A source that breaks off is published likewise, and the summary names the problem.

    Args:
        source: video file, folder of frames, camera index, URL, or - for stdin.
        output: folder of the result; None: out/ and the source's name.
        model, memory, size, execution, excerpt, classes, appearance, write, overwrite, on_progress: as in
            `segment_all`.

    Raises:
        VideoError: the source cannot be opened, or holds no frame.
        ConfigError, DataError, WeightsError: an output, or the model, size, device, classes or palette cannot be used.
        OutputError: the folder is in use or cannot be written.
    """
    order = Order(excerpt, classes, appearance, write, overwrite)
    order.check()
    folder = default_output(source) if output is None else Path(output)
    _keep_source(_one(source), folder)
    with made_ready(model, memory, size, execution) as ready:
        return record(ready, order.selection(ready.network.config), source, folder, order, on_progress)


def record(
    ready: ReadyNetwork,
    selection: Selection,
    source: str | Path | int,
    output: Path,
    order: Order,
    on_progress: Callable[[int, int | None], None] | None,
) -> Summary:
    """Segment a video into a folder; see `segment_to`."""
    _keep_source(source, output)
    interrupt: KeyboardInterrupt | None = None
    with (
        _opened(source, ready, order.excerpt) as run,
        OutputFolder(output, overwrite=order.overwrite) as folder,
    ):
        info = run.reader.info
        about = source, info, selection.names, selection.colors, order.appearance
        chosen = [writer(folder.staging, *about) for writer in writers_of(order.write)]
        recorder = Recorder(folder, chosen)
        try:
            with recorder:
                for result in map(selection.of, run.results):
                    recorder.put(result)
                    if on_progress:
                        on_progress(result.index + 1, info.num_frames)
        except KeyboardInterrupt as error:
            if not recorder.statistics.frames:
                raise
            interrupt = error
        summary = _summarize(ready, run, recorder, selection.names, finished=interrupt is None)
        folder.publish(summary)
    if interrupt:
        raise KeyboardInterrupt(f"{summary.frames} frames are in {output}") from interrupt
    return summary


def _one(source: str | Path | int) -> str | Path | int:
    """The source, if it is one."""
    if isinstance(source, str | Path | int):
        return source
    raise ConfigError(
        f"a source of type {type(source).__name__}",
        expected="a path, URL, camera index or - for stdin",
        do="give several sources to tdseg.segment_all; step a tdseg.Stream with frames that you have",
    )


def default_output(source: str | Path | int) -> Path:
    """out/NAME: the file's or folder's name, or camera-0, stdin, or the last part of the URL."""
    name = str(source)
    if name.isdigit():
        return Path("out", f"camera-{name}")
    if name == "-":
        return Path("out", "stdin")
    if "://" in name:
        url = urlsplit(name)
        return Path("out", Path(url.path).stem or url.hostname or "stream")
    return Path("out", Path(name).resolve().stem)


def _keep_source(source: str | Path | int, output: Path) -> None:
    """Refuse to replace the source by its own result."""
    path = Path(str(source)).resolve()
    if any(path.is_relative_to(place.resolve()) for place in (*places(output), output / STAGING)):
        raise OutputError(
            f"source {source} is part of the former result in {output}",
            expected="an output folder that does not hold the source",
            do="choose another folder with --output",
        )


class ReadyNetwork(NamedTuple):
    """A network that has run once, for any number of videos one after the other."""

    network: Network
    name: str
    """As it was given."""
    size: tuple[int, int] | None
    """(height, width) that was asked for."""
    workers: int
    """Frames encoded at once."""
    startup_s: float
    """Loading the network and running it for the first time, seconds."""


@contextmanager
def made_ready(
    model: str | Path | AnyModel,
    memory: int | None,
    size: tuple[int, int] | None,
    execution: Execution,
) -> Iterator[ReadyNetwork]:
    """Load a network and warm it up; at the end torch has its threads back."""
    begun = time.perf_counter()
    keep_freed_memory()
    with cpu_threads(execution.threads) as available:
        workers = min(available, MOST_WORKERS)
        network = prepare(model, replace(execution, threads=available), memory=memory, size=size, workers=workers)
        # Two frames on a thread each are faster than one frame on two, which wait for each other at every layer, and on
        # busy cores wait long. Other runtimes have threads of their own.
        torch.set_num_threads(available // workers if network.runtime == "torch" else 1)
        warm_up(Stream(network, size))
        name = str(model) if isinstance(model, str | Path) else network.config.name
        yield ReadyNetwork(network, name, size, workers, time.perf_counter() - begun)


class _Run(NamedTuple):
    """A network on its way through a source."""

    stream: Stream
    reader: VideoReader
    results: Iterator[Result]
    """Of each frame, in order."""
    started: float
    """When the first frame was asked, `time.perf_counter()`."""


@contextmanager
def _opened(source: str | Path | int, ready: ReadyNetwork, excerpt: Excerpt) -> Iterator[_Run]:
    """The one way of a video, whatever becomes of its results."""
    stream = Stream(ready.network, ready.size)
    started = time.perf_counter()
    reader = open_video(source, excerpt)
    try:
        with closing(stream.ahead(reader, ready.workers)) as results:
            yield _Run(stream, reader, results, started)
    finally:
        with suppress(ValueError):  # a silent source still holds the thread that reads it, which then closes it
            reader.close()


def warm_up(stream: Stream) -> None:
    """Run every path once, so that one-time costs count as start-up and not as the first frames' latency."""
    other = Stream(stream.model, stream.size)  # its own for frames that are not known yet
    try:
        for _ in range(stream.model.config.paths):
            other.step(np.zeros((8, 8, 3), np.uint8))  # resized to the network's size, as any frame
    except RuntimeError as error:  # torch's, of no memory or of more pixels than it can count
        raise ConfigError(
            f"size {stream.size[0]}x{stream.size[1]}, at which the network does not run: {str(error).splitlines()[0]}",
            expected="a size for which there is memory",
            do="choose a smaller --size",
        ) from error


def _summarize(
    ready: ReadyNetwork, run: _Run, recorder: Recorder, classes: Sequence[str], *, finished: bool
) -> Summary:
    wall_s = time.perf_counter() - run.started
    network, problem = run.stream.model, run.reader.problem
    return Summary(
        model=ready.name,
        source=run.reader.info.source,
        device=network.device,
        runtime=network.runtime,
        precision=network.precision,
        memory=frames_remembered(network),
        complete=finished and problem is None,
        problem=problem or recorder.problem,
        size=run.stream.size,
        size_changes=run.stream.resets,
        startup_s=round(ready.startup_s, 3),
        wall_s=round(wall_s, 3),
        fps=round(recorder.statistics.frames / wall_s, 2),
        **recorder.statistics.figures(classes),
    )
