"""Frames in a row on their way through a network into the parts of a result, from any frame of a video on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tdseg.errors import OutputError
from tdseg.inference.newest import NewestFrames
from tdseg.inference.parts import NetworkFacts, ResultParts
from tdseg.inference.ready import ReadyNetwork
from tdseg.inference.recorder import Recorder
from tdseg.inference.selection import Order
from tdseg.inference.stream import Result, Stream
from tdseg.inference.writers import About, writers_of
from tdseg.runtime.network import frames_remembered, reach
from tdseg.video import Frame, VideoInfo, VideoReader, open_video


class Job(NamedTuple):
    """A video that is to be segmented into a folder; it travels to other processes."""

    source: str | Path | int
    info: VideoInfo
    """Of what is asked for of it."""
    order: Order
    output: Path
    """Folder of its result."""
    times: list[float] | None = None
    """Of all its frames, seconds, where the video can be entered at any of them; None: it is read from its start."""
    latest: bool = False
    """Of its frames only the newest, whenever there is time for one."""
    network: NetworkFacts | None = None
    """Of the parts that are there; None: any may make them."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its first frame, pixels."""
        return self.info.height, self.info.width

    @property
    def parts(self) -> ResultParts:
        """Of its result."""
        return ResultParts(self.output)

    def about(self, network: NetworkFacts) -> About:
        """What the outputs are told, given what the network knows."""
        selection, by_name = self.order.selection(network), self.order.names == "source"
        return About(self.source, self.info, selection.names, selection.colors, self.order.appearance, by_name)


class Span(NamedTuple):
    """Frames in a row."""

    first: int
    """A multiple of PART_FRAMES."""
    end: int | None
    """The one after the last; None: to the end of the video, wherever that is."""


def make_span(
    job: Job,
    span: Span,
    ready: ReadyNetwork,
    reader: VideoReader | None = None,
    on_frame: Callable[[int, int | None], None] = lambda done, skipped: None,
) -> None:
    """Make the parts of a span.

    The network begins as many frames early as its memory reaches back, one more, with which the first is compared, and
    one more, without which none is known to follow a gap.

    Args:
        job: whose parts.
        span: which.
        ready: the network.
        reader: of the whole video, if it is open and nothing was read of it; it is closed.
        on_frame: called with the number of frames that are done, those before the span included, and of those that
            were skipped, as newer ones were there; None where none is.

    Raises:
        VideoError, ConfigError, OutputError: as of `segment_to`; or the parts that are there are of another network.
    """
    stream, facts = _stream(job, ready)
    if job.network and job.network != facts:
        raise differs(job.output, job.network, facts)
    far = 1 if stream.stills else reach(ready.network)
    begin = 0 if far is None else max(0, span.first - far - 1)
    stream.reset(begin)
    writers, selection = writers_of(job.order.write), job.order.selection(facts)
    with (
        _frames(job, begin, span.end, reader) as (frames, problem),
        results_of(stream, frames, ready.workers, latest=job.latest) as (results, skipped),
        Recorder(job.parts, writers, job.about(facts), facts, span.first) as recorder,
    ):
        index = begin - 1
        for result in map(selection.of, results):
            index = result.index
            recorder.put(result)
            if index >= span.first:
                on_frame(index + 1, skipped())
        if span.end is None or index + 1 < span.end:
            recorder.end(problem())


@contextmanager
def results_of(
    stream: Stream, frames: Iterable[Frame], workers: int, *, latest: bool
) -> Iterator[tuple[Iterator[Result], Callable[[], int | None]]]:
    """The results of frames: of all, or of the newest whenever there is time; and what counts those skipped."""
    if not latest:
        with closing(stream.ahead(frames, workers)) as results:
            yield results, lambda: None
        return
    with closing(NewestFrames(frames)) as newest:
        yield map(stream.step_of, newest), lambda: newest.skipped


def differs(output: Path, one: NetworkFacts, other: NetworkFacts) -> OutputError:
    """The error for parts that do not belong together."""
    ran = [f"{facts.runtime} {facts.precision} at {facts.size[0]}x{facts.size[1]}" for facts in (one, other)]
    return OutputError(
        f"parts of {output} ran in {ran[0]}, others in {ran[1]}",
        expected="one network, which runs in the same way everywhere",
        do="name the runtime with --runtime, and begin anew with --overwrite",
    )


def _stream(job: Job, ready: ReadyNetwork) -> tuple[Stream, NetworkFacts]:
    """A stream for a video, and what its network runs as."""
    network = ready.network
    stream = Stream(network, ready.size, stills=job.order.stills)
    stream.expect(job.size)
    facts = NetworkFacts(
        device=network.device,
        runtime=network.runtime,
        precision=network.precision,
        memory=None if stream.stills else frames_remembered(network),
        size=stream.size,
        class_names=network.config.class_names,
        palette=network.config.palette,
    )
    return stream, facts


@contextmanager
def _frames(
    job: Job, begin: int, end: int | None, reader: VideoReader | None
) -> Iterator[tuple[Iterator[Frame], Callable[[], str | None]]]:
    """The frames of a video from one to another, and what says afterwards what was wrong with it."""
    excerpt, skip = job.order.excerpt, begin
    if job.times and begin < len(job.times):
        stop = excerpt.end if end is None else job.times[end]
        excerpt, skip = replace(excerpt, start=job.times[begin] if begin else excerpt.start, end=stop), 0
        if reader and (begin or end is not None):
            reader.close()
            reader = None
    reader = reader or open_video(job.source, excerpt, deinterlace=job.order.deinterlace)
    try:
        yield _skipped(reader, skip), lambda: reader.problem
    finally:
        with suppress(ValueError):  # a silent source still holds the thread that reads it, which then closes it
            reader.close()


def _skipped(reader: VideoReader, count: int) -> Generator[Frame, None, None]:
    """The frames but for so many; closes the reader."""
    with closing(reader):
        yield from islice(reader, count, None)
