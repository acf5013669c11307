"""Steadiness of trained models beside two ways to steady a per-frame model afterwards, on CamVid val.

python benchmarks/steadiness.py --root CAMVID [--output docs/results.md]

CAMVID is the folder with images/ and labels/ in the SegNet layout (480×360, 11 classes). Prints a table in Markdown;
with --output, puts it between the steadiness marks of that file.
"""

from __future__ import annotations

import argparse
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

import tdseg
from tdseg.data.camvid import CamVid
from tdseg.metrics import report
from tdseg.metrics.flow import DISFlow
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.models.propagation import TDNetState

COLUMNS = {
    "mIoU": ("miou", "{:.2f}"),
    "TC": ("tc", "{:.2f}"),
    "VC8": ("vc8", "{:.2f}"),
    "VC16": ("vc16", "{:.2f}"),
    "flips": ("flip_rate", "{:.2%}"),
    "excess flips": ("excess_flip_rate", "{:.2%}"),
    "flips along flow, per second": ("flow_flip_rate", "{:.3f}"),
}
MARKS = re.compile(r"(?<=<!-- steadiness -->\n).*(?=<!-- /steadiness -->)", re.DOTALL)


class Method(Protocol):
    """Something with a memory that turns one frame of a video after the other into scores."""

    def __call__(self, x: Tensor) -> Tensor:
        """Network input (1, 3, H, W) to (1, C, H, W), whose argmax is the mask."""
        ...


class Model:
    """A packaged model, streamed."""

    def __init__(self, name: str) -> None:
        self.model = tdseg.load(name).fuse()
        self.state: TDNetState | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of the next frame."""
        logits, self.state = self.model.step(x, self.state)
        return logits


class Smoothed:
    """Exponential smoothing of logits: s_t = a·l_t + (1 − a)·s_t−1."""

    def __init__(self, method: Method, weight: float) -> None:
        self.method, self.weight = method, weight
        self.mean: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Smoothed logits of the next frame."""
        logits = self.method(x)
        self.mean = logits if self.mean is None else torch.lerp(self.mean, logits, self.weight)
        return self.mean


class Voted:
    """The class that most of the last masks have at a pixel; of equals the newest frame's, if it is among them."""

    def __init__(self, method: Method, count: int) -> None:
        self.method = method
        self.votes: deque[Tensor] = deque(maxlen=count)

    def __call__(self, x: Tensor) -> Tensor:
        """Votes, those of the newest frame ahead by half a vote."""
        logits = self.method(x)
        newest = F.one_hot(logits.argmax(1), logits.shape[1]).permute(0, 3, 1, 2)
        self.votes.append(newest)
        return 2 * sum(self.votes, torch.zeros_like(newest)) + newest


def methods() -> Iterator[tuple[str, Method]]:
    """Name and a fresh instance of each."""
    yield "`td4-lite0-camvid`", Model("td4-lite0-camvid")
    yield "`lite0-camvid`", Model("lite0-camvid")
    yield "`lite0-camvid`, majority of 3 masks", Voted(Model("lite0-camvid"), 3)
    yield "`lite0-camvid`, logits smoothed, a = 0.5", Smoothed(Model("lite0-camvid"), 0.5)


@torch.inference_mode()
def measure(data: CamVid) -> dict[str, dict[str, Any]]:
    """The figures of each method and of the labels themselves; the flow to each frame is computed once for all."""
    running = dict(methods())
    names = [*running, "labels"]
    steadiness = {name: Steadiness(fps=data.fps) for name in names}
    matrices = {name: ConfusionMatrix(len(data.classes)) for name in names}
    normalize = Model("lite0-camvid").model.normalize
    flow = DISFlow()
    for i in range(len(data)):
        clip = data[i]
        motion = flow.step(clip.frames[0].permute(1, 2, 0).contiguous().numpy())
        x, label = normalize(clip.frames), clip.labels[0].numpy()
        for name in names:
            mask = running[name](x)[0].argmax(0).byte().numpy() if name in running else label
            steadiness[name].update(mask, label=label, flow=motion)
            matrices[name].update(mask, label)
    return {
        name: {**report.accuracy([matrices[name]], data.classes), **report.temporal([steadiness[name]])}
        for name in names
    }


def markdown(figures: dict[str, dict[str, Any]]) -> str:
    """One row for each method."""
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    for name, values in figures.items():
        rows.append([name, *(form.format(values[key]) for key, form in COLUMNS.values())])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Measure, print the table, and put it where it is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="a file with steadiness marks")
    arguments = parser.parse_args()
    table = markdown(measure(CamVid(arguments.root, "val")))
    print(table)
    if arguments.output:
        text = arguments.output.read_text(encoding="utf-8")
        arguments.output.write_text(MARKS.sub(lambda _: table, text), encoding="utf-8")


if __name__ == "__main__":
    main()
