"""What is kept of a result, made in a thread beside inference: overlay video, masks, figures."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from tdseg.errors import OutputError, VideoError
from tdseg.inference.folder import Figures, OutputFolder
from tdseg.inference.stream import Result
from tdseg.masks import draw
from tdseg.masks.palette import Colors
from tdseg.video import VideoInfo, VideoWriter

AHEAD = 4
"""Frames that may wait between two stages: what bounds memory, whatever the length of the video."""


class Recorder:
    """All that is kept of a result, made in one thread: video, masks and figures always hold the same frames.

    At most AHEAD results wait. An error while writing is raised by a later `put`, or at the end.
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
        self.figures = Figures()
        self.problem: str | None = None
        """Why the overlay video lacks the sound of the source, if so."""
        self._folder, self._source, self._info, self._colors = folder, source, info, colors
        self._masks, self._overlay = masks, overlay
        self._video: VideoWriter | None = None
        self._thread = ThreadPoolExecutor(1, "tdseg-record")
        self._waiting: deque[Future[None]] = deque()

    def put(self, result: Result) -> None:
        """Keep the next result; waits while AHEAD others do."""
        if len(self._waiting) == AHEAD:
            self._done(self._waiting.popleft())
        self._waiting.append(self._thread.submit(self._record, result))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what waits and close the video, whatever ended the run; an interrupt is raised after that."""
        close = self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
        interrupt: KeyboardInterrupt | None = None
        while not close.done():  # the last task of the thread
            try:
                wait([close])
            except KeyboardInterrupt as error:
                interrupt = error
        for future in (*self._waiting, close):
            self._done(future)
        if interrupt:
            raise interrupt

    def _done(self, future: Future[None]) -> None:
        try:
            future.result()
        except (OSError, OutputError) as error:
            raise self._folder.error(error) from error

    def _record(self, result: Result) -> None:
        if self._masks:
            draw.save_mask(self._folder.file(f"masks/{result.index:06d}.png"), result.mask, self._colors)
        if self._overlay:
            if self._video is None:
                self._video = self._open(result)
            self._video.write(draw.overlay(result.frame, result.mask, self._colors), result.time_s or 0.0)
        self.figures.add(result)

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

    def _close(self) -> None:
        if self._video is not None:
            self._video.close()
