"""From a video to its masks: decode, infer, and draw + encode + save overlap in threads, over bounded queues."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import torch

from tdseg.errors import ConfigError, OutputError
from tdseg.inference.output import STAGING, OutputFolder, Recorder, Summary, places
from tdseg.inference.stream import Result, Stream
from tdseg.inference.writers import WRITERS
from tdseg.masks.palette import color_table
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.network import Execution, frames_remembered
from tdseg.system import cpu_threads, keep_freed_memory
from tdseg.video import VideoReader, open_video
from tdseg.video.address import is_camera, is_pattern, is_url, printable
from tdseg.zoo.load import prepare

DEFAULT_MODEL = "td6-lite0s-camvid"
MOST_WORKERS = 4
"""Frames encoded at once; more would only add memory and latency."""


def segment(
    source: str | Path | int,
    model: str | Path | AnyModel = DEFAULT_MODEL,
    *,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    deinterlace: bool = True,
    stills: bool = False,
    execution: Execution = Execution(),  # noqa: B008 - immutable
) -> Iterator[Result]:
    """Segment a video frame by frame in bounded memory; frames to come are made ready in threads.

    A generator: closing it stops it. Meanwhile torch has only the threads of the CPU that its share of the work needs.

    Args:
        source, model, memory, size, deinterlace, stills, execution: as in `segment_to`.

    Yields:
        A Result for each frame, in order.

    Raises:
        VideoError, ConfigError, WeightsError: as in `segment_to`.

    Warns:
        UserWarning: the source gave fewer frames than it declares.
    """
    with _opened(source, model, memory, size, stills, execution, deinterlace) as run:
        yield from run.results
    if run.reader.problem:
        warnings.warn(run.reader.problem, stacklevel=2)


def segment_to(
    source: str | Path | int,
    output: str | Path | None = None,
    *,
    model: str | Path | AnyModel = DEFAULT_MODEL,
    memory: int | None = None,
    size: tuple[int, int] | None = None,
    deinterlace: bool = True,
    stills: bool = False,
    execution: Execution = Execution(),  # noqa: B008 - immutable
    names: Literal["source", "index"] = "source",
    write: tuple[str, ...] = ("masks", "overlay"),
    overwrite: bool = False,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Summary:
    """Segment a video into a folder: overlay.mp4, masks/000000.png …, summary.json.

    An interrupt (KeyboardInterrupt) ends the run early: what was done is published, marked incomplete, and the
    interrupt is raised again. A source that breaks off is published likewise, and the summary names the problem.

    Args:
        source: video file, folder or pattern of frames ('frames/*.png', frames/%05d.png), camera index, URL, or - for
            stdin.
        output: folder of the result; None: out/ and the source's name.
        model: name of packaged weights (see `tdseg models`), a file of weights, or an exported folder; of others, a
            model of Hugging Face, as hf://org/name or its folder, or an ONNX file. In Python also a model, a network,
            or a function from a frame to its class scores.
        memory: frames that a per-frame network is to remember, 2 … 16, or 0 for none; None: 4 for networks of others,
            none for ours.
        size: (height, width) of the network's input, pixels; None: the model's own or, where the frames have another
            shape and the network takes any, as many pixels in their shape.
        deinterlace: make frames whole that are flagged as interlaced.
        stills: the source is a folder of photos and no video: each is segmented without memory of those before it.
        execution: where and how the network runs.
        names: of the masks: source, those of the images in a folder (masks/IMG_0001.png of IMG_0001.jpg; masks of other
            sources are numbered); index, numbers in any case.
        write: outputs beside summary.json, any of masks (one a frame, 8-bit indexed PNG) and overlay (a video with the
            source's timestamps and audio), or none.
        overwrite: replace a former result in the folder.
        on_progress: called after each frame with the number done and the number to do, None where unknown.

    Raises:
        VideoError: the source cannot be opened, or holds no frame.
        ConfigError, WeightsError: an output, or the model, size or device cannot be used.
        OutputError: the folder is in use or cannot be written.
    """
    if unknown := [name for name in write if name not in WRITERS]:
        raise ConfigError(
            f"output {', '.join(map(repr, unknown))}",
            expected=", ".join(WRITERS),
            do="name some of them, as in --write masks,overlay, or none",
        )
    folder_path = default_output(source) if output is None else Path(output)
    _keep_source(source, folder_path)
    interrupt: KeyboardInterrupt | None = None
    with (
        _opened(source, model, memory, size, stills, execution, deinterlace) as run,
        OutputFolder(folder_path, overwrite=overwrite) as folder,
    ):
        info, config = run.reader.info, run.stream.model.config
        classes = config.classes or tuple(f"class {index}" for index in range(config.num_classes))
        colors = color_table(config.palette)
        chosen = [WRITERS[name](folder.staging, source, info, classes, colors) for name in dict.fromkeys(write)]
        for writer in chosen:
            writer.names = run.reader.names if names == "source" else None
        recorder = Recorder(folder, chosen)
        try:
            with recorder:
                for result in run.results:
                    recorder.put(result)
                    if on_progress:
                        on_progress(result.index + 1, info.num_frames)
        except KeyboardInterrupt as error:
            if not recorder.statistics.frames:
                raise
            interrupt = error
        summary = _summarize(model, run, recorder, classes, finished=interrupt is None)
        if names == "source" and run.reader.names and "masks" in write:
            summary = replace(summary, names=run.reader.names[: summary.frames])
        folder.publish(summary)
    if interrupt:
        raise KeyboardInterrupt(f"{summary.frames} frames are in {folder_path}") from interrupt
    return summary


def default_output(source: str | Path | int) -> Path:
    """out/NAME: the name of the file, the folder or that of a pattern; camera-0, stdin, or the last part of the URL."""
    name = printable(source)
    if is_camera(source):
        return Path("out", f"camera-{name}")
    if name == "-":
        return Path("out", "stdin")
    if is_url(name):
        url = urlsplit(name)
        return Path("out", Path(url.path).stem or url.hostname or "stream")
    path = Path(name).resolve()
    return Path("out", path.parent.name or "frames" if is_pattern(source) else path.stem)


def _keep_source(source: str | Path | int, output: Path) -> None:
    """Refuse to replace the source by its own result."""
    path = Path(str(source)).resolve()
    if any(path.is_relative_to(place.resolve()) for place in (*places(output), output / STAGING)):
        raise OutputError(
            f"source {printable(source)} is part of the former result in {output}",
            expected="an output folder that does not hold the source",
            do="choose another folder with --output",
        )


class _Run(NamedTuple):
    """A network on its way through a source."""

    stream: Stream
    reader: VideoReader
    results: Iterator[Result]
    """Of each frame, in order."""
    startup_s: float
    """Loading the network and running it for the first time, seconds."""
    started: float
    """When the first frame was asked, `time.perf_counter()`, as if the network had been ready before that."""


@contextmanager
def _opened(
    source: str | Path | int,
    model: str | Path | AnyModel,
    memory: int | None,
    size: tuple[int, int] | None,
    stills: bool,
    execution: Execution,
    deinterlace: bool,
) -> Iterator[_Run]:
    """The one way of a video, whatever becomes of its results; at the end torch has its threads back."""
    begun = time.perf_counter()
    keep_freed_memory()
    reader = open_video(source, deinterlace=deinterlace)  # the shape of its frames chooses the network's size
    opened_s = time.perf_counter() - begun
    with _closing(reader), cpu_threads(execution.threads) as available:
        workers = min(available, MOST_WORKERS)
        execution = replace(execution, threads=available)
        network = prepare(model, execution, memory=memory, size=size, frame=reader.size, workers=workers)
        # Two frames on a thread each are faster than one frame on two, which wait for each other at every layer, and on
        # busy cores wait long. Other runtimes have threads of their own.
        torch.set_num_threads(available // workers if network.runtime == "torch" else 1)
        stream = Stream(network, size, stills=stills)
        stream.expect(reader.size)
        warm_up(stream)
        started = time.perf_counter() - opened_s
        with closing(stream.ahead(reader, workers)) as results:
            yield _Run(stream, reader, results, started - begun, started)


@contextmanager
def _closing(reader: VideoReader) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ValueError):  # a silent source still holds the thread that reads it, which then closes it
            reader.close()


def warm_up(stream: Stream) -> None:
    """Run every path once, so that one-time costs count as start-up and not as the first frames' latency."""
    other = Stream(stream.model, stream.size)  # its own for frames that are not known yet
    try:
        for _ in range(stream.model.config.paths):
            other.step(np.zeros((8, 8, 3), np.uint8))  # resized to the network's size, as any frame
    except RuntimeError as error:  # torch's, of no memory or of more pixels than it can count
        raise ConfigError(
            f"size {stream.size[0]}x{stream.size[1]}, at which the network does not run: {str(error).splitlines()[0]}",
            expected="a size for which there is memory",
            do="choose a smaller --size",
        ) from error


def _summarize(
    model: str | Path | AnyModel, run: _Run, recorder: Recorder, classes: Sequence[str], *, finished: bool
) -> Summary:
    wall_s = time.perf_counter() - run.started
    network, problem = run.stream.model, run.reader.problem
    return Summary(
        model=str(model) if isinstance(model, str | Path) else network.config.name,
        source=run.reader.info.source,
        device=network.device,
        runtime=network.runtime,
        precision=network.precision,
        memory=None if run.stream.stills else frames_remembered(network),
        complete=finished and problem is None,
        problem=problem or recorder.problem,
        size=run.stream.size,
        size_changes=run.stream.resets,
        startup_s=round(run.startup_s, 3),
        wall_s=round(wall_s, 3),
        fps=round(recorder.statistics.frames / wall_s, 2),
        **recorder.statistics.figures(classes),
    )
