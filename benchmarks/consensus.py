"""What the consensus of a window of frames gives per-frame models, by window, view and motion, on CamVid val.

python benchmarks/consensus.py --root CAMVID [--second lite0.safetensors] [--output docs/results.md]

CAMVID is the folder with images/ and labels/ in the SegNet layout (480×360, 11 classes). Nothing is trained: every row
is `tdseg.add_memory` of packaged weights, streamed from its first path. The rows of two networks that take turns need a
second one, --second: a per-frame lite0 of the same classes. Prints that table in Markdown, and the mIoU of the packaged
models at lower frame rates; with --output, puts both between the consensus marks of that file.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

import steadiness
import tdseg
from page import put
from tdseg.config import PLAIN, FrameView
from tdseg.data.camvid import CamVid
from tdseg.measure.cost import merging_multiply_adds, multiply_adds
from tdseg.metrics.figures import accuracy, temporal
from tdseg.metrics.flow import Flows
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.metrics.temporal import Steadiness
from tdseg.models.layers import resize
from tdseg.models.path import Encoded
from tdseg.models.propagation import motion
from tdseg.models.propagation.motion import SIGMA
from tdseg.models.tdnet import TDNet

COLUMNS = {
    **{name: steadiness.COLUMNS[name] for name in ("mIoU", "TC", "TC, Farnebäck", "VC8", "VC16", "excess flips")},
    "pole": ("pole", "{:.1f}"),
    "multiply-adds, G": ("multiply_adds", "{:.2f}"),
}
PACKAGED = ("td6-lite0s-camvid", "td4-lite0-camvid")
APART = (1, 2, 3, 5, 8, 15)
"""Frames of the video from one that is seen to the next."""
STEP = 8
"""Sides of a zoomed input are multiples of it, pixels."""


class Row(NamedTuple):
    """One form of one or several networks."""

    networks: tuple[str, ...]
    window: int = 1
    """Frames; 1: what the frame itself says is all, and networks and views only take turns."""
    views: tuple[FrameView, ...] = ()
    zoom: float = 1.0
    """Of the input, and so of every frame alike."""
    source: Literal["matching", "dis"] = "matching"
    """Of motion."""
    sigma: float = SIGMA
    """A constant of the package, which has no option for it."""

    @property
    def cells(self) -> tuple[str, str, str]:
        """Networks, window, and what else sets the row apart."""
        views = ", ".join(" ".join([f"{view.zoom:g}", *["mirrored"] * view.mirror]) for view in self.views)
        traits = [f"views {views}"] if views else []
        traits += [f"input × {self.zoom:g}"] if self.zoom != 1 else []
        traits += ["motion by DIS"] if self.source == "dis" else []
        if self.sigma != SIGMA:
            traits += [f"σ = {self.sigma:g}" if math.isfinite(self.sigma) else "all valid"]
        return " and ".join(f"`{name}`" for name in self.networks), f"{self.window}", ", ".join(traits)


LITE0, LITE0S, SECOND = "lite0-camvid", "lite0s-camvid", "second"
LARGER, MIRRORED = FrameView(zoom=1.25), FrameView(mirror=True)
TWO = (LARGER, PLAIN)
ROWS = (
    Row((LITE0,)),
    *(Row((LITE0,), window) for window in (2, 3, 4, 6, 8)),
    Row((LITE0,), 4, source="dis"),
    Row((LITE0,), 4, TWO),
    Row((LITE0S,)),
    *(Row((LITE0S,), window) for window in (2, 3, 4, 6, 8)),
    Row((LITE0S,), 4, source="dis"),
    Row((LITE0S,), 1, TWO),
    *(Row((LITE0S,), window, TWO) for window in (2, 4, 6, 8)),
    *(Row((LITE0S,), 6, TWO, sigma=sigma) for sigma in (11, 16, 32, 44, math.inf)),
    Row((LITE0S,), 6, TWO, source="dis"),
    Row((LITE0S,), 6, (LARGER, MIRRORED)),
    Row((LITE0S,), 6, (PLAIN, MIRRORED)),
    *(Row((LITE0S,), window, zoom=zoom) for zoom in (1.25, 1.13) for window in (1, 6)),
    Row((SECOND,)),
    *(Row((LITE0, SECOND), window) for window in (1, 2, 4)),
)


class Streamed:
    """A row as one goes through a video.

    Args:
        row: what to run.
        networks: per-frame models by name.
        size: (height, width) of the frames.
    """

    def __init__(self, row: Row, networks: dict[str, TDNet], size: tuple[int, int]) -> None:
        self.row = row
        self.size = size if row.zoom == 1 else (_zoomed(size[0], row.zoom), _zoomed(size[1], row.zoom))
        models = [networks[name] for name in row.networks]
        frames = max(row.window, 2)
        self.model = tdseg.add_memory(models, frames=frames, views=row.views, motion=row.source).fuse()
        self.state = self.model.initial_state()

    def __call__(self, x: Tensor, known: dict[object, Encoded]) -> Tensor:
        """Logits (1, C, H, W) of the next frame; `known` is what rows have encoded of it, and gets what is new."""
        path = self.state.path
        key = self.row.networks[path % len(self.row.networks)], self.model.config.view(path), self.size
        if key not in known:
            known[key] = self.model.encode(_resized(x, self.size), path)
        state = self.state if self.row.window > 1 else self.state._replace(memory=())
        with patch.object(motion, "SIGMA", self.row.sigma):
            logits, self.state = self.model.advance(known[key], state)
        return resize(logits, (x.shape[-2], x.shape[-1]))

    def multiply_adds(self) -> float:
        """Those of a frame, mean of the paths, in units of 10⁹; what OpenCV does for DIS is none of a network."""
        config = self.model.config.model_copy(update={"motion": "matching"})
        matching = TDNet(config)
        counts = multiply_adds(matching, self.size)
        alone = self.row.window == 1 or self.row.source == "dis"
        merging = merging_multiply_adds(matching, self.size)
        return float(sum(counts) / len(counts) - alone * merging) / 1e9


@torch.inference_mode()
def measure(data: CamVid, second: Path | None) -> dict[Row, dict[str, Any]]:
    """The figures of each row by key. Each frame is encoded once for each network, view and size."""
    networks = {name: tdseg.load(name) for name in (LITE0, LITE0S)}
    if second:
        networks[SECOND] = tdseg.load(second)
    first = data[0].frames
    rows = [row for row in ROWS if networks.keys() >= set(row.networks)]
    running = {row: Streamed(row, networks, (first.shape[-2], first.shape[-1])) for row in rows}
    steady = {row: Steadiness(fps=data.fps) for row in rows}
    matrices = {row: ConfusionMatrix(len(data.classes)) for row in rows}
    flows = Flows()
    for i in range(len(data)):
        clip, known = data[i], dict[object, Encoded]()
        along = flows.step(clip.frames[0].permute(1, 2, 0).contiguous().numpy())
        x, label = networks[LITE0].normalize(clip.frames), clip.labels[0].numpy()
        for row, stream in running.items():
            mask = stream(x, known)[0].argmax(0).byte().numpy()
            steady[row].update(mask, label=label, flow=along)
            matrices[row].update(mask, label)
    figures = {row: {**accuracy([matrices[row]], data.classes), **temporal([steady[row].compute()])} for row in rows}
    costs = {row: {"pole": figures[row]["iou"]["Pole"], "multiply_adds": running[row].multiply_adds()} for row in rows}
    return {row: figures[row] | costs[row] for row in rows}


@torch.inference_mode()
def by_rate(data: CamVid) -> list[list[str]]:
    """A line of cells for each frame rate: mIoU over all frames, as so many videos as frames lie between two."""
    assert data.fps
    models = [tdseg.load(name).fuse() for name in PACKAGED]
    lines = [["frames per second", *(f"`{name}`, mIoU" for name in PACKAGED)], ["---"] * (len(PACKAGED) + 1)]
    for apart in APART:
        matrices = [ConfusionMatrix(len(data.classes)) for _ in models]
        for first, (model, matrix) in product(range(apart), zip(models, matrices, strict=True)):
            state = None
            for i in range(first, len(data), apart):
                logits, state = model.step(model.normalize(data[i].frames), state)
                matrix.update(logits[0].argmax(0).byte().numpy(), data[i].labels[0].numpy())
        lines.append([f"{data.fps / apart:.3g}", *(f"{matrix.miou:.2f}" for matrix in matrices)])
    return lines


def table_of(measured: dict[Row, dict[str, Any]]) -> list[list[str]]:
    """A line of cells for each row."""
    lines = [["network", "window", "", *COLUMNS], ["---"] * (len(COLUMNS) + 3)]
    for row, figures in measured.items():
        values = ((figures[key], form) for key, form in COLUMNS.values())
        lines.append([*row.cells, *("–" if value is None else form.format(value) for value, form in values)])
    return lines


def _zoomed(side: int, zoom: float) -> int:
    return STEP * round(zoom * side / STEP)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def main() -> None:
    """Measure, print the tables, and put them where they are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--second", type=Path, help="weights of a second lite0")
    parser.add_argument("--output", type=Path, help="a file with consensus marks")
    arguments = parser.parse_args()
    start = time.perf_counter()
    data = CamVid(arguments.root, "val")
    tables = (table_of(measure(data, arguments.second)), by_rate(data))
    text = "\n".join("".join(f"| {' | '.join(line)} |\n" for line in table) for table in tables)
    print(text)
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.output:
        put(text, "consensus", arguments.output)


if __name__ == "__main__":
    main()
