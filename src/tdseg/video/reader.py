"""The frames of a source, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from tdseg.errors import VideoError
from tdseg.video.extent import Extent
from tdseg.video.frame import Frame, FrameGenerator


@dataclass(frozen=True)
class VideoInfo:
    """A source as it is, rotation applied."""

    source: str
    """As the user gave it, printable: without the user and the password of a URL."""
    height: int
    width: int
    fps: float
    """Average frames per second; 25 where the source knows none."""
    num_frames: int | None
    """Number of frames: of files, counted; of one that is cut off, of pipes and addresses, as declared or estimated
    from the declared duration; None where unknown (camera, live, pipe)."""
    has_audio: bool
    duration_s: float | None = None
    """From the start of the video to the end of the last frame, seconds, where counted; that may stand for long."""
    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, as it is to be shown."""


class SourceFacts(NamedTuple):
    """A source as it knows itself when its first frame is there."""

    extent: Extent
    has_audio: bool = False
    pixel_aspect: Fraction = Fraction(1)


class VideoReader:
    """The frames of one source, once through; made by :func:`open_video`.

    A context manager. Close it, or let its iterator end, in the thread that iterates.

    Attributes:
        size: (height, width) of the first frame.
        problem: after the last frame, why fewer came than there are (cut off, damaged), else None.
        is_live: frames come when they are made, as of a camera or an address without an end.
        is_endless: it is live, and has no end of its own.
        about: what the source knows of itself, after its first frame.
    """

    def __init__(
        self,
        frames: FrameGenerator,
        source: str,
        about: Callable[[], SourceFacts],
        times: Callable[[], list[float] | None] = lambda: None,
    ) -> None:
        self.problem: str | None = None
        self.is_live = self.is_endless = False
        self.about = about
        self._frames, self._source, self._times = frames, source, times
        try:
            first = next(frames)
        except StopIteration as end:
            raise VideoError(
                f"{source}: no frame could be decoded" + (f" ({end.value})" if end.value else ""),
                expected="a video with at least one whole frame",
                do="open it in another program to see whether it is damaged",
            ) from None
        self.size = first.image.shape[0], first.image.shape[1]
        self._iterator = self._iterate(first)

    @cached_property
    def info(self) -> VideoInfo:
        """The source as it is; height and width are those of the first frame. The frames of a file are counted for it,
        once in a process, which reads the file without decoding it."""
        (num_frames, fps, duration_s), has_audio, aspect = self.about()
        return VideoInfo(self._source, *self.size, fps, num_frames, has_audio, duration_s, aspect)

    @cached_property
    def times(self) -> list[float] | None:
        """When each of its frames is shown, seconds, if an excerpt that begins at such a time is found without reading
        what comes before it; None where it is not, or where the source may be damaged."""
        return self._times()

    @property
    def reconnects(self) -> int | None:
        """How many times it was opened again and gave frames; None: it never is."""
        return None

    def _iterate(self, first: Frame) -> Iterator[Frame]:
        yield first
        del first
        self.problem = yield from self._frames

    def __iter__(self) -> Iterator[Frame]:
        return self._iterator

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the source; frames not yet read are lost."""
        self._frames.close()
