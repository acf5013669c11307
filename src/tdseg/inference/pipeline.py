"""From a video to its masks: decode, infer, and draw + encode + save overlap in threads, over bounded queues."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tdseg.errors import ConfigError
from tdseg.inference.ready import ReadyFor, networks
from tdseg.inference.recording import Progress, Recording, asked_of
from tdseg.inference.selection import Order, Selection
from tdseg.inference.span import results_of
from tdseg.inference.stream import Result, Stream
from tdseg.inference.summary import Summary
from tdseg.masks.appearance import Appearance
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution
from tdseg.video import Excerpt, VideoReader
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
    latest: bool | None = None,
    reconnect_s: float = 60.0,
    classes: tuple[str, ...] = (),
) -> Iterator[Result]:
    """Segment a video frame by frame in bounded memory; frames to come are made ready in threads.

    A generator: closing it stops it. Meanwhile torch has only the threads of the CPU that its share of the work needs.
    Everything runs as in the command `tdseg segment`: a name is loaded in the fastest runtime installed, not in torch
    as `tdseg.load` does unless it is told otherwise.

    Args:
        source, model, memory, size, execution, excerpt, deinterlace, stills, latest, reconnect_s,
            classes: as in `segment_all`.

    Yields:
        A Result for each frame, in order.

    Raises:
        VideoError, ConfigError, WeightsError: as in `segment_to`.

    Warns:
        UserWarning: the source gave fewer frames than it declares.
    """
    order = Order(excerpt, deinterlace, stills, classes, latest=latest, reconnect_s=reconnect_s)
    order.check()
    with (
        networks(model, memory, size, execution) as ready_for,
        _opened(_one(source), ready_for, order) as (reader, selection, results),
    ):
        yield from map(selection.of, results)
    if reader.problem:
        warnings.warn(reader.problem, stacklevel=2)


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
    latest: bool | None = None,
    reconnect_s: float = 60.0,
    classes: tuple[str, ...] = (),
    appearance: Appearance = Appearance(),  # noqa: B008 - immutable
    names: Literal["source", "index"] = "source",
    write: tuple[str, ...] = ("masks", "overlay"),
    overwrite: bool = False,
    resume: bool = False,
    on_progress: Progress | None = None,
) -> Summary:
    """Segment one video into a folder: overlay.mp4, masks/000000.png …, summary.json. For several see `segment_all`.

    An interrupt (KeyboardInterrupt) ends the run early: what was done is published, marked incomplete, and the
    interrupt is raised again; with `resume`, or where it would replace a whole result, it is kept to go on with. A
    source that breaks off is published likewise, and the summary names the problem.

    Args:
        source: video file, folder or pattern of frames ('frames/*.png', frames/%05d.png), camera index, URL, or - for
            stdin.
        output: folder of the result; None: out/ and the source's name.
        model, memory, size, execution, excerpt, deinterlace, stills, latest, reconnect_s, classes, appearance, names,
            write, overwrite, resume, on_progress: as in `segment_all`.

    Raises:
        VideoError: the source cannot be opened, or holds no frame.
        ConfigError, DataError, WeightsError: an output, or the model, size, device, classes or palette cannot be used.
        OutputError: the folder is in use or cannot be written.
    """
    order = Order(
        excerpt, deinterlace, stills, classes, appearance, names, write, overwrite, resume, latest, reconnect_s
    )
    order.check()
    folder = default_output(source) if output is None else Path(output)
    source = _one(source)
    with networks(model, memory, size, execution) as ready_for:
        return record(ready_for, source, folder, order, asked_of(model, memory, size), on_progress)


def record(
    ready_for: ReadyFor,
    source: str | Path | int,
    output: Path,
    order: Order,
    asked: dict[str, Any],
    on_progress: Progress | None = None,
    run: str | None = None,
) -> Summary:
    """Segment a video into a folder, here and in order; see `segment_to`.

    Args:
        ready_for: gives the network.
        source, output, order, asked, run: as of `Recording`.
        on_progress: as in `segment_all`.
    """
    with Recording(source, output, order, asked, run) as recording:
        if recording.finished:
            return recording.finished
        try:
            while spans := recording.missing():
                for span in spans:
                    recording.make(span, ready_for, on_progress)
        except KeyboardInterrupt as interrupt:
            summary = recording.break_off(interrupt)
            raise KeyboardInterrupt(f"{summary.frames} frames are in {output}") from interrupt
        return recording.finish()


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
    path = Path(os.path.realpath(name))
    return Path("out", path.parent.name or "frames" if is_pattern(source) else path.stem)


@contextmanager
def _opened(
    source: str | Path | int, ready_for: ReadyFor, order: Order
) -> Iterator[tuple[VideoReader, Selection, Iterator[Result]]]:
    """A network on its way through a source, whatever becomes of its results."""
    reader = order.open(source)  # its shape chooses the network's size
    try:
        latest = order.skips(reader)
        ready = ready_for(reader.size, at_once=not latest)
        stream = Stream(ready.network, ready.size, stills=order.stills)
        with results_of(stream, reader, ready.workers, latest=latest) as (results, _):
            yield reader, order.selection(stream.model.config), results
    finally:
        with suppress(ValueError):  # a silent source still holds the thread that reads it, which then closes it
            reader.close()
