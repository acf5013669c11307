"""Overlay video, masks and statistics of results, made in a thread beside inference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from tdseg.errors import OutputError, VideoError
from tdseg.inference.output import OutputFolder, RunStatistics
from tdseg.inference.stages import BoundedQueue
from tdseg.inference.stream import Result
from tdseg.masks import draw
from tdseg.masks.palette import Colors
from tdseg.video import VideoInfo, VideoWriter


class Recorder:
    """All that is kept of a result, made in one thread: video, masks and statistics always hold the same frames.

    A context manager. An error while writing is raised by a later `put`, or at the end.
    """

    def __init__(
        self,
        folder: OutputFolder,
        source: str | Path | int,
        info: VideoInfo,
        colors: Colors,
        *,
        masks: bool,
        overlay: bool,
    ) -> None:
        self.statistics = RunStatistics()
        self.problem: str | None = None
        """Why the overlay video lacks the sound of the source, if so."""
        self._folder, self._source, self._info, self._colors = folder, source, info, colors
        self._masks, self._overlay = masks, overlay
        self._video: VideoWriter | None = None
        self._results: BoundedQueue[Result] = BoundedQueue()

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
        """Finish what waits and close the video, whatever ended the run; an interrupt is raised after that."""
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
        try:
            for result in self._results:
                self._record(result)
        finally:
            self._results.close()
            if self._video is not None:
                self._video.close()

    def _record(self, result: Result) -> None:
        if self._masks:
            draw.save_mask(self._folder.file(f"masks/{result.index:06d}.png"), result.mask, self._colors)
        if self._overlay:
            if self._video is None:
                self._video = self._open(result)
            self._video.write(draw.overlay(result.frame, result.mask, self._colors), result.time_s or 0.0)
        self.statistics.add(result)

    def _open(self, first: Result) -> VideoWriter:
        height, width = first.mask.shape
        # Audio is read from the source a second time, which pipes and live streams do not allow.
        again = self._info.has_audio and self._info.num_frames is not None and str(self._source) != "-"
        video = partial(VideoWriter, self._folder.file("overlay.mp4"), size=(height, width), fps=self._info.fps)
        try:
            return video(audio_from=str(self._source) if again else None)
        except VideoError as error:
            self.problem = f"the overlay has no sound: {error.got}"
            return video()
