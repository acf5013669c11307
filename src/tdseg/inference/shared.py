"""Videos segmented by many processes: whole ones and, where there are few, spans of each, with the same masks."""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from tdseg.errors import TdsegError, WorkerError
from tdseg.inference.distribution import Crew
from tdseg.inference.parts import PART_FRAMES, ResultParts
from tdseg.inference.pipeline import record
from tdseg.inference.ready import ReadyFor, networks
from tdseg.inference.recording import Progress, Recording
from tdseg.inference.selection import Order
from tdseg.inference.span import Job, Span, make_span
from tdseg.inference.summary import SUMMARY, Summary
from tdseg.runtime.network import Execution, reach
from tdseg.zoo.resolve import resolve

SHORTEST_SPAN = 3 * PART_FRAMES
"""Frames; what is decoded before a span for it alone weighs too much for shorter ones."""
SPANS_EACH = 2
"""Spans of long videos for each worker: those who are done early have something to do."""
FEW = 4
"""Below so many videos for each worker they are cut, which needs one process that sees to each."""
TELL_S = 0.5
"""From one look at what is done to the next, seconds."""


class NetworkOrder(NamedTuple):
    """A network as `networks` takes it; it travels to other processes."""

    model: str | Path
    memory: int | None
    size: tuple[int, int] | None
    execution: Execution


class Video(NamedTuple):
    """A video and where its result goes."""

    source: str | Path | int
    output: Path


def segment_shared(
    crew: Crew,
    network: NetworkOrder,
    videos: Sequence[Video],
    order: Order,
    asked: dict[str, Any],
    on_progress: Progress | None,
) -> list[Summary | Exception]:
    """Segment videos, each into its folder, by many processes.

    Args:
        crew: these.
        network: what segments.
        videos: each once.
        order, asked: as of `Recording`.
        on_progress: called now and then with the number of frames that are done of all videos, and the number of all,
            None where unknown.

    Returns:
        What became of each.

    Raises:
        KeyboardInterrupt: as of `segment_to`.
    """
    with ExitStack() as stack:
        total: int | None = None
        if len(videos) >= FEW * crew.workers:
            run = uuid4().hex
            shares: Sequence[_Share] = [_WholeVideo(video, network, order, asked, run) for video in videos]
        else:
            cut = [_CutVideo(video, network, Recording(*video, order, asked)) for video in videos]
            total = _cut(cut, stack, crew, network)
            shares = cut
        try:
            _work(crew, shares, on_progress, total)
        except KeyboardInterrupt as interrupt:
            crew.stop()
            raise KeyboardInterrupt("; ".join(filter(None, (share.break_off(interrupt) for share in shares)))) from None
    return [share.ended() for share in shares]


def _work(crew: Crew, shares: Sequence[_Share], on_progress: Progress | None, total: int | None) -> None:
    """Have all tasks done."""
    under_way: dict[Future[Any], _Share] = {}
    told_s = time.monotonic()

    def start(share: _Share) -> None:
        with share.blamed():
            tasks = {crew.start(*task): share for task in share.tasks()}
            share.under_way = len(tasks)
            under_way.update(tasks)

    for share in shares:
        start(share)
    while under_way:
        for task in wait(under_way, TELL_S, FIRST_COMPLETED).done:
            share = under_way.pop(task)
            share.under_way -= 1
            with share.blamed():
                share.take(crew.outcome(task))
            if share.outcome is None and not share.under_way:
                start(share)
        if on_progress and (not under_way or time.monotonic() >= told_s + TELL_S):
            told_s = time.monotonic()
            on_progress(sum(share.frames() for share in shares), total)


class _Share(ABC):
    """A video, as tasks."""

    outcome: Summary | Exception | None = None
    under_way = 0
    """Tasks that have not ended."""

    def __init__(self, video: Video, network: NetworkOrder) -> None:
        self.video, self.network = video, network

    @abstractmethod
    def tasks(self) -> list[tuple[Any, ...]]:
        """Functions with their arguments, which are to be done next; none where there is an outcome."""

    @abstractmethod
    def take(self, value: Any) -> None:
        """What a task gave."""

    def break_off(self, interrupt: KeyboardInterrupt) -> str:
        """End it early, and say what there is."""
        return ""

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """An error in this ends the video, whatever it is, and no other."""
        try:
            yield
        except Exception as error:
            self.outcome = self.outcome or error

    def frames(self) -> int:
        """How many are done."""
        return self.outcome.frames if isinstance(self.outcome, Summary) else 0

    def ended(self) -> Summary | Exception:
        """Its outcome, when all tasks are done."""
        assert self.outcome is not None, "a video without tasks has ended"
        return self.outcome


