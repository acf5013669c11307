"""From a video to its masks: decode, infer, and draw + encode + save overlap in threads, over bounded queues."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import numpy as np
import torch

from tdseg.errors import ConfigError, OutputError
from tdseg.inference.folder import OutputFolder, Summary
from tdseg.inference.recorder import AHEAD, Recorder
from tdseg.inference.stream import Result, Stream
from tdseg.masks.palette import color_table
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import AnyRuntime, Execution, Network
from tdseg.system import cpu_threads
from tdseg.video import Frame, VideoReader, open_video
from tdseg.zoo.load import prepare

DEFAULT_MODEL = "td4-lite0-camvid"
MOST_WORKERS = 4
"""Frames encoded at once; more would only add memory and latency."""

T = TypeVar("T")


def segment(
    source: str | Path | int,
    model: str | Path | TDNet | Network = DEFAULT_MODEL,
    *,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    runtime: AnyRuntime = "auto",
) -> Iterator[Result]:
    """Segment a video frame by frame in bounded memory, decoding ahead in a thread; closing the generator stops it.

    Args:
        source: video file, folder of frames, camera index, URL, or "-" for stdin.
        model: a model; or the name of packaged weights, a file or an exported folder, as `tdseg.load` takes it.
        size: (height, width) of the network's input, pixels; None: the model's own.
        device: "cpu", "cuda", or "auto": cuda if there is one, and for a model given as such, where it is.
        runtime: "torch", "onnxruntime", "openvino", or "auto": the fastest one installed, and for a model given as
            such, its own.

    Yields:
        A Result for each frame, in order.

    Raises:
        VideoError: the source cannot be opened, or holds no frame.
        ConfigError, WeightsError: the model, size or device cannot be used.

    Warns:
        UserWarning: the source gave fewer frames than it declares.
    """
    stream = Stream(prepare(model, Execution(device, runtime), size=size), size)
    reader = open_video(source)  # last, so that nothing fails before the thread that closes it
    for frame in _ahead(_frames(reader)):
        yield stream.step(frame.image, time_s=frame.time_s)
    if reader.problem:
        warnings.warn(reader.problem, stacklevel=2)


def segment_to(
    source: str | Path | int,
    output: str | Path | None = None,
    *,
    model: str | Path | TDNet | Network = DEFAULT_MODEL,
    size: tuple[int, int] | None = None,
    device: str = "auto",
    runtime: AnyRuntime = "auto",
    masks: Literal["png", "none"] = "png",
    overlay: bool = True,
    overwrite: bool = False,
    threads: int | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Summary:
    """Segment a video into a folder: overlay.mp4, masks/000000.png …, summary.json.

    An interrupt (KeyboardInterrupt) ends the run early: what was done is published, marked incomplete, and the
    interrupt is raised again. A source that breaks off is published likewise, and the summary names the problem.

    Args:
        source, model, size, device, runtime: as in `segment`.
        output: folder of the result; None: out/ and the source's name.
        masks: "png" writes a mask per frame, 8-bit indexed; "none" writes none.
        overlay: write the overlay video, with the source's timestamps and audio.
        overwrite: replace a former result in the folder.
        threads: threads of the network on the CPU; None: all cores.
        on_progress: called after each frame with the number done and the number to do, None where unknown.

    Raises:
        VideoError, ConfigError, WeightsError: as in `segment`.
        OutputError: the folder is in use or cannot be written.
    """
    begun = time.perf_counter()
    folder_path = default_output(source) if output is None else Path(output)
    _keep_source(source, folder_path)
    with cpu_threads(threads) as available:
        workers = min(available, MOST_WORKERS)
        network = prepare(model, Execution(device, runtime, available), size=size, workers=workers)
        workers = _share(network, available, workers)
        stream = Stream(network, size)
        warm_up(stream)
        started = time.perf_counter()
        reader = open_video(source)
        try:
            folder = OutputFolder(folder_path, overwrite=overwrite)
        except OutputError:
            reader.close()
            raise
        with folder:
            colors = color_table(stream.model.config.palette)
            recorder = Recorder(folder, source, reader.info, colors, masks=masks == "png", overlay=overlay)
            interrupt: KeyboardInterrupt | None = None
            try:
                with recorder, closing(_ahead(_frames(reader))) as frames:
                    timed = ((frame.image, frame.time_s) for frame in frames)
                    for result in stream.ahead(timed, workers):
                        recorder.put(result)
                        if on_progress:
                            on_progress(result.index + 1, reader.info.num_frames)
            except KeyboardInterrupt as error:
                if not recorder.figures.frames:
                    raise
                interrupt = error
            wall_s = time.perf_counter() - started
            name = str(model) if isinstance(model, str | Path) else network.config.name
            summary = _summarize(name, reader, stream, recorder, started - begun, wall_s, interrupt is None)
            folder.publish(summary)
    if interrupt:
        raise KeyboardInterrupt(f"{summary.frames} frames are in {folder_path}") from interrupt
    return summary


def default_output(source: str | Path | int) -> Path:
    """out/NAME: the file's or folder's name, or camera-0, stdin, or the last part of the URL."""
    name = str(source)
    if name.isdigit():
        return Path("out", f"camera-{name}")
    if name == "-":
        return Path("out", "stdin")
    if "://" in name:
        url = urlsplit(name)
        return Path("out", Path(url.path).stem or url.hostname or "stream")
    return Path("out", Path(name).resolve().stem)


def _keep_source(source: str | Path | int, output: Path) -> None:
    """Refuse to replace the source by its own result."""
    path = Path(str(source)).resolve()
    if any(path.is_relative_to((output / name).resolve()) for name in ("overlay.mp4", "masks", ".partial")):
        raise OutputError(
            f"source {source} is part of the former result in {output}",
            expected="an output folder that does not hold the source",
            do="choose another folder with --output",
        )


def _share(network: Network, threads: int, workers: int) -> int:
    """Share torch's threads out: the number of frames encoded at once, each with what threads that leaves it.

    Two frames on a thread each are faster than one frame on two, which wait for each other at every layer, and on
    busy cores wait long. Other runtimes have threads of their own; not all can encode a frame apart from its turn.
    """
    torch.set_num_threads(threads // workers if network.runtime == "torch" else 1)
    return workers if network.concurrent else 1


def warm_up(stream: Stream) -> None:
    """Run every path once, so that one-time costs count as start-up and not as the first frames' latency."""
    other = Stream(stream.model, stream.size)
    try:
        for _ in range(stream.model.config.paths):
            other.step(np.zeros((8, 8, 3), np.uint8))  # resized to the network's size, as any frame
    except RuntimeError as error:  # torch's, of no memory or of more pixels than it can count
        raise ConfigError(
            f"size {stream.size[0]}x{stream.size[1]}, at which the network does not run: {str(error).splitlines()[0]}",
            expected="a size for which there is memory",
            do="choose a smaller --size",
        ) from error


