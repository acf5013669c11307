"""The run: frame by frame through both sides, in memory that hardly grows, into one page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tdseg.errors import ConfigError, DataError
from tdseg.files import check_target, write_whole
from tdseg.masks.palette import Palette, color_table, read_palette
from tdseg.masks.reading import size_text
from tdseg.measure.compare.film import Film, moments
from tdseg.measure.compare.sides import RGB, MaskSide, Seen, Side, open_sides
from tdseg.measure.compare.tally import Comparison, Tally
from tdseg.metrics.iou import VOID
from tdseg.report.comparison import comparison_page
from tdseg.video import VideoReader, open_video

if TYPE_CHECKING:
    from tdseg.metrics.flow import DISFlow


class Request(NamedTuple):
    """What is to be compared, as given."""

    a: str
    b: str
    video: str
    labels: str | None
    limit: int | None
    """Frames at most."""


def compare(
    a: str | Path,
    b: str | Path,
    video: str | Path,
    output: str | Path = "report.html",
    *,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    palette: str | Path | None = None,
    labels: str | Path | None = None,
    frames: int | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Comparison:
    """Run two models, or read the masks of any tool, beside each other on one video, and write what differs to a page.

    Figures along optical flow need the extra `metrics`, and are left out without it.

    Args:
        a, b: each the name of packaged weights, a .safetensors file, an exported folder, or masks, as in `open_masks`.
        video: as in `open_video`, of known length unless `frames` is given.
        output: HTML file to write.
        size, device: of models, as in `tdseg.segment`.
        palette: file of classes, see `read_palette`; coloured masks without a model beside them need it.
        labels: ground truth, in the forms of masks.
        frames: compare so many at most.
        overwrite: replace the output.
        on_progress: called after each frame with the number done and the number to do.

    Raises:
        ConfigError, WeightsError: a side that is unknown or cannot be used, or classes that differ between the sides.
        DataError, VideoError: an input that cannot be read, or is of another length or size than the video.
        OutputError: the output exists or cannot be written; found before computing, where it can be.
    """
    check_target(Path(output), overwrite=overwrite)
    if frames is not None and frames < 1:
        raise ConfigError(f"frames {frames}", expected="1 or more", do="choose a larger --frames")
    request = Request(str(a), str(b), str(video), None if labels is None else str(labels), frames)
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(video))
        total = _total(reader, frames)
        given = None if palette is None else read_palette(palette)
        sides, classes = open_sides((request.a, request.b), given, request.video, size=size, device=device)
        if labels is not None:
            sides.append(MaskSide(labels, given or classes, request.video))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tdseg-compare-")))
        classes = classes or _unnamed()
        info = reader.info
        film = stack.enter_context(
            Film(
                folder / "film.mp4",
                (info.height, info.width),
                frames=total,
                fps=info.fps,
                colors=color_table([tuple(color) for color in classes.colors.tolist()]),
            )
        )
        comparison = _run(request, reader, sides, classes, film, lambda done: on_progress and on_progress(done, total))
        film.close()
        chosen = moments(comparison.agreement, film.step, apart=info.fps)
        write_whole(Path(output), comparison_page(comparison, film, chosen))
    return comparison


def _run(
    request: Request,
    reader: VideoReader,
    sides: list[Side],
    classes: Palette,
    film: Film,
    on_frame: Callable[[int], object],
) -> Comparison:
    fps = None if Path(request.video).is_dir() else reader.info.fps
    flow = _optical_flow()
    tally = Tally(len(classes.names), fps, with_flow=flow is not None)
    for count, (frame, (a, b, *truth)) in enumerate(_together(reader, sides, request.limit), 1):
        tally.update(a, b, truth[0].mask if truth else None, flow.step(frame) if flow else None)
        film.add(frame, a.mask, b.mask)
        on_frame(count)
    a_track, b_track = (
        track.finish(name, side.about)
        for track, name, side in zip(tally.tracks, _short(request.a, request.b), sides, strict=False)
    )
    return Comparison(
        video=request.video,
        problem=reader.problem,
        frames=len(tally.agreement),
        size=(reader.info.height, reader.info.width),
        fps=fps,
        classes=classes,
        a=a_track,
        b=b_track,
        labels=request.labels,
        agreement=tally.agreement,
        apart=tally.apart,
        pairs=tally.pairs,
    )


def _together(reader: VideoReader, sides: list[Side], limit: int | None) -> Iterator[tuple[RGB, list[Seen]]]:
    """Each frame with what each side says about it."""
    size, count = (reader.info.height, reader.info.width), 0
    for frame in islice(reader, limit):
        if frame.image.shape[:2] != size:
            raise DataError(
                f"{reader.info.source}: frame {frame.index} is {size_text(frame.image.shape)}, not {size_text(size)}",
                expected="frames of one size",
                do="cut the video where its size changes",
            )
        yield frame.image, [side.step(frame.image) for side in sides]
        count += 1
    for side in sides:
        if count != limit and isinstance(side, MaskSide):  # the video ended before the limit
            side.end()


def _total(reader: VideoReader, limit: int | None) -> int:
    """Frames there will be, at most."""
    known = [count for count in (reader.info.num_frames, limit) if count is not None]
    if not known:
        raise ConfigError(
            f"{reader.info.source}, whose length is not known",
            expected="a video of known length",
            do="say with --frames how many frames to compare",
        )
    return max(1, min(known))


def _optical_flow() -> DISFlow | None:
    """None without the extra `metrics`."""
    try:
        from tdseg.metrics.temporal import DISFlow
    except ModuleNotFoundError:
        return None
    return DISFlow()


def _short(a: str, b: str) -> tuple[str, str]:
    """Names without folders, if they then still differ."""
    short = Path(a).name, Path(b).name
    return (a, b) if short[0] == short[1] else short


def _unnamed() -> Palette:
    """Classes of masks of which nothing is known."""
    return Palette("", tuple(f"class {index}" for index in range(VOID)), color_table()[:VOID])
