"""The outputs and statistics of results, made in a thread beside inference."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

from tdseg.errors import OutputError
from tdseg.inference.output import OutputFolder, RunStatistics
from tdseg.inference.stages import BoundedQueue
from tdseg.inference.stream import Result
from tdseg.inference.writers import Writer


class Recorder:
    """All that is kept of a result, made in one thread: every output and the statistics hold the same frames.

    A context manager. An error while writing is raised by a later `put`, or at the end.
    """

    def __init__(self, folder: OutputFolder, writers: Sequence[Writer]) -> None:
        self.statistics = RunStatistics()
        self._folder, self._writers = folder, writers
        self._results: BoundedQueue[Result] = BoundedQueue()

    @property
    def problem(self) -> str | None:
        """Why something is missing of an output, if so."""
        return "; ".join(writer.problem for writer in self._writers if writer.problem) or None

    def __enter__(self) -> Recorder:
        thread = ThreadPoolExecutor(1, "tdseg-record")
        self._recorded = thread.submit(self._record_all)
        thread.shutdown(wait=False)  # it ends with its one task
        return self

    def put(self, result: Result) -> None:
        """Keep the next result; waits while as many as may wait do."""
        if not self._results.put(result):
            self._finish()

    def __exit__(self, *_: object) -> None:
        """Finish what waits and close the outputs, whatever ended the run; an interrupt is raised after that."""
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
            raise self._folder.error(error) from error

    def _record_all(self) -> None:
        with ExitStack() as last:
            for writer in self._writers:
                last.callback(writer.close)
            last.callback(self._results.close)  # the first of these
            for result in self._results:
                for writer in self._writers:
                    writer.write(result)
                self.statistics.add(result)
