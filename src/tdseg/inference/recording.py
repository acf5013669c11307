"""One video on its way into its folder: what is missing of its result, and the result when nothing is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from tdseg.errors import OutputError
from tdseg.files.publishing import STAGING
from tdseg.inference.output import OutputFolder, places
from tdseg.inference.parts import PART_FRAMES, PartRecord
from tdseg.inference.ready import ReadyFor
from tdseg.inference.selection import Order
from tdseg.inference.span import Job, Span, differs, make_span
from tdseg.inference.summary import Summary, figures_of
from tdseg.runtime.any_model import AnyModel, as_network
from tdseg.video.address import is_url, printable
from tdseg.video.excerpt import CLOSE_S

Progress = Callable[[int, int | None], None]


class Recording:
    """A video that becomes a result. A context manager, which opens the video and claims the folder.

    Args:
        source: of the video.
        output: folder of the result.
        order: what is to be made.
        asked: what was asked of the network, see `asked_of`.
        run: an own name of the run, which goes on where it was interrupted itself.

    Attributes:
        job: for `make_span`.
        finished: the summary of the result, where that is whole already.
        startup_s: what the network took to be ready, seconds.

    Raises:
        VideoError, OutputError: as of `segment_to`, when it is entered.
    """

    job: Job

    def __init__(
        self, source: str | Path | int, output: Path, order: Order, asked: dict[str, Any], run: str | None = None
    ) -> None:
        self.finished: Summary | None = None
        self._source, self._output, self._order, self._asked, self._run = source, output, order, asked, run
        self.startup_s = 0.0
        self._is_untouched = True
        self._skipped: int | None = None

    def __enter__(self) -> Recording:
        _keep_source(self._source, self._output)
        self._begun = time.perf_counter()
        order = {"source": _identity(self._source), **self._asked, **self._order.lasting()}
        with ExitStack() as stack:
            self._reader = self._order.open(self._source)
            stack.callback(self._close_reader)
            self._folder = stack.enter_context(
                OutputFolder(
                    self._output, order, overwrite=self._order.overwrite, resume=self._order.resume, run=self._run
                )
            )
            if self._folder.finished:
                self.finished = Summary(**self._folder.finished)
            latest = self._order.skips(self._reader)
            self.job = Job(self._source, self._reader.info, self._order, self._output, latest=latest)
            parts = self._folder.parts.in_order()
            self._frames_before = sum(part.record.frames for part in parts)
            if parts:
                self.job = self.job._replace(network=parts[0].record.network)
                if self.job.info.num_frames is None and str(self._source) != "-":
                    raise _live(printable(self._source), self._folder)
            self._may_enter = True
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def missing(self, most: int | None = None) -> list[Span]:
        """What is still to be made; nothing, when the result can be.

        A video that is not read from its start to its end may turn out to be damaged: if a part is not what the file
        lets expect, all from there on is made again, in order.

        Args:
            most: frames of a span of a video that can be entered anywhere; None: any number.
        """
        found = self._folder.parts.read()
        in_order = [part for part in self._folder.parts.in_order(found) if part.record.is_full]
        times = self._reader.times if self._may_enter and (most or in_order) else None
        good = in_order
        if times and not all(_agrees(part.record, times) for part in found.values()):
            good = [part for part in in_order if _agrees(part.record, times)]
            self._folder.parts.clear(keep=good)
            times = None
        self._may_enter = times is not None
        self.job = self.job._replace(times=times)
        if times is None:
            return [] if good and good[-1].record.ended else [Span(PART_FRAMES * len(good), None)]
        return _gaps(set(found), len(times), most, ended=any(part.record.ended for part in found.values()))

    def make(self, span: Span, ready_for: ReadyFor, on_progress: Progress | None) -> None:
        """Make a span here."""
        begun = time.perf_counter()
        ready = ready_for(self.job.size, at_once=not self.job.latest)
        self._begun += time.perf_counter() - begun  # as if the network had been ready before
        self.startup_s = ready.startup_s
        reader = self._reader if self._is_untouched else None
        self._is_untouched = False
        total = self.job.info.num_frames

        def tell(done: int, skipped: int | None) -> None:
            self._skipped = skipped
            if on_progress:
                on_progress(done, total)

        make_span(self.job, span, ready, reader, tell)

    def break_off(self, interrupt: KeyboardInterrupt) -> Summary:
        """Make an incomplete result of what is there.

        Raises:
            KeyboardInterrupt: there is nothing, or it is kept to go on with.
        """
        frames = sum(part.record.frames for part in self._folder.parts.in_order())
        if not frames:
            raise interrupt
        if self._order.resume or self._folder.holds_whole:
            raise KeyboardInterrupt(
                f"{frames} frames are kept in {self._folder.staging}; --resume goes on"
            ) from interrupt
        return self.finish(interrupted=True)

    def finish(self, *, interrupted: bool = False) -> Summary:
        """Make the result of the parts that are there, in the place of a former one.

        Raises:
            OutputError: it cannot be written; the parts are of networks that ran differently; or the former result is
                whole, and this one is not.
        """
        records = [part.record for part in self._folder.parts.in_order()]
        network, info = records[0].network, self.job.info
        if others := [record.network for record in records if record.network != network]:
            raise differs(self._output, network, others[0])
        about, last = self.job.about(network), records[-1]
        figures = figures_of(records, about.classes)
        made, wall_s = figures["frames"] - self._frames_before, time.perf_counter() - self._begun
        names = [name for record in records for name in record.figures.names if name is not None]
        summary = Summary(
            model=str(self._asked["model"]),
            source=info.source,
            device=network.device,
            runtime=network.runtime,
            precision=network.precision,
            memory=network.memory,
            complete=not interrupted and last.ended and last.problem is None,
            problem=last.problem,
            width=info.width,
            height=info.height,
            size=network.size,
            startup_s=round(self.startup_s, 3),
            wall_s=round(wall_s, 3),
            fps=round(made / wall_s, 2),
            names=names if names and about.keep_names and "masks" in self._order.write else None,
            write=self._order.write,
            skipped=self._skipped,
            reconnects=self._reader.reconnects,
            resumed_at=self._frames_before or None,
            **figures,
        )
        return self._folder.publish(summary, about)

    def _close_reader(self) -> None:
        with suppress(ValueError):  # a silent source still holds the thread that reads it, which then closes it
            self._reader.close()


def _agrees(record: PartRecord, times: list[float]) -> bool:
    """Whether a part is what the times of all frames let expect."""
    end = record.first + record.frames
    if record.problem or end > len(times) or (record.ended and end < len(times)):
        return False
    own = zip(record.figures.times_s, (times[record.first], times[end - 1]), strict=True) if record.frames else ()
    return all(one is not None and abs(one - other) < CLOSE_S for one, other in own)


def _gaps(found: set[int], frames: int, most: int | None, *, ended: bool) -> list[Span]:
    """The spans of a video of so many frames that are missing of its parts.

    Args:
        found: numbers of the parts that are there.
        frames: of the video.
        most: of a span.
        ended: the last of them is there, and known to be the last.
    """
    count = -(-frames // PART_FRAMES)
    wanted = [number for number in range(count) if number not in found]
    if not wanted and not ended:
        wanted = [count]  # it may turn out that there is none
    spans = list[Span]()
    for _, run in groupby(enumerate(wanted), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        pieces = 1 if most is None else -(-len(numbers) // -(-most // PART_FRAMES))
        bounds = [numbers[0] + len(numbers) * piece // pieces for piece in range(pieces + 1)]
        spans += [Span(first * PART_FRAMES, end * PART_FRAMES) for first, end in pairwise(bounds)]
    if spans and spans[-1].end is not None and spans[-1].end >= frames:
        spans[-1] = spans[-1]._replace(end=None)
    return spans


def asked_of(model: str | Path | AnyModel, memory: int | None, size: tuple[int, int] | None) -> dict[str, Any]:
    """What was asked of a network, as plain values."""
    name = str(model) if isinstance(model, str | Path) else as_network(model).config.name
    return {"model": name, "weights": _identity(name), "memory": memory, "size": size}


def _identity(source: str | Path | int) -> Any:
    """What tells a source from another of its name."""
    name = printable(source)
    if is_url(str(source)) or not os.path.exists(name):
        return name
    stat = os.stat(name)
    about = len(os.listdir(name)) if os.path.isdir(name) else [stat.st_size, stat.st_mtime_ns]
    return [os.path.abspath(name), about]


def _keep_source(source: str | Path | int, output: Path) -> None:
    """Refuse to replace the source by its own result."""
    path = Path(os.path.realpath(str(source)))  # unlike Path.resolve, of links that lead in a circle as well
    if any(path.is_relative_to(os.path.realpath(place)) for place in (*places(output), output / STAGING)):
        raise OutputError(
            f"source {printable(source)} is part of the former result in {output}",
            expected="an output folder that does not hold the source",
            do="choose another folder with --output",
        )


def _live(name: str, folder: OutputFolder) -> OutputError:
    return OutputError(
        f"{name}, a live source, cannot go on where it was interrupted",
        expected="a file, a folder of frames, or the same bytes on a pipe",
        do=f"begin anew with --overwrite; the videos in {folder.parts.folder} can be played",
    )
