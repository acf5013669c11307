"""The result of a run: a folder whose files are whole, the figures of the run, and the thread that records both."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import OutputError
from tdseg.files import unwritable
from tdseg.inference.stages import BoundedQueue
from tdseg.inference.stream import Result
from tdseg.inference.writers import WRITERS, Writer, writers_of
from tdseg.metrics.basic import flip_share, percentiles

SUMMARY = "summary.json"
STAGING = ".partial"
"""Where the files of a result are made, in its folder."""


class OutputFolder:
    """A folder for one run: files are made in a hidden folder inside it, and take their names when all are whole.

    Until then a former result stays as it is. As a context manager it clears up after a run that failed: what had
    been made stays in the hidden folder, which the error names; where nothing had been made, nothing is left.

    Args:
        path: made if missing.
        overwrite: replace a former result in the folder; files of others are never touched.

    Raises:
        OutputError: the folder is in use, holds what only looks like a result, is no folder, or cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self.staging = path / STAGING
        try:
            self._is_new = not path.exists()
            if not self._is_new and any(path.iterdir()) and not overwrite:
                raise OutputError(
                    f"output folder {path} is in use",
                    expected="a new or an empty folder",
                    do="choose another with --output, or replace the result in it with --overwrite",
                )
            held = [place.name for place in places(path)]
            if held and not (path / SUMMARY).exists():
                raise OutputError(
                    f"output folder {path} holds {' and '.join(held)}, but no {SUMMARY} of a tdseg result",
                    expected="a new or an empty folder, or a former result",
                    do="choose another with --output",
                )
            shutil.rmtree(self.staging, ignore_errors=True)
            self.staging.mkdir(parents=True)
        except OSError as error:
            raise self.error(error) from error

    def publish(self, summary: Summary) -> None:
        """Put this result in the place of the former one; its summary goes first and comes last."""
        try:
            text = json.dumps(dataclasses.asdict(summary), indent=2)
            (self.staging / SUMMARY).write_text(text + "\n", encoding="utf-8")
            made = list(_results(self.staging))
            for name in list(_results(self.path)):
                (self.path / name).unlink()
            for place in places(self.path):
                if place.is_dir() and not any(place.iterdir()):
                    place.rmdir()
            for name in reversed(made):
                (self.path / name).parent.mkdir(exist_ok=True)
                (self.staging / name).replace(self.path / name)
            shutil.rmtree(self.staging)
        except OSError as error:
            raise self.error(error) from error

    def error(self, error: OSError | OutputError) -> OutputError:
        """The error for a failure to write here; it names what was made so far."""
        made = f"; what was made so far is in {self.staging}" if self._holds_files() else ""
        return unwritable(self.path, error, do=f"free some space, or choose another folder with --output{made}")

    def _holds_files(self) -> bool:
        return any(path.is_file() for path in self.staging.rglob("*"))

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if self.staging.exists() and not self._holds_files():
            shutil.rmtree(self.staging)
            if self._is_new:
                self.path.rmdir()


def places(folder: Path) -> list[Path]:
    """The files and folders in a folder that a result may have put there, but for its summary."""
    names = sorted({writer.pattern.partition("/")[0] for writer in writers_of(tuple(WRITERS))})
    return [place for name in names for place in folder.glob(name)]


def _results(folder: Path) -> Iterator[Path]:
    """The files of a result, relative to its folder: the summary first."""
    if (folder / SUMMARY).exists():
        yield Path(SUMMARY)
    names = _frame_names(folder)
    for writer in writers_of(tuple(WRITERS)):
        for file in sorted(folder.glob(writer.pattern)):
            if file.stem.isdigit() or file.stem in names or "*" not in writer.pattern:
                yield file.relative_to(folder)


def _frame_names(folder: Path) -> set[str]:
    """The names that a result says its files have, beside numbers."""
    try:
        names = json.loads((folder / SUMMARY).read_bytes())["names"]
    except (OSError, ValueError, TypeError, KeyError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


@dataclass(frozen=True)
class Summary:
    """The figures of a run, as in summary.json."""

    model: str
    source: str
    device: str
    runtime: str
    """Of the model: torch, onnxruntime or openvino."""
    precision: str
    """Of its weights: fp32, fp16, bf16 or int8."""
    memory: int | None
    """Frames that a mask draws on, the newest included; None: the network is per-frame."""
    frames: int
    complete: bool
    """Every frame of the source is in the result."""
    problem: str | None
    """Why the source gave fewer frames than it declares, or why its sound is missing, if so."""
    width: int
    height: int
    """Of the first frame, pixels."""
    size: tuple[int, int]
    """(height, width) of the network's input, pixels."""
    size_changes: int
    """How often the frame size changed in mid-stream."""
    startup_s: float
    """Loading the model and running it for the first time, seconds; not part of wall_s."""
    wall_s: float
    """From the first frame asked to the last file closed, seconds."""
    fps: float
    """frames / wall_s"""
    latency_ms: dict[str, float]
    """p50, p95, p99 and max of the time from a frame handed to the Stream until its mask is in host memory."""
    flip_rate: float | None
    """Share of pixels whose class differs from the previous frame's, averaged over frame pairs of equal size."""
    class_share: dict[str, float]
    """Share of all pixels, by class."""
    names: list[str] | None = None
    """Of the masks in order, without suffix; None: they are numbered."""


class RunStatistics:
    """The figures that the results of a run tell by themselves, gathered frame by frame."""

    def __init__(self) -> None:
        self._size = (0, 0)
        self._latencies_ms: list[float] = []
        self._flips: list[float] = []
        self._pixels = np.zeros(256, dtype=np.int64)
        self._previous: NDArray[np.uint8] | None = None

    @property
    def frames(self) -> int:
        """Number of results taken in."""
        return len(self._latencies_ms)

    def add(self, result: Result) -> None:
        """Take in the next result."""
        if not self.frames:
            self._size = result.mask.shape
        self._latencies_ms.append(result.latency_ms)
        self._pixels += result.counts
        previous, self._previous = self._previous, result.mask
        if previous is not None and previous.shape == result.mask.shape:
            self._flips.append(flip_share(previous, result.mask))

    def figures(self, classes: Sequence[str]) -> dict[str, Any]:
        """Those of a `Summary`, by their names there."""
        height, width = self._size
        shares = (self._pixels / self._pixels.sum()).round(6).tolist()
        return {
            "frames": self.frames,
            "width": width,
            "height": height,
            "latency_ms": percentiles(self._latencies_ms),
            "flip_rate": round(fmean(self._flips), 6) if self._flips else None,
            "class_share": dict(zip(classes, shares, strict=False)),
        }


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
