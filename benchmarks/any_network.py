"""What a memory on the host gives the networks and masks of others, and what it costs.

python benchmarks/any_network.py [--camvid ROOT --segformer FOLDER] [--onnx NET.onnx --clips VIDEO ...] [--cost]
    [--output docs/any-network.md]

Any of its parts, on one thread. ROOT is the folder with images/ and labels/ of CamVid in the SegNet layout; FOLDER what
benchmarks/segformer.py leaves. With them: that network on CamVid val, streamed, with --memory 0 and 4; and `tdseg
steady` on the masks of lite0-camvid there. NET.onnx is a network of others with its NET.yaml: its masks of the clips
with --memory 0 and 4, changes of class along Farnebäck flow. --cost: milliseconds that the memory takes for an input of
1024×512, for scores at 1/4 of it that cost nothing, median (fastest–slowest) of 60 frames. With --output, each table
goes between its marks in that file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import tdseg
from page import put
from tdseg.data.camvid import CamVid
from tdseg.inference.steady import steady
from tdseg.measure.evaluate import evaluate
from tdseg.measure.flicker import flicker
from tdseg.metrics.iou import VOID
from tdseg.models.propagation import TDNetState
from tdseg.runtime.external.per_frame import PerFrameNetwork, external_config
from tdseg.runtime.memory import RememberingNetwork
from tdseg.runtime.network import Execution
from tdseg.street import render_street
from tdseg.system import keep_freed_memory
from tdseg.zoo.load import prepare

SIZE = (512, 1024)
MEMORY = 4
FRAMES = 60
ONE = Execution(threads=1)


def main() -> None:
    """Measure what is asked for, print the tables, and put them where they are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--segformer", type=Path)
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--output", type=Path, help="a file with marks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tables: dict[str, list[list[str]]] = {}
    if arguments.camvid and arguments.segformer:
        tables["segformer"] = trained(arguments.segformer, arguments.camvid)
    if arguments.camvid:
        tables["steady"] = steadied(arguments.camvid)
    if arguments.onnx:
        tables["onnx"] = [row for clip in arguments.clips for row in on_clip(arguments.onnx, clip)]
    if arguments.cost:
        tables["cost"] = [cost(classes, frames) for classes in (19, 150) for frames in (2, MEMORY, 8)]
    for name, rows in tables.items():
        header = HEADERS[name]
        table = "".join(f"| {' | '.join(row)} |\n" for row in [header, ["---"] * len(header), *rows])
        print(table, flush=True)
        if arguments.output:
            put(table, name, arguments.output)


HEADERS = {
    "segformer": ["`--memory`", "mIoU", "TC, Farnebäck", "VC8", "flips along flow, per pixel and s"],
    "steady": ["", "mIoU", "TC, Farnebäck", "flips along flow, per pixel and s"],
    "onnx": ["clip", "`--memory`", "flips along flow, per pixel and s", "of those without"],
    "cost": ["classes", "frames", "ms per frame", "state, MB"],
}


def trained(folder: Path, root: Path) -> list[list[str]]:
    """The rows of a trained network on CamVid val."""
    rows = []
    for memory in (0, 2, MEMORY, 8):
        figures = evaluate(prepare(folder, ONE, memory=memory), CamVid(root, "val"), flow=("farneback",))
        values = (figures["miou"], figures["tc_farneback"], figures["vc8"], figures["flow_flip_rate_farneback"])
        rows.append([str(memory), *(f"{value:.2f}" for value in values[:3]), f"{values[3]:.3f}"])
    return rows


def steadied(root: Path) -> list[list[str]]:
    """The rows of masks that `tdseg steady` mends."""
    frames, rows = root / "images" / "val", []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        tdseg.segment_to(frames, work / "run", model="lite0-camvid", write=("masks",), execution=ONE)
        (work / "labels").mkdir()
        for index, file in enumerate(sorted((root / "labels" / "val").iterdir())):
            label = np.array(Image.open(file))
            Image.fromarray(np.where(label == 11, VOID, label).astype(np.uint8)).save(work / "labels" / f"{index}.png")
        masks = work / "run" / "masks"
        places = {"masks of `lite0-camvid`": masks}
        for memory, delay in ((MEMORY, 0), (8, 0), (MEMORY, 2), (MEMORY, 4), (8, 7)):
            name = f"`tdseg steady --memory {memory} --delay {delay}`"
            places[name] = work / f"{memory}-{delay}"
            steady(masks, places[name], video=frames, memory=memory, delay=delay)
        for name, place in places.items():
            figures = flicker(place, video=frames, labels=work / "labels", fps=15, flow=("farneback",))
            flips = figures["flow_flip_rate_farneback"]
            rows.append([name, f"{figures['miou']:.2f}", f"{figures['tc_farneback']:.2f}", f"{flips:.3f}"])
    return rows


def on_clip(graph: Path, clip: Path) -> list[list[str]]:
    """The rows of a network's masks of a clip without labels."""
    flips = []
    with tempfile.TemporaryDirectory() as temporary:
        for memory in (0, MEMORY):
            place = Path(temporary, str(memory))
            tdseg.segment_to(clip, place, model=graph, memory=memory, write=("masks",), execution=ONE)
            figures = flicker(place / "masks", video=clip, flow=("farneback",))
            flips.append(figures["flow_flip_rate_farneback"])
    return [[clip.name, "0", f"{flips[0]:.3f}", ""], ["", str(MEMORY), f"{flips[1]:.3f}", f"{flips[1] / flips[0]:.2f}"]]


class Given(PerFrameNetwork):
    """Scores that cost nothing: what is measured is the memory."""

    def __init__(self, classes: int) -> None:
        super().__init__(external_config("given", classes, SIZE), "torch", "fp32", "cpu")
        coarse = torch.randn(1, classes, 8, 16, generator=torch.Generator().manual_seed(0))
        self.given = 3 * F.interpolate(coarse, (SIZE[0] // 4, SIZE[1] // 4), mode="bicubic")

    def scores(self, images: Tensor) -> Tensor:
        """See PerFrameNetwork."""
        return self.given


def cost(classes: int, frames: int) -> list[str]:
    """The row of a number of classes, and of frames in the window."""
    import cv2

    cv2.setNumThreads(1)
    keep_freed_memory()
    network, state, times = RememberingNetwork(Given(classes), frames), TDNetState(), list[float]()
    street = [
        torch.from_numpy(frame.image).permute(2, 0, 1)[None] for frame in render_street(3, num_frames=8, size=SIZE)
    ]
    with torch.inference_mode():
        for index in range(FRAMES + 10):
            start = time.perf_counter()
            _, state = network.advance(network.encode(street[index % len(street)], state.path), state)
            times.append(1e3 * (time.perf_counter() - start))
    times = times[10:]
    megabytes = sum(tensor.numel() * tensor.element_size() for tensor in state.memory) / 2**20
    spread = f"{statistics.median(times):.1f} ({min(times):.1f}–{max(times):.1f})"
    return [str(classes), str(frames), spread, f"{megabytes:.1f}"]


if __name__ == "__main__":
    main()
