"""From a video to its masks: decode, infer, and draw + encode + save overlap in threads, over bounded queues."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from tdseg.errors import ConfigError, OutputError
from tdseg.inference.output import STAGING, OutputFolder, Recorder, Summary, places
from tdseg.inference.ready import ReadyFor, ReadyNetwork, networks
from tdseg.inference.selection import Order
from tdseg.inference.stream import Result, Stream
from tdseg.inference.writers import writers_of
from tdseg.masks.appearance import Appearance
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution, frames_remembered
from tdseg.video import Excerpt, VideoReader, open_video
from tdseg.video.address import is_camera, is_pattern, is_url, printable

DEFAULT_MODEL = "td6-lite0s-camvid"


def segment(
    source: str | Path | int,
    model: str | Path | AnyModel = DEFAULT_MODEL,
    *,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    excerpt: Excerpt = Excerpt(),  # noqa: B008 - immutable
    deinterlace: bool = True,
    stills: bool = False,
    classes: tuple[str, ...] = (),
) -> Iterator[Result]:
    """Segment a video frame by frame in bounded memory; frames to come are made ready in threads.

    A generator: closing it stops it. Meanwhile torch has only the threads of the CPU that its share of the work needs.
    Everything runs as in the command `tdseg segment`: a name is loaded in the fastest runtime installed, not in torch
    as `tdseg.load` does unless it is told otherwise.

    Args:
        source, model, memory, size, execution, excerpt, deinterlace, stills, classes: as in `segment_all`.

    Yields:
        A Result for each frame, in order.

    Raises:
        VideoError, ConfigError, WeightsError: as in `segment_to`.

    Warns:
        UserWarning: the source gave fewer frames than it declares.
    """
    order = Order(excerpt, deinterlace, stills, classes)
    with networks(model, memory, size, execution) as ready_for, _opened(_one(source), ready_for, order) as run:
        selection = order.selection(run.stream.model.config)
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
    deinterlace: bool = True,
    stills: bool = False,
    classes: tuple[str, ...] = (),
    appearance: Appearance = Appearance(),  # noqa: B008 - immutable
    names: Literal["source", "index"] = "source",
    write: tuple[str, ...] = ("masks", "overlay"),
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Summary:
    """Segment one video into a folder: overlay.mp4, masks/000000.png …, summary.json. For several see `segment_all`.

    An interrupt (KeyboardInterrupt) ends the run early: what was done is published, marked incomplete, and the
    interrupt is raised again. A source that breaks off is published likewise, and the summary names the problem.

    Args:
        source: video file, folder or pattern of frames ('frames/*.png', frames/%05d.png), camera index, URL, or - for
            stdin.
        output: folder of the result; None: out/ and the source's name.
        model, memory, size, execution, excerpt, deinterlace, stills, classes, appearance, names, write, overwrite,
            on_progress: as in `segment_all`.

    Raises:
        VideoError: the source cannot be opened, or holds no frame.
        ConfigError, DataError, WeightsError: an output, or the model, size, device, classes or palette cannot be used.
        OutputError: the folder is in use or cannot be written.
    """
    order = Order(excerpt, deinterlace, stills, classes, appearance, names, write, overwrite)
    order.check()
    folder = default_output(source) if output is None else Path(output)
    source = _one(source)
    with networks(model, memory, size, execution) as ready_for:
        return record(ready_for, source, folder, order, on_progress)


def record(
    ready_for: ReadyFor,
    source: str | Path | int,
    output: Path,
    order: Order,
    on_progress: Callable[[int, int | None], None] | None,
) -> Summary:
    """Segment a video into a folder; see `segment_to`."""
    _keep_source(source, output)
    interrupt: KeyboardInterrupt | None = None
    with (
        _opened(source, ready_for, order) as run,
        OutputFolder(output, overwrite=order.overwrite) as folder,
    ):
        info, selection = run.reader.info, order.selection(run.stream.model.config)
        names = run.reader.names if order.names == "source" else None
        about = source, info, selection.names, selection.colors, order.appearance
        chosen = [writer(folder.staging, *about, names=names) for writer in writers_of(order.write)]
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
        summary = _summarize(run, recorder, selection.names, finished=interrupt is None)
        if names and "masks" in order.write:
            summary = replace(summary, names=names[: summary.frames])
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
    """out/NAME: the name of the file, the folder or that of a pattern; camera-0, stdin, or the last part of the URL."""
    name = printable(source)
    if is_camera(source):
        return Path("out", f"camera-{name}")
    if name == "-":
        return Path("out", "stdin")
    if is_url(name):
        url = urlsplit(name)
        return Path("out", Path(url.path).stem or url.hostname or "stream")
    path = Path(name).resolve()
    return Path("out", path.parent.name or "frames" if is_pattern(source) else path.stem)


def _keep_source(source: str | Path | int, output: Path) -> None:
    """Refuse to replace the source by its own result."""
    path = Path(str(source)).resolve()
    if any(path.is_relative_to(place.resolve()) for place in (*places(output), output / STAGING)):
        raise OutputError(
            f"source {printable(source)} is part of the former result in {output}",
            expected="an output folder that does not hold the source",
            do="choose another folder with --output",
        )


class _Run(NamedTuple):
    """A network on its way through a source."""

    ready: ReadyNetwork
    stream: Stream
    reader: VideoReader
    results: Iterator[Result]
    """Of each frame, in order."""
    started: float
    """When the first frame was asked, `time.perf_counter()`, as if the network had been ready before that."""


@contextmanager
def _opened(source: str | Path | int, ready_for: ReadyFor, order: Order) -> Iterator[_Run]:
    """The one way of a video, whatever becomes of its results."""
    begun = time.perf_counter()
    reader = open_video(source, order.excerpt, deinterlace=order.deinterlace)  # its shape chooses the network's size
    opened_s = time.perf_counter() - begun
    try:
        ready = ready_for(reader.size)
        stream = Stream(ready.network, ready.size, stills=order.stills)
        stream.expect(reader.size)
        started = time.perf_counter() - opened_s
        with closing(stream.ahead(reader, ready.workers)) as results:
            yield _Run(ready, stream, reader, results, started)
    finally:
        with suppress(ValueError):  # a silent source still holds the thread that reads it, which then closes it
            reader.close()


def _summarize(run: _Run, recorder: Recorder, classes: Sequence[str], *, finished: bool) -> Summary:
    wall_s = time.perf_counter() - run.started
    network, problem = run.stream.model, run.reader.problem
    return Summary(
        model=run.ready.name,
        source=run.reader.info.source,
        device=network.device,
        runtime=network.runtime,
        precision=network.precision,
        memory=None if run.stream.stills else frames_remembered(network),
        complete=finished and problem is None,
        problem=problem or recorder.problem,
        size=run.stream.size,
        size_changes=run.stream.resets,
        startup_s=round(run.ready.startup_s, 3),
        wall_s=round(wall_s, 3),
        fps=round(recorder.statistics.frames / wall_s, 2),
        **recorder.statistics.figures(classes),
    )
