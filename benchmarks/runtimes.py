"""What a step costs in every runtime, as a page of tables.

python benchmarks/runtimes.py [--models NAME ...] [--sizes 360x480 769x1537] [--frames N] [--threads N]
                              [--precisions fp32 int8] [--calibrate VIDEO] [--clip VIDEO] [-o docs/runtimes.md]
    Every model is exported in fp32 and int8, with the gate of `tdseg export`, and stepped through the same frames in
    every runtime, in turns. An architecture gets random weights: its int8 is for timing, not for its masks. Fields of
    it may follow its name, as in "td4-lite0 weight_sets=null".
    With --clip, `tdseg segment` runs from that file to files in every runtime, too, in turns.
    "encoder" is the bare EfficientNet-Lite0 of the lite models, in the same runtimes: what a step costs at least.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

import tdseg
from page import put
from tdseg.cli.terminal import parse_size
from tdseg.errors import TdsegError
from tdseg.export import export
from tdseg.inference.summary import Summary
from tdseg.models.backbones.efficientnet_lite import EfficientNetLite
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.engine import Engine
from tdseg.runtime.exported import open_exported
from tdseg.runtime.manifest import Parity
from tdseg.runtime.network import RUNTIMES, Execution, Network, RuntimeName
from tdseg.runtime.torch import TorchNetwork
from tdseg.street import render_street
from tdseg.system import cpu_threads, machine
from tdseg.zoo import catalog

ROUNDS = 5
ENCODER = "encoder"
FORMS: tuple[tuple[RuntimeName, str], ...] = (
    ("torch", "fp32"),
    ("onnxruntime", "fp32"),
    ("onnxruntime", "int8"),
    ("openvino", "fp32"),
    ("openvino", "int8"),
)


class Contender(NamedTuple):
    """A model in a runtime."""

    model: str
    runtime: str
    precision: str
    step: Callable[[NDArray[np.uint8]], object]
    parity: Parity | None


def main() -> int:
    """Measure, print the tables, and put them where they are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[ENCODER, "lite0-camvid", "td4-lite0-camvid"])
    parser.add_argument("--sizes", nargs="+", default=["360x480"], metavar="HxW")
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "int8"], default=["fp32", "int8"])
    parser.add_argument("--frames", type=int, default=20, help="of each contender, in each of five rounds")
    parser.add_argument("--threads", type=int, help="by default all cores")
    parser.add_argument("--calibrate", help="a video, for int8; by default a rendered street")
    parser.add_argument("--clip", help="a video to segment from file to files")
    parser.add_argument("-o", "--output", type=Path, help="a page with runtimes marks")
    arguments = parser.parse_args()
    try:
        with cpu_threads(arguments.threads) as threads, tempfile.TemporaryDirectory() as folder:
            where = f"{machine()['processor']}, {threads} threads, torch {torch.__version__}"
            text = f"`{shlex.join(['python', *sys.argv])}`; {where}.\n"
            for size in map(parse_size, arguments.sizes):
                text += _table(arguments, size, threads, Path(folder))
            if arguments.clip:
                text += _files(arguments.clip, threads, Path(folder))
    except TdsegError as error:
        parser.exit(2, f"{error}\n")
    print(text)
    if arguments.output:
        put(text, "runtimes", arguments.output)
    return 0


