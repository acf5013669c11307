"""Several videos, one after the other, by one network: one that fails stops no other."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from tdseg.errors import ConfigError, VideoError
from tdseg.inference.distribution import Distribution, hired
from tdseg.inference.pipeline import DEFAULT_MODEL, default_output, record
from tdseg.inference.ready import ReadyFor, networks
from tdseg.inference.recording import Progress, asked_of
from tdseg.inference.selection import Order
from tdseg.inference.shared import NetworkOrder, Video, segment_shared
from tdseg.inference.summary import Summary
from tdseg.masks.appearance import Appearance
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution
from tdseg.video import Excerpt
from tdseg.video.address import is_url, matching_images, printable
from tdseg.video.pictures import images_in, natural_order
from tdseg.zoo.resolve import resolve

VIDEO_SUFFIXES = re.compile(
    r"\.(3gp|asf|avi|flv|m2ts|m4v|mkv|mov|mp4|mpeg|mpg|mts|mxf|ogv|ts|vob|webm|wmv)", re.IGNORECASE
)
_log = logging.getLogger("tdseg")
T = TypeVar("T", bound=str | Path | int)
AnySource = str | Path | int


class VideoOutcome(NamedTuple):
    """The end of one of several videos: its summary, or the error that it met."""

    source: AnySource
    output: Path
    """Folder of the result."""
    summary: Summary | None
    """None: it failed."""
    error: Exception | None = None
    """Why."""


def segment_all(
    sources: Sequence[str | Path | int],
    output: str | Path | None = None,
    *,
    model: str | Path | AnyModel = DEFAULT_MODEL,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    excerpt: Excerpt = Excerpt(),  # noqa: B008 - immutable
    deinterlace: bool = True,
    stills: bool = False,
    latest: bool | None = None,
    reconnect_s: float = 60.0,
    classes: tuple[str, ...] = (),
    appearance: Appearance = Appearance(),  # noqa: B008 - immutable
    names: Literal["source", "index"] = "source",
    write: tuple[str, ...] = ("masks", "overlay"),
    overwrite: bool = False,
    resume: bool = False,
    distribution: Distribution = Distribution(),  # noqa: B008 - immutable
    on_progress: Callable[[int, int | None], None] | None = None,
) -> list[VideoOutcome]:
    """Segment videos, each into a folder of its own: overlay.mp4, masks/000000.png …, summary.json.

    The model is loaded once, and again for frames of another shape where it must be. One video that fails stops no
    other; a single one raises its error. An interrupt ends all.

    Args:
        sources: video file, folder of frames, camera index, URL, or - for stdin; or several of them, patterns such as
            'clips/*.mp4', and folders of videos.
        output: folder of the result; of several, and of a folder of videos or a pattern, the folder that holds one
            for each, by the name of the video. None: out/ and the source's name.
        model: name of packaged weights (see `tdseg models`), a file of weights, or an exported folder; of others, a
            model of Hugging Face, as hf://org/name or its folder, or an ONNX file. In Python also a model, a network,
            or a function from a frame to its class scores.
        memory: frames that a per-frame network is to remember, 2 … 16, or 0 for none; None: 4 for networks of others,
            none for ours.
        size: (height, width) of the network's input, pixels; None: the model's own or, where the frames have another
            shape and the network takes any, as many pixels in their shape.
        execution: where and how the network runs.
        excerpt: which frames of a video; the memory sees these alone.
        deinterlace: make frames whole that are flagged as interlaced.
        stills: the source is a folder of photos and no video: each is segmented without memory of those before it.
        latest: of frames that come faster than they are segmented, only the newest is, and the others are counted. By
            default of cameras and live addresses, so that what is shown is never old.
        reconnect_s: seconds for which a camera or live address that was open and breaks off, or falls silent, is tried
            again, with growing pauses; 0: it ends there.
        classes: those that are wanted, by name or index, in this order; all others become one class, other. By default
            the classes of the model.
        appearance: how classes look in pictures.
        names: of the masks: source, those of the images in a folder (masks/IMG_0001.png of IMG_0001.jpg; masks of other
            sources are numbered); index, numbers in any case.
        write: outputs beside summary.json, any of masks (one a frame, 8-bit indexed PNG), overlay (a video with the
            source's timestamps and audio), video (masks.mkv, lossless, its grey values the classes), csv (shares.csv,
            the share of each class by frame), rle (masks.jsonl, COCO's run lengths, a line a frame), npz (masks.npz,
            one array), matte (matte.mkv, lossless, its grey values the probability of `classes`), or none. With any of
            them come classes.txt, a palette file, and legend.png.
        overwrite: replace a former result in the folder.
        resume: go on where the same run was interrupted, even killed, with the same result as if it had not been; what
            is finished stays. An interrupt then publishes nothing.
        distribution: on how many processes.
        on_progress: called after each frame with the number done of its video and the number to do, None where unknown;
            where several processes work, now and then with those of all videos.

    Returns:
        What became of each, in order.

    Raises:
        VideoError: no source, a pattern without a file, or the only source cannot be opened, or holds no frame.
        ConfigError, DataError, WeightsError: an output, or the model, size, device, classes or palette cannot be used.
        OutputError: the folder of the only source is in use or cannot be written.
    """
    order = Order(
        excerpt, deinterlace, stills, classes, appearance, names, write, overwrite, resume, latest, reconnect_s
    )
    order.check()
    found, several = find_videos(sources)
    videos = [Video(*pair) for pair in zip(found, _folders(found, output, several), strict=True)]
    if isinstance(model, str | Path):
        resolve(model)  # an unknown one is told once
    asked = asked_of(model, memory, size)
    if distribution.is_alone:
        with networks(model, memory, size, execution) as ready_for:
            ends = [_recorded(ready_for, video, order, asked, on_progress) for video in _told(videos, several)]
    else:
        _check_travels(videos)
        with hired(distribution, execution) as crew:
            network = NetworkOrder(_absolute(_named(model)), memory, size, crew.execution)
            elsewhere = [Video(_absolute(source), Path(_absolute(output))) for source, output in videos]
            ends = segment_shared(crew, network, elsewhere, order, asked, on_progress)
    outcomes = [
        VideoOutcome(*video, None, end) if isinstance(end, Exception) else VideoOutcome(*video, end)
        for video, end in zip(videos, ends, strict=True)
    ]
    if outcomes[0].error and not several:
        raise outcomes[0].error
    return outcomes


def _told(videos: Sequence[Video], several: bool) -> Iterator[Video]:
    """The videos, each told of when its turn comes."""
    for number, video in enumerate(videos, 1):
        if several:
            _log.info("%s, %d of %d", printable(video.source), number, len(videos))
        yield video


def _recorded(
    ready_for: ReadyFor, video: Video, order: Order, asked: dict[str, Any], on_progress: Progress | None
) -> Summary | Exception:
    try:
        return record(ready_for, *video, order, asked, on_progress)
    except Exception as error:  # whatever it is, the others go on
        return error


def _check_travels(videos: Sequence[Video]) -> None:
    """See to it that other processes can open these.

    Raises:
        ConfigError: one cannot.
    """
    if any(str(video.source) == "-" for video in videos):
        raise ConfigError("stdin for several workers", expected="files or addresses", do="leave --workers out")


def _named(model: str | Path | AnyModel) -> str | Path:
    """The name of a model, which other processes can load.

    Raises:
        ConfigError: it has none.
    """
    if isinstance(model, str | Path):
        return model
    raise ConfigError(
        "a model that lives in this process, for several workers",
        expected="its name, its file or its folder",
        do="save it with tdseg.save, and give the file",
    )


def _absolute(name: T) -> T | str:
    """A path as it is in any folder."""
    return os.path.abspath(str(name)) if isinstance(name, Path) or os.path.exists(str(name)) else name


def find_videos(sources: Sequence[AnySource]) -> tuple[list[AnySource], bool]:
    """The videos that sources stand for, each once, and whether each has a folder of its own in that of the result.

    It has not where there is one that was named itself.

    Raises:
        VideoError: there are none, or none for a pattern, or a folder may not be read.
    """
    given = [sources] if isinstance(sources, str | Path | int) else list(sources)
    if strange := [type(source).__name__ for source in given if not isinstance(source, str | Path | int)]:
        raise ConfigError(
            f"a source of type {strange[0]}",
            expected="a path, URL, camera index or - for stdin",
            do="step a tdseg.Stream with frames that you have",
        )
    found: dict[object, AnySource] = {}
    for source in given:
        for video in _videos_of(source):
            is_file = os.path.exists(str(video)) and not isinstance(video, int)
            found.setdefault(os.path.realpath(str(video)) if is_file else str(video), video)
    if not found:
        raise VideoError("no source", expected="one or more videos", do="name a file, folder, camera or address")
    videos = list(found.values())
    return videos, len(given) > 1 or videos != given


def _videos_of(source: AnySource) -> Iterable[AnySource]:
    name = str(source)
    if isinstance(source, int) or name == "-" or is_url(name):
        return [source]
    try:
        if os.path.isdir(name):
            if images_in(Path(name)):
                return [source]
            videos = sorted((path for path in Path(name).iterdir() if _is_video(path)), key=natural_order)
            return videos or [source]
    except OSError as error:
        raise VideoError(
            f"{name}: {error.strerror}", expected="a folder that may be read", do="check its permissions"
        ) from error
    if os.path.exists(name) or not glob.has_magic(name) or matching_images(name):  # of images: one video of them all
        return [source]
    matching = sorted((Path(found) for found in glob.glob(name)), key=lambda path: (path.parent, natural_order(path)))
    if not matching:
        raise VideoError(f"{name}: no file of such a name", expected="a pattern that files match", do="check the path")
    return matching


def _is_video(path: Path) -> bool:
    return bool(VIDEO_SUFFIXES.fullmatch(path.suffix)) and not path.name.startswith(".") and path.is_file()


def _folders(videos: list[AnySource], output: str | Path | None, several: bool) -> list[Path]:
    """Where the result of each goes."""
    if not several:
        return [default_output(videos[0]) if output is None else Path(output)]
    taken: dict[str, Path] = {}
    for video in videos:
        default = default_output(video)
        name, count = default.name, 1
        while name.casefold() in taken:  # there are disks on which case makes no other name
            count += 1
            name = f"{default.name}-{count}"
        taken[name.casefold()] = (default.parent if output is None else Path(output)) / name
    return list(taken.values())