def _frames(reader: VideoReader) -> Generator[Frame, None, None]:
    with reader:  # so the thread that reads it also closes it
        yield from reader


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def _ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """The same items, made in a thread of their own, at most AHEAD of them before they are asked for."""
    ready: Queue[T | _End] = Queue(AHEAD)
    stopped = threading.Event()

    def work() -> None:
        end = _End()
        try:
            with closing(items):
                for item in items:
                    ready.put(item)
                    if stopped.is_set():
                        break
        except BaseException as error:
            end = _End(error)
        ready.put(end)

    # A daemon: a camera or pipe that gives nothing may block it forever, and must not keep the process alive.
    thread = threading.Thread(target=work, name="tdseg-decode", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        stopped.set()
        while not ready.empty():  # makes room for the last item and the end, so the thread is not stuck on a full queue
            ready.get()
        thread.join(timeout=1.0)


def _summarize(
    model: str,
    reader: VideoReader,
    stream: Stream,
    recorder: Recorder,
    startup_s: float,
    wall_s: float,
    finished: bool,
) -> Summary:
    config, figures = stream.model.config, recorder.figures
    classes = config.classes or tuple(f"class {index}" for index in range(config.num_classes))
    height, width = figures.frame_size
    return Summary(
        model=model,
        source=reader.info.source,
        device=stream.model.device,
        runtime=stream.model.runtime,
        precision=stream.model.precision,
        frames=figures.frames,
        complete=finished and reader.problem is None,
        problem=reader.problem or recorder.problem,
        width=width,
        height=height,
        size=stream.size,
        size_changes=stream.resets,
        startup_s=round(startup_s, 3),
        wall_s=round(wall_s, 3),
        fps=round(figures.frames / wall_s, 2),
        latency_ms=figures.latency_ms(),
        flip_rate=figures.flip_rate(),
        class_share=figures.class_share(classes),
    )