def _table(arguments: argparse.Namespace, size: tuple[int, int], threads: int, folder: Path) -> str:
    contenders = [
        contender
        for name in arguments.models
        for contender in (
            _encoder(size, threads, folder, arguments.precisions)
            if name == ENCODER
            else _network(name, size, threads, folder, arguments)
        )
    ]
    pictures = [frame.image for frame in render_street(num_frames=8, size=size)]
    rounds: list[list[float]] = [[] for _ in contenders]
    for turn in range(ROUNDS + 1):
        for times, contender in zip(rounds, contenders, strict=True):
            time.sleep(0.3)  # threads of the one before go to sleep
            taken = [_timed(contender, pictures[index % len(pictures)]) for index in range(arguments.frames)]
            if turn:  # the first is to warm up
                times.append(statistics.median(taken))
    lines = [
        "| model | runtime | precision | ms a step | over torch | over the encoder | pixels agree | mIoU lost |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    found = {contender[:3]: times for contender, times in zip(contenders, rounds, strict=True)}
    for contender in contenders:
        times = found[contender[:3]]
        cells = [f"`{contender.model}`", contender.runtime, contender.precision, _spread(times)]
        for other in ((contender.model, "torch", "fp32"), (ENCODER, contender.runtime, contender.precision)):
            ratio = [a / b for a, b in zip(times, found[other], strict=True)] if other in found else []
            cells.append(_spread(ratio) if ratio and other != contender[:3] else "")
        parity = contender.parity
        cells.append("" if parity is None else f"{parity.agreement:.2%}")
        cells.append("" if parity is None or parity.miou_drop is None else f"{parity.miou_drop:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return f"\n### {size[0]}×{size[1]}\n\n" + "\n".join(lines) + "\n"


def _files(clip: str, threads: int, folder: Path) -> str:
    """Decoding, masks and overlay included."""
    rounds: dict[str, list[Summary]] = {"auto": [], **{runtime: [] for runtime in reversed(RUNTIMES)}}
    for turn in range(ROUNDS + 1):
        for runtime, found in rounds.items():
            command = [sys.executable, "-m", "tdseg.cli", "segment", clip, "--runtime", runtime]
            command += ["--threads", str(threads), "--overwrite", "--quiet", "-o", str(folder / runtime)]
            subprocess.run(command, check=True)
            if turn:  # the first exports
                found.append(Summary(**json.loads((folder / runtime / "summary.json").read_text())))
    lines = [
        "| `--runtime` | is | precision | frames a second | latency p50, ms | p99, ms | start, s |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for runtime, found in rounds.items():
        columns = [
            [summary.fps for summary in found],
            *([summary.latency_ms[key] for summary in found] for key in ("p50", "p99")),
            [summary.startup_s for summary in found],
        ]
        cells = [runtime, found[0].runtime, found[0].precision, *map(_spread, columns)]
        lines.append(f"| {' | '.join(cells)} |")
    one = rounds["auto"][0]
    about = f"`{one.model}`, {one.frames} frames of {one.width}×{one.height}, file to files"
    return f"\n### {about}\n\n" + "\n".join(lines) + "\n"


def _network(
    name: str, size: tuple[int, int], threads: int, folder: Path, arguments: argparse.Namespace
) -> list[Contender]:
    architecture, *fields = name.split()
    trained = not catalog.is_architecture(architecture)
    torch.manual_seed(0)
    overrides = {key: yaml.safe_load(value) for key, value in (field.split("=") for field in fields)}
    model = tdseg.load(name) if trained else tdseg.create_model(architecture, **overrides)
    contenders = []
    parities: dict[str, Parity | None] = {}
    for runtime, precision in FORMS:
        if runtime != "torch" and precision not in arguments.precisions:
            continue
        if runtime == "torch":
            contenders.append(Contender(name, runtime, precision, _stepper(TorchNetwork(model, Execution())), None))
            continue
        place = folder / f"{name}-{size[0]}-{precision}"
        if precision not in parities:
            manifest = export(
                model,
                place,
                to="onnx",
                size=size,
                precision=precision,  # type: ignore[arg-type]
                calibrate=arguments.calibrate if precision == "int8" else None,
                agreement=0,  # shown in the table, whatever it is
            )
            parities[precision] = manifest.parity if trained else None
        network = open_exported(place, Execution(runtime=runtime, threads=threads))
        contenders.append(Contender(name, runtime, precision, _stepper(network), parities[precision]))
    return contenders


def _stepper(network: Network) -> Callable[[NDArray[np.uint8]], object]:
    """Image to logits, state kept here; normalising is part of a step in every runtime."""
    state = TDNetState()

    @torch.inference_mode()
    def step(image: NDArray[np.uint8]) -> Tensor:
        nonlocal state
        images = torch.from_numpy(image).permute(2, 0, 1)[None]
        logits, state = network.advance(network.encode(images, state.path), state)
        return logits

    return step


class _Encoder(nn.Module):
    """The backbone alone, on the images that graphs take."""

    def __init__(self) -> None:
        super().__init__()
        model: TDNet = tdseg.load("lite0-camvid").fuse()
        backbone = model.paths[0].subnet.backbone  # type: ignore[union-attr]
        assert isinstance(backbone, EfficientNetLite)
        self.backbone, self.model = backbone, model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone((image.permute(0, 3, 1, 2).float() - 127.0) / 128.0))


def _encoder(size: tuple[int, int], threads: int, folder: Path, precisions: list[str]) -> list[Contender]:
    import nncf
    import onnx

    from tdseg.runtime.onnxruntime import OnnxRuntimeEngine
    from tdseg.runtime.openvino import OpenVinoEngine, compile_graph

    module = _Encoder().eval()
    images = [frame.image[None] for frame in render_street(num_frames=8, size=size)]
    with torch.inference_mode():
        program = torch.onnx.export(
            module, (torch.from_numpy(images[0]),), dynamo=True, opset_version=18, verbose=False
        )
    assert program is not None
    graph = program.model_proto
    inputs = nncf.Dataset([{graph.graph.input[0].name: image} for image in images])
    integers = nncf.quantize(graph, inputs, preset=nncf.QuantizationPreset.MIXED, subset_size=len(images))

    @torch.inference_mode()
    def in_torch(image: NDArray[np.uint8]) -> object:
        return module(torch.from_numpy(image[None]))

    contenders = [Contender(ENCODER, "torch", "fp32", in_torch, None)]
    for precision, model in (("fp32", graph), ("int8", integers)):
        if precision not in precisions:
            continue
        path = folder / f"encoder-{size[0]}-{precision}.onnx"
        onnx.save(model, path)
        engines: tuple[Engine, ...] = (
            OnnxRuntimeEngine(path, Execution("cpu", threads=threads)),
            OpenVinoEngine(compile_graph(path, threads=threads)),
        )
        contenders += [Contender(ENCODER, one.name, precision, partial(_run, one), None) for one in engines]
    return contenders


def _run(engine: Engine, image: NDArray[np.uint8]) -> object:
    return engine.run([image[None]])


def _timed(contender: Contender, picture: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    contender.step(picture)
    return (time.perf_counter() - start) * 1e3


def _spread(values: list[float]) -> str:
    median = statistics.median(values)
    digits = 2 if median < 10 else 1 if median < 100 else 0
    return f"{median:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
