"""The `tdseg` command: parsing and printing. Each verb calls the function of the same name and arguments."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tdseg import __version__
from tdseg.errors import ConfigError, TdsegError

DONE, IN_PART, REFUSED, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="tdseg",
    help="Fast, stateful video semantic segmentation.",
    version=__version__,
    version_flags=["--version"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main says what is kept
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

# Imports of torch and FFmpeg wait inside the verbs: `tdseg --help` answers at once.


@app.command
def segment(
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    model: str = "td4-lite0-camvid",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    size: str | None = None,
    masks: Literal["png", "none"] = "png",
    overlay: bool = True,
    threads: int | None = None,
    quiet: bool = False,
    overwrite: bool = False,
) -> int:
    """Segment a video into a folder: overlay.mp4, masks/000000.png ..., summary.json.

    Args:
        source: Video file, folder of frames, camera index, URL, or - for stdin.
        output: Folder of the result; by default out/ and the source's name.
        model: Name of packaged weights (see `tdseg models`), or a file of weights.
        device: auto is cuda if there is one.
        size: HxW of the network's input, such as 360x480; by default the model's own.
        masks: Write a mask per frame, 8-bit indexed PNG, or none.
        overlay: Write the overlay video.
        threads: Threads of the network on the CPU; by default all cores.
        quiet: Print errors only.
        overwrite: Replace a former result in the folder.
    """
    from tdseg.pipeline import default_output, segment_to

    folder = output or str(default_output(source))
    with _progress(quiet) as on_progress:
        summary = segment_to(
            source,
            folder,
            model=model,
            size=None if size is None else _parse_size(size),
            device=device,
            masks=masks,
            overlay=overlay,
            overwrite=overwrite,
            threads=threads,
            on_progress=on_progress,
        )
    if not quiet:
        latency = summary.latency_ms
        out.print(
            f"{escape(folder)}: {summary.frames} frames, {summary.fps:.1f} fps, "
            f"latency p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms"
        )
    if summary.problem:
        label = "note" if summary.complete else "incomplete"
        err.print(f"[yellow]{label}:[/] {escape(summary.problem)}", soft_wrap=True)
    return DONE if summary.complete else IN_PART


@app.command
def demo(*, output: Annotated[str, Parameter(alias="-o")] = "out/demo", quiet: bool = False) -> int:
    """Segment a rendered street whose true labels are known, offline, and print how well it went.

    Args:
        output: Folder of the result; a former demo in it is replaced.
        quiet: Print errors only.
    """
    from tdseg.demo import demo

    with _progress(quiet) as on_progress:
        miou, summary = demo(output, on_progress=on_progress)
    if not quiet:
        latency = summary.latency_ms
        out.print(
            f"{escape(output)}: {summary.frames} frames of a rendered street, {summary.model} on {summary.device}"
        )
        out.print(f"  mIoU       {miou:.1f} %   against the clip's own labels")
        out.print(f"  fps        {summary.fps:.1f}     decoding to closed files")
        out.print(f"  latency    p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms")
        out.print(f"  flip rate  {summary.flip_rate or 0:.2%}   pixels that change class from frame to frame")
        out.print(f"  look at    {escape(output)}/preview.png and overlay.mp4")
    return DONE


@app.command
def models() -> int:
    """List architectures and packaged weights."""
    from tdseg import zoo

    table = Table("name", "paths", "mIoU", "data", "licence", box=None)
    for name in zoo.list_models():
        entry = zoo.PACKAGED.get(name)
        if entry:
            table.add_row(name, str(zoo.model_config(entry.architecture).paths), entry.miou, entry.data, entry.licence)
        else:
            table.add_row(name, str(zoo.model_config(name).paths), "untrained", "", "")
    out.print(table)
    return DONE


@app.command
def doctor() -> int:
    """Show versions, devices, and what is missing with the line that installs it."""
    from tdseg.doctor import diagnose

    findings = diagnose()
    table = Table("what", "state", "to do", box=None)
    for finding in findings:
        table.add_row(*(escape(text) for text in finding[:3]))
    out.print(table)
    return IN_PART if any(finding.needed for finding in findings) else DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code: 0 done, 1 done in part, 2 refused, 130 interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return int(app(arguments, exit_on_error=False, print_error=False) or DONE)
    except (TdsegError, CycloptsError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        return REFUSED
    except KeyboardInterrupt as interrupt:
        err.print(f"[yellow]interrupted[/] {escape(str(interrupt))}".rstrip(), soft_wrap=True)
        return INTERRUPTED


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not match:
        raise ConfigError(f"size {text!r}", expected="HxW in pixels", do="write the height first, such as 360x480")
    return int(match[1]), int(match[2])


class _Fps(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f} fps")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A bar on the terminal, which goes when the work is done; nothing where there is no terminal to see it."""
    if quiet or not err.is_terminal:
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), _Fps(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, refresh_per_second=4) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


if __name__ == "__main__":
    sys.exit(main())
