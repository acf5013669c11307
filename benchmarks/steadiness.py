"""Steadiness of trained models beside two ways to steady a per-frame model afterwards, on CamVid val.

python benchmarks/steadiness.py --root CAMVID [--output docs/results.md]

CAMVID is the folder with images/ and labels/ in the SegNet layout (480×360, 11 classes). Prints a table in Markdown;
with --output, puts it between the steadiness marks of that file. A second table has the differences from the per-frame
model of each, with their intervals.
"""

from __future__ import annotations

import argparse
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

import tdseg
from page import put
from tdseg.data.camvid import CamVid
from tdseg.metrics.bootstrap import Trace, paired
from tdseg.metrics.figures import accuracy, shown_between, temporal
from tdseg.metrics.flow import Flows
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.models.propagation import TDNetState

COLUMNS = {
    "mIoU": ("miou", "{:.2f}"),
    "TC": ("tc", "{:.2f}"),
    "TC, Farnebäck": ("tc_farneback", "{:.2f}"),
    "VC8": ("vc8", "{:.2f}"),
    "VC16": ("vc16", "{:.2f}"),
    "flips": ("flip_rate", "{:.2%}"),
    "excess flips": ("excess_flip_rate", "{:.2%}"),
    "flips along flow, per second": ("flow_flip_rate", "{:.3f}"),
    "along Farnebäck": ("flow_flip_rate_farneback", "{:.3f}"),
}
TWINS = {"td6-lite0s-camvid": "lite0s-camvid", "td4-lite0-camvid": "lite0-camvid"}
"""Packaged models with a memory, and the per-frame ones that they and what steadies these are held against."""
DIFFERENCES = ("miou", "tc", "tc_farneback", "vc8", "excess_flip_rate")
"""Those that are shown with an interval."""


class Measured(NamedTuple):
    """A method, measured."""

    figures: dict[str, Any]
    """By key."""
    traces: dict[str, Trace]
    """Likewise, frame by frame."""


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
    for name, twin in TWINS.items():
        yield f"`{name}`", Model(name)
        yield f"`{twin}`", Model(twin)
        yield f"`{twin}`, majority of 3 masks", Voted(Model(twin), 3)
        yield f"`{twin}`, logits smoothed, a = 0.5", Smoothed(Model(twin), 0.5)


@torch.inference_mode()
def measure(data: CamVid) -> dict[str, Measured]:
    """Each method, and the labels themselves; the flows to each frame are computed once for all."""
    running = dict(methods())
    names = [*running, "labels"]
    steadiness = {name: Steadiness(fps=data.fps) for name in names}
    matrices = {name: ConfusionMatrix(len(data.classes)) for name in names}
    traces: dict[str, dict[str, Trace]] = {name: defaultdict(Trace) for name in names}
    normalize, flows = Model("lite0-camvid").model.normalize, Flows()
    for i in range(len(data)):
        clip = data[i]
        motion = flows.step(clip.frames[0].permute(1, 2, 0).contiguous().numpy())
        x, label = normalize(clip.frames), clip.labels[0].numpy()
        for name in names:
            mask = running[name](x)[0].argmax(0).byte().numpy() if name in running else label
            steadiness[name].update(mask, label=label, flow=motion)
            matrices[name].update(mask, label)
            for key, sums in {"miou": matrices[name].sums, **steadiness[name].sums()}.items():
                traces[name][key].add(sums)
    return {
        name: Measured(
            {**accuracy([matrices[name]], data.classes), **temporal([steadiness[name].compute()])}, traces[name]
        )
        for name in names
    }


def markdown(measured: dict[str, Measured]) -> str:
    """One row for each method, then one for what it has over its per-frame model."""
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    for name, method in measured.items():
        rows.append([name, *(form.format(method.figures[key]) for key, form in COLUMNS.values())])
    titles = {key: title for title, (key, _) in COLUMNS.items()}
    over = [["", "over", *(titles[key] for key in DIFFERENCES)], ["---"] * (len(DIFFERENCES) + 2)]
    for model, twin in TWINS.items():
        start = f"`{twin}`"
        for name, method in measured.items():
            if name == f"`{model}`" or name.startswith(f"{start},"):
                both = [paired(measured[start].traces[key], method.traces[key]).difference for key in DIFFERENCES]
                cells = (shown_between(key, one, signed=True) for key, one in zip(DIFFERENCES, both, strict=True))
                over.append([name, start, *cells])
    return "\n".join("".join(f"| {' | '.join(row)} |\n" for row in table) for table in (rows, over))


def main() -> None:
    """Measure, print the table, and put it where it is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="a file with steadiness marks")
    arguments = parser.parse_args()
    table = markdown(measure(CamVid(arguments.root, "val")))
    print(table)
    if arguments.output:
        put(table, "steadiness", arguments.output)


if __name__ == "__main__":
    main()