class _WholeVideo(_Share):
    """A video that one process sees to. If that is lost, a cluster has another go on."""

    def __init__(self, video: Video, network: NetworkOrder, order: Order, asked: dict[str, Any], run: str) -> None:
        super().__init__(video, network)
        self._arguments = order, asked, run

    def tasks(self) -> list[tuple[Any, ...]]:
        return [(_segment_video, self.network, self.video, *self._arguments)]

    def take(self, value: Any) -> None:
        if not os.path.exists(self.video.output / SUMMARY):
            raise _elsewhere(self.video.output)
        self.outcome = value


class _CutVideo(_Share):
    """A video whose spans any process makes."""

    def __init__(self, video: Video, network: NetworkOrder, recording: Recording) -> None:
        super().__init__(video, network)
        self.recording = recording
        self.most: int | None = None
        self._asked = list[Span]()

    def tasks(self) -> list[tuple[Any, ...]]:
        spans = [] if self.recording.finished else self.recording.missing(self.most)
        if spans and spans == self._asked:
            raise _elsewhere(self.video.output)
        self._asked = spans
        if not spans:
            self.outcome = self.recording.finished or self.recording.finish()
        return [(_segment_span, self.network, self.recording.job, span) for span in spans]

    def frames(self) -> int:
        return super().frames() or ResultParts(self.video.output).count()

    def take(self, value: Any) -> None:
        self.recording.startup_s = max(self.recording.startup_s, value)

    def break_off(self, interrupt: KeyboardInterrupt) -> str:
        if self.outcome is not None:
            return ""
        try:
            return f"{self.recording.break_off(interrupt).frames} frames are in {self.video.output}"
        except (KeyboardInterrupt, TdsegError) as kept:
            return str(kept)


def _cut(shares: Sequence[_CutVideo], stack: ExitStack, crew: Crew, network: NetworkOrder) -> int | None:
    """Open videos, and settle how they are cut; the number of their frames, if it is known."""
    opened = list[_CutVideo]()
    for share in shares:
        with share.blamed():
            stack.enter_context(share.recording)
            opened.append(share)
    counts = [share.recording.job.info.num_frames for share in opened]
    total = sum(count or 0 for count in counts)
    if opened and not _remembers_all(network, opened[0].recording.job):
        each = total / crew.workers
        for share in opened:
            share.most = max(SHORTEST_SPAN, math.ceil(each / SPANS_EACH if each > 8 * SHORTEST_SPAN else each))
    return total if all(counts) else None


def _elsewhere(output: Path) -> WorkerError:
    return WorkerError(
        f"what other processes made of {output} is not there",
        expected="storage that all machines share, under the same paths",
        do="mount it on all of them, or leave --ray out",
    )


def _remembers_all(network: NetworkOrder, job: Job) -> bool:
    """Whether a mask depends on all frames before it, so that a video must not be cut; only networks of others do."""
    if resolve(network.model).external is None:
        return False
    with networks(*network) as ready_for:
        return reach(ready_for(job.size).network) is None


# --- in the processes -----------------------------------------------------------------------------------------------


def _segment_video(network: NetworkOrder, video: Video, order: Order, asked: dict[str, Any], run: str) -> Summary:
    return record(_ready_for(network), *video, order, asked, run=run)


def _segment_span(network: NetworkOrder, job: Job, span: Span) -> float:
    """Make a span; the time that the network took to be ready, seconds."""
    ready = _ready_for(network)(job.size)
    make_span(job, span, ready)
    return ready.startup_s


@cache
def _ready_for(network: NetworkOrder) -> ReadyFor:
    """What gives the network, which stays for all tasks of this process."""
    return _stay.enter_context(networks(*network))


_stay = ExitStack()
