"""What a session shows, kept as a video that is whole whenever the server ends."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from tdseg.errors import OutputError
from tdseg.files import check_target, whole_file
from tdseg.live.feed import WAIT_S
from tdseg.live.session import Session
from tdseg.masks.legend import Legend
from tdseg.video import VideoWriter
from tdseg.video.reconnecting import OVER
from tdseg.video.writer import encodable

FPS = 25.0
"""Of the video, nominally: each frame has its own time."""
_log = logging.getLogger("tdseg")


class KeptOverlay:
    """The overlay of a session on its way to a file, written by a thread of its own: a slow disk skips frames.

    Args:
        session: whose.
        path: mp4 file, which appears when the session or the server ends.

    Raises:
        OutputError: it exists, or cannot be written.
    """

    def __init__(self, session: Session, path: Path) -> None:
        if path.exists():
            raise OutputError(
                f"{path} exists",
                expected="a file that does not exist yet",
                do="move it, or choose another folder with --record",
            )
        check_target(path)
        self._session, self._path = session, path
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="tdseg-keep")
        self._thread.start()

    def stop(self) -> None:
        """Finish the file."""
        self._stopped = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._write()
        except OutputError as error:  # the session goes on without it
            _log.warning("%s is not kept any more: %s", self._session.name, error.got)

    def _write(self) -> None:
        while (first := self._session.wait(-1, WAIT_S)) is None:
            if self._is_over:
                return
        legend, start_s = Legend(first.classes, first.colors), first.time_s or 0.0
        height, width = first.mask.shape
        size = encodable((height, width))
        with whole_file(self._path) as staged, VideoWriter(staged, size=size, fps=FPS) as video:
            result, index = first, first.index
            while True:
                picture = result.overlay()
                legend.draw_on(picture, result.counts)
                video.write(picture, (result.time_s or 0.0) - start_s)
                while (newer := self._session.wait(index, WAIT_S)) is None:
                    if self._is_over:
                        return
                result, index = newer, newer.index
                if self._stopped:
                    return

    @property
    def _is_over(self) -> bool:
        return self._stopped or self._session.state in OVER
