"""The frames of a source, and what it declares of itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tdseg.errors import VideoError
from tdseg.video.excerpt import Excerpt
from tdseg.video.pictures import RGB

FALLBACK_FPS = 25.0  # of sources that know none, such as folders of images


class Frame(NamedTuple):
    """One picture of a video."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    """Count of the frames delivered before it, from 0."""
    time_s: float
    """Presentation time in seconds from the start of the video; never smaller than the previous frame's."""
    image: RGB
    """uint8 (H, W, 3) RGB, upright: the source's rotation is applied."""


@dataclass(frozen=True)
class VideoInfo:
    """A source as it declares itself, rotation applied."""

    source: str
    """As the user gave it, printable."""
    height: int
    width: int
    fps: float
    """Average frames per second; 25 where the source knows none."""
    num_frames: int | None
    """Declared number of frames, or an estimate from the declared duration; None where unknown (camera, live, pipe)."""
    has_audio: bool


FrameGenerator = Generator[Frame, None, "str | None"]  # returns why fewer frames came than were declared, or None


class VideoReader:
    """The frames of one source, once through; made by :func:`tdseg.video.open_video`.

    A context manager. Close it, or let its iterator end, in the thread that iterates.

    Attributes:
        info: the source as it declares itself; height and width are those of the first frame.
        problem: after the last frame, why fewer came than were declared (cut off, damaged), else None.
    """

    def __init__(self, frames: FrameGenerator, *, source: str, fps: float, num_frames: int | None, audio: bool) -> None:
        self.problem: str | None = None
        self._frames = frames
        try:
            first = next(frames)
        except StopIteration as end:
            raise VideoError(
                f"{source}: no frame could be decoded" + (f" ({end.value})" if end.value else ""),
                expected="a video with at least one whole frame",
                do="play it in another program to see whether it is damaged",
            ) from None
        height, width = first.image.shape[:2]
        self.info = VideoInfo(source, height, width, fps, num_frames, audio)
        self._iterator = self._iterate(first)

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


def part_of(
    frames: FrameGenerator, name: str, fps: float, num_frames: int | None, audio: bool, excerpt: Excerpt
) -> VideoReader:
    """The reader of a part of a video, given its frames and, as of `VideoInfo`, what the whole declares.

    Raises:
        VideoError: there are none.
    """
    if num_frames is not None:
        num_frames = excerpt.expected(num_frames, fps)
    try:
        return VideoReader(frames, source=name, fps=fps / excerpt.every, num_frames=num_frames, audio=audio)
    except VideoError as error:
        if excerpt.start is None:
            raise
        end = "" if excerpt.end is None else f" and before {excerpt.end}"
        raise VideoError(
            f"{name}: no frame from {excerpt.start} on{end}",
            expected="a part of the video",
            do="choose an earlier --start; times count from the start of the video",
        ) from error
