"""Speed and outputs against the official TDNet code: same weights, same frames, one process, in turns.

git clone https://github.com/feinanshan/TDNet
python benchmarks/official.py --repo TDNet [--model td4-psp18] [--size 769x1537] [--frames N] [--compile] [--export]
                              [--json FILE]

Nothing of that code is here: it is imported from the clone. Weights are drawn at random, go into the official model as
they are and into ours by `tdseg convert`. Every form of ours that should give the same outputs is held to 1e-4 of the
largest logit: the exit code is 1 where one does not. `ratio` is that of the fastest of them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import tdseg
from tdseg.cli.terminal import parse_size
from tdseg.errors import ConfigError, TdsegError
from tdseg.export import export
from tdseg.files import check_target, write_whole
from tdseg.models.layers import resize
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.exported import open_exported
from tdseg.runtime.network import Execution, Network
from tdseg.runtime.torch import TorchNetwork
from tdseg.system import cpu_threads, machine, resolve_device
from tdseg.zoo.official import convert

TOLERANCE = 1e-4
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "td4-psp18": ("td4_psp18", {"path_num": 4}),
    "td2-psp50": ("td2_psp50", {"path_num": 2}),
    "psp18": ("pspnet", {"backbone": "resnet18"}),
    "psp50": ("pspnet", {"backbone": "resnet50"}),
    "psp101": ("pspnet", {"backbone": "resnet101"}),
}
"""Module and class of the official testing code, and what its constructor is given."""

Runner = Callable[["Picture"], Tensor]


class Picture(NamedTuple):
    """What all are shown."""

    image: Tensor
    """uint8 (1, 3, H, W), for what was exported."""
    x: Tensor
    """The same, normalised."""


class Form(NamedTuple):
    """One way to run our model."""

    name: str
    run: Runner
    exact: bool
    """Float32, so it has to agree."""


def main() -> int:
    """Print a line for each form, write the figures where asked, and say whether the outputs agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, required=True, help="a clone of the official repository")
    parser.add_argument("--model", choices=MODELS, default="td4-psp18")
    parser.add_argument("--size", default="769x1537", metavar="HxW")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--frames", type=int, default=12, help="timed, after two rounds of all paths to warm up")
    parser.add_argument("--threads", type=int, help="by default all cores")
    parser.add_argument("--compile", action="store_true", help="also our model under torch.compile")
    parser.add_argument("--export", action="store_true", help="also our model in OpenVINO, float32 and int8")
    parser.add_argument("--tf32", action="store_true", help="on a GPU, let float32 convolutions round to TF32")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        figures = run(arguments)
    except TdsegError as error:
        parser.exit(2, f"{error}\n")
    for name, form in figures["forms"].items():
        spread = "{median:.2f} ({min:.2f}-{max:.2f})".format(**form["ratio"])
        print(f"{name:28} {spread:20} times the speed, outputs within {form['max_relative_error']:.1e}")
    print(f"official: {figures['official_ms']['median']:.0f} ms a frame")
    if figures["max_relative_error"] > TOLERANCE:
        print(f"outputs differ by {figures['max_relative_error']:.1e}, more than {TOLERANCE:.0e}", file=sys.stderr)
        return 1
    return 0


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures, written to a file where asked."""
    if arguments.json:
        check_target(arguments.json)
    if arguments.frames < 1:
        raise ConfigError(f"frames {arguments.frames}", expected="1 or more", do="choose a larger --frames")
    size, device = parse_size(arguments.size), resolve_device(arguments.device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = arguments.tf32
    with cpu_threads(arguments.threads):
        official, ours = same_weights(arguments.repo, arguments.model, size)
        pictures = [Picture(image, ours.normalize(image)) for image in _images(size)]
        chosen = forms(ours.to(device), size, arguments.compile)
        chosen += exported(ours, size, pictures) if arguments.export else []
        figures = compare(official.to(device), chosen, pictures, arguments.frames)
        figures |= {"model": arguments.model, "size": size, "device": device.type, "machine": machine()}
    if arguments.json:
        write_whole(arguments.json, json.dumps(figures, indent=2) + "\n")
    return figures


def same_weights(repo: Path, name: str, size: tuple[int, int]) -> tuple[nn.Module, TDNet]:
    """The official model and ours."""
    folder = repo / "Testing"
    if not (folder / "model" / "pspnet").is_dir():
        raise ConfigError(
            f"{repo}, with no Testing/model/pspnet in it",
            expected="a clone of the official repository",
            do="git clone https://github.com/feinanshan/TDNet, and give its folder with --repo",
        )
    sys.path.insert(0, str(folder.resolve()))
    module, options = MODELS[name]
    official: nn.Module = getattr(importlib.import_module(f"model.pspnet.{module}"), module)(nclass=19, **options)
    features = tuple(-(-n // 8) for n in size)
    for layer in official.modules():  # their LayerNorm is made for one size
        if isinstance(layer, nn.LayerNorm):
            layer.normalized_shape = features
            layer.weight, layer.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))
    torch.manual_seed(0)
    state = {key: _draw(key, value) for key, value in official.state_dict().items()}
    official.load_state_dict(state)
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint, converted = Path(temporary, "official.pkl"), Path(temporary, "ours.safetensors")
        torch.save(state, checkpoint)
        convert(checkpoint, converted, model=name)
        return official.eval(), tdseg.load(converted)


def _draw(key: str, value: Tensor) -> Tensor:
    """Values that keep the size of features from layer to layer."""
    if key.endswith("num_batches_tracked"):
        return value
    if value.ndim == 4:
        return torch.randn(value.shape).div(value[0].numel() ** 0.5)
    if key.endswith(("bias", "running_mean")):
        return torch.randn(value.shape) * 0.1
    return torch.rand(value.shape) + 0.5


def forms(model: TDNet, size: tuple[int, int], compiled: bool) -> list[Form]:
    """What the device offers."""
    if model.device.type == "cpu":
        chosen = {"fused": Execution(winograd=False), "fused, Winograd": Execution(winograd=True)}
    else:
        chosen = {
            "fused": Execution(),
            "fused, CUDA graphs": Execution(cuda_graphs=True),
            "fused, bf16, CUDA graphs": Execution(autocast="bf16", cuda_graphs=True),
        }
    if compiled:
        chosen["fused, compiled"] = Execution(compile=True)
    return [
        Form(name, _stepper(TorchNetwork(model, execution), size), execution.autocast is None)
        for name, execution in chosen.items()
    ]


def _stepper(network: Network, size: tuple[int, int]) -> Runner:
    state = TDNetState()

    def run(picture: Picture) -> Tensor:
        nonlocal state
        logits, state = network.advance(network.encode(picture.image, state.path), state)
        return resize(logits, size)

    return run


def exported(model: TDNet, size: tuple[int, int], pictures: list[Picture]) -> list[Form]:
    """The model in OpenVINO; weights drawn at random say nothing of what int8 does to masks, so that is not asked."""
    chosen = []
    with tempfile.TemporaryDirectory() as temporary:
        frames = Path(temporary, "frames")
        frames.mkdir()
        for index, picture in enumerate(pictures):
            Image.fromarray(picture.image[0].permute(1, 2, 0).numpy()).save(frames / f"{index}.png")
        for precision in ("fp32", "int8"):
            folder = Path(temporary, precision)
            export(model, folder, to="onnx", size=size, precision=precision, calibrate=frames, agreement=0)
            network = open_exported(folder, Execution(runtime="openvino", threads=torch.get_num_threads()))
            chosen.append(Form(f"OpenVINO, {precision}", _stepper(network, size), precision == "fp32"))
    return chosen


def _images(size: tuple[int, int]) -> list[Tensor]:
    """Noise, which normalised has the spread that random weights keep from layer to layer."""
    generator = np.random.default_rng(0)
    return [torch.from_numpy(generator.integers(0, 256, (1, 3, *size), np.uint8)) for _ in range(4)]


@torch.inference_mode()
def compare(official: nn.Module, ours: list[Form], pictures: list[Picture], frames: int) -> dict[str, Any]:
    """Frame by frame through all, each time beginning with another one."""
    device = next(official.parameters()).device
    paths = getattr(official, "path_num", 1)
    pictures = [Picture(image, x.to(device)) for image, x in pictures]
    times: dict[str, list[float]] = {"official": [], **{form.name: [] for form in ours}}
    errors: dict[str, list[float]] = {form.name: [] for form in ours}
    warmup = 2 * paths  # the memory is full at half of it, and from then on nothing happens for the first time
    for index in range(warmup + frames):
        picture, path = pictures[index % len(pictures)], index % paths
        runners: list[tuple[str, Runner]] = [("official", lambda one, path=path: official(one.x, pos_id=path))]  # type: ignore[misc]
        runners += [(form.name, form.run) for form in ours]
        turn = index % len(runners)
        outputs = {}
        for name, run in runners[turn:] + runners[:turn]:
            start = _now(device)
            outputs[name] = run(picture)
            times[name].append(_now(device) - start)
        expected = outputs["official"]
        for form in ours:
            error = (outputs[form.name] - expected).abs().max() / expected.abs().max()
            errors[form.name].append(float(error.nan_to_num(math.inf)))
    timed = {name: values[warmup:] for name, values in times.items()}
    results: dict[str, Any] = {
        form.name: {
            "ratio": _spread([a / b for a, b in zip(timed["official"], timed[form.name], strict=True)]),
            "ms": _spread([1e3 * seconds for seconds in timed[form.name]]),
            "max_relative_error": max(errors[form.name]),
        }
        for form in ours
    }
    exact = [results[form.name] for form in ours if form.exact]
    return {
        "ratio": max(result["ratio"]["median"] for result in exact),
        "max_relative_error": max(result["max_relative_error"] for result in exact),
        "forms": results,
        "official_ms": _spread([1e3 * seconds for seconds in timed["official"]]),
        "frames": frames,
    }


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _spread(values: list[float]) -> dict[str, float]:
    return {
        name: round(value, 3)
        for name, value in (("median", statistics.median(values)), ("min", min(values)), ("max", max(values)))
    }


if __name__ == "__main__":
    sys.exit(main())
