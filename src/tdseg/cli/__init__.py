"""The `tdseg` command: each verb runs a function of the library, and prints what came of it.

A verb is imported when it is run or its own help is asked for: `tdseg --help` answers at once.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Literal

from cyclopts import App, CycloptsError
from rich.markup import escape

from tdseg.cli.faults import as_refusal, tell_fault
from tdseg.cli.terminal import BROKEN, DONE, IN_PART, INTERRUPTED, REFUSED, err, out, warn, warnings_as_notes
from tdseg.errors import ConfigError, TdsegError, shortened
from tdseg.system import __version__

__all__ = ["BROKEN", "DONE", "INTERRUPTED", "IN_PART", "REFUSED", "app", "main"]

TWICE_S = 1.0
"""Signals of one kind that come so shortly after each other are one, seconds."""
_asked: dict[int, float] = {}
"""When each of them came last."""
VERBS = {
    "segment": "Segment videos, each into a folder: overlay.mp4, masks/000000.png ..., summary.json.",
    "demo": "Segment a rendered street whose true labels are known, offline, and print how well it went.",
    "train": "Train a model as a recipe says; on several GPUs by `torchrun --nproc-per-node 4 -m tdseg train …`.",
    "bench": "Measure a model on this machine: latency of a frame stage by stage, memory, cost, deviation of the fast "
    "form.",
    "compare": "Compare two models, or masks of any tool, on one video: a page of what differs, as video and figures.",
    "flicker": "Measure how steady the masks of a video are, whatever tool made them.",
    "steady": "Take the flicker out of the masks of a video, whatever tool made them.",
    "serve": "Segment cameras and streams, and show them in a browser.",
    "export": "Export a model as a graph for ONNX Runtime, OpenVINO or Triton; it is left only if it gives the same "
    "masks.",
    "convert": "Convert a checkpoint of the official TDNet code to one .safetensors file; nothing in it is executed.",
    "models": "List architectures and packaged weights.",
    "doctor": "Show versions, devices, and what is missing with the line that installs it.",
    "eval": "Measure a model on labelled frames: accuracy, and on video how steady it is.\n\n"
    "Video is streamed; where labelled frames are sparse, they are scored after the frames before them, if those are "
    "there, else shown as stills.",
    "data": "Data sets to train and evaluate on.",
}

app = App(
    name="tdseg",
    help="Fast, stateful video semantic segmentation.",
    version=__version__,
    version_flags=["--version"],
    result_action="return_value",
    console=out,
    suppress_keyboard_interrupt=False,  # main says what is kept
)
HOMES = {"convert": "models", "demo": "segment", "eval": "evaluate", "flicker": "evaluate"}
"""The module of a verb, where it has not its name."""
for name, text in VERBS.items():
    function = "evaluate" if name == "eval" else name
    app.command(f"tdseg.cli.{HOMES.get(name, name)}:{function}", name=name, help=text)


@app.command(name="--install-completion", help="Install completion for this shell: bash, zsh, fish or PowerShell.")
def _install_completion(shell: Literal["bash", "zsh", "fish", "powershell"] | None = None) -> None:
    """Print what was written."""
    try:
        out.print(f"{app.install_completion(shell=shell)}; it works in a new shell", soft_wrap=True, markup=False)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"completion cannot be installed: {error}",
            expected="bash, zsh, fish or PowerShell, and files that can be written",
            do="name the shell: tdseg --install-completion bash",
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and give its exit code.

    0: done, 1: done in part, 2: refused, 70: a fault of tdseg itself, 130: interrupted.
    """
    for name in ("SIGTERM", "SIGHUP"):  # as an interrupt, which leaves what was done
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:  # as under nohup
            signal.signal(getattr(signal, name), _interrupt_once)
    try:
        given = completed(sys.argv[1:] if arguments is None else arguments)
        _check_arguments(given)
        with warnings_as_notes():
            return int(app(given, exit_on_error=False, print_error=False) or DONE)
    except CycloptsError as error:
        return _refuse(shortened(str(error)))
    except KeyboardInterrupt as interrupt:
        warn("interrupted", str(interrupt))
        return INTERRUPTED
    except Exception as error:
        if refusal := as_refusal(error):
            return _refuse(refusal)
        tell_fault(error)
        return BROKEN


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """End as at an interrupt; what sends a signal twice at once, as `timeout` does, is not to break that off."""
    before, _asked[number] = _asked.get(number, -math.inf), time.monotonic()
    if _asked[number] - before > TWICE_S:
        raise KeyboardInterrupt


def _refuse(error: TdsegError | str) -> int:
    err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
    return REFUSED


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what no system could hand over, and no file could be called."""
    for text in arguments:
        if "\0" in text:
            raise ConfigError(f"the argument {text!r}", expected="no null bytes", do="remove them")


def completed(arguments: Sequence[str]) -> list[str]:
    """The arguments, where --ray without an address stands for the cluster of this machine."""
    following = [*arguments[1:], "--"]
    bare = [one == "--ray" and after.startswith("-") for one, after in zip(arguments, following, strict=True)]
    return [
        word for one, is_bare in zip(arguments, bare, strict=True) for word in ((one, "auto") if is_bare else (one,))
    ]
