"""From results to parts, in a thread of its own: every output of a part and its record hold the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tdseg.errors import OutputError
from tdseg.inference.parts import PART_FRAMES, VALUES, FrameFigures, NetworkFacts, PartRecord, ResultParts
from tdseg.inference.stages import BoundedQueue
from tdseg.inference.stream import Result
from tdseg.inference.writers import About, Writer
from tdseg.metrics.basic import Mask, flip_share


class Recorder:
    """All that is kept of the results of a span of frames.

    A context manager. What was put is kept, whatever ends the run. An error while writing is raised by a later `put`,
    or at the end.

    Args:
        parts: where it goes.
        writers: kinds of outputs.
        about: what these are told.
        network: what gives the results.
        first: number of the first frame that is kept; with the one before it, if it is put, that is compared.
    """

    def __init__(
        self,
        parts: ResultParts,
        writers: Sequence[type[Writer]],
        about: About,
        network: NetworkFacts,
        first: int,
    ) -> None:
        self._parts, self._writers, self._about, self._network = parts, writers, about, network
        self._first = first
        self._results: BoundedQueue[Result] = BoundedQueue()
        self._ended = False
        self._problem: str | None = None

    def __enter__(self) -> Recorder:
        thread = ThreadPoolExecutor(1, "tdseg-record")
        self._recorded = thread.submit(self._record_all)
        thread.shutdown(wait=False)  # it ends with its one task
        return self

    def put(self, result: Result) -> None:
        """Keep the next result; waits while as many as may wait do."""
        if not self._results.put(result):
            self._finish()

    def end(self, problem: str | None) -> None:
        """Say that the video has no more frames, and why it has fewer than it declares, if so."""
        self._ended, self._problem = True, problem

    def __exit__(self, *_: object) -> None:
        """Finish what waits and close the outputs; an interrupt is raised after that."""
        self._results.end()
        interrupt: KeyboardInterrupt | None = None
        while not self._recorded.done():
            try:
                wait([self._recorded])
            except KeyboardInterrupt as error:
                interrupt = error
        self._finish()
        if interrupt:
            raise interrupt

    def _finish(self) -> None:
        try:
            self._recorded.result()
        except (OSError, OutputError) as error:
            raise self._parts.unwritable(error) from error

    def _record_all(self) -> None:
        part: _PartInWork | None = None
        previous: Mask | None = None
        try:
            for result in self._results:
                if result.index >= self._first:
                    if part and part.is_full:
                        self._keep(part)
                        part = None
                    part = part or self._begin(result.index, self._writers)
                    part.add(result, previous)
                previous = result.mask
            if part or self._ended:  # with the part before
                self._keep(part or self._begin(self._first, ()), is_last=True)
        finally:
            self._results.close()
            if part:
                part.close()

    def _begin(self, first: int, writers: Sequence[type[Writer]]) -> _PartInWork:
        return _PartInWork(first, self._parts.begin(first // PART_FRAMES), writers, self._about)

    def _keep(self, part: _PartInWork, *, is_last: bool = False) -> None:
        part.close()
        ended = is_last and self._ended
        lacking = "; ".join(writer.problem for writer in part.writers if writer.problem)
        record = PartRecord(
            network=self._network,
            first=part.first,
            figures=part.figures(),
            ended=ended,
            problem=self._problem if ended else None,
            lacking=lacking or None,
        )
        self._parts.keep(part.folder, record)


class _PartInWork:
    """A part that is not yet whole."""

    def __init__(self, first: int, folder: Path, writers: Sequence[type[Writer]], about: About) -> None:
        self.first, self.folder, self.writers = first, folder, [writer(about, folder) for writer in writers]
        self._is_open = True
        self._times_s: list[float | None] = []
        self._latencies_ms: list[float] = []
        self._flips: list[float] = []
        self._size_changes = 0
        self._breaks: dict[str | None, list[float | None]] = {"cut": [], "gap": []}
        self._ages_ms: list[float] = []
        self._pixels = np.zeros(VALUES, np.int64)
        self._names: list[str | None] = []

    @property
    def is_full(self) -> bool:
        return len(self._latencies_ms) == PART_FRAMES

    def add(self, result: Result, previous: Mask | None) -> None:
        """Keep a result in all outputs."""
        for writer in self.writers:
            writer.write(result)
        self._times_s.append(result.time_s)
        self._latencies_ms.append(result.latency_ms)
        self._pixels += result.counts
        self._names.append(result.name)
        self._breaks.get(result.broken_by, []).append(result.time_s)
        if result.age_ms is not None:
            self._ages_ms.append(result.age_ms)
        if previous is not None and previous.shape == result.mask.shape:
            self._flips.append(flip_share(previous, result.mask))
        elif previous is not None:
            self._size_changes += 1

    def figures(self) -> FrameFigures:
        return FrameFigures(
            times_s=self._times_s and [self._times_s[0], self._times_s[-1]],
            latencies_ms=self._latencies_ms,
            flips=self._flips,
            size_changes=self._size_changes,
            cuts=self._breaks["cut"],
            gaps=self._breaks["gap"],
            ages_ms=self._ages_ms,
            pixels=self._pixels.tolist(),
            names=self._names,
        )

    def close(self) -> None:
        """Close the outputs; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            with ExitStack() as last:
                for writer in self.writers:
                    last.callback(writer.close)
