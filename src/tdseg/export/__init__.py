"""Export: a TDNet as a graph whose state is explicit, checked against the model before it is left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tdseg.config import ModelConfig
from tdseg.data.source import Source
from tdseg.errors import ConfigError, OutputError
from tdseg.export import parity
from tdseg.export.clip import Clip, open_clip
from tdseg.export.graph import StepGraph
from tdseg.export.join import join
from tdseg.export.quantize import calibration, quantize
from tdseg.export.triton import CONFIG, triton_config
from tdseg.export.write import OPSET, save_onnx, save_openvino, trace
from tdseg.files import write_whole
from tdseg.models.path import NetworkPath
from tdseg.models.tdnet import TDNet
from tdseg.runtime import READERS, RuntimeName, open_exported
from tdseg.runtime.layout import PATH, fit_size, logits_shape, memory_layout
from tdseg.runtime.manifest import MANIFEST, Manifest, Parity, TensorSpec, checksum, checksums, is_exported
from tdseg.system import __version__, installed, require
from tdseg.zoo import catalog

Target = Literal["onnx", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]
AGREEMENT: dict[str, float] = {"fp32": 0.999, "fp16": 0.995, "int8": 0.985}
"""Share of pixels, at least, that must have the class that the model gives them; what the user may lower."""
CALIBRATED_ON = 64
"""Frames at most."""
_PACKAGES = ("onnx", "onnxscript")
_TRACED_CELLS = (29, 37)
"""Size of the feature map that a graph of any size is traced with: one that no part of a model has for itself."""
OnProgress = Callable[[int, int | None], None]


class _Plan(NamedTuple):
    target: Target
    precision: Precision
    size: tuple[int, int]
    dynamic: bool
    stateful: bool
    agreement: float


def export(
    model: str | Path | TDNet,
    output: str | Path,
    *,
    to: Target,
    size: tuple[int, int] | None = None,
    dynamic: bool = False,
    precision: Precision = "fp32",
    calibrate: str | Path | Source | None = None,
    stateful: bool = False,
    agreement: float | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> Manifest:
    """Write a model as a folder that `tdseg.load`, ONNX Runtime, OpenVINO or Triton can run.

    The folder holds one graph for a step of any path, state in and out, and tdseg.json, which says all about it. It is
    shown a clip beside the model, with a reset in the middle, and is left only if it gives the same masks.

    Args:
        model: packaged weights, a file of weights, or a model in eval mode, not fused.
        output: folder to write.
        to: "onnx", or "openvino".
        size: (height, width) of the network's input, pixels; None: the model's own. The graph takes no other, unless
            it is dynamic.
        dynamic: the graph takes any size whose sides are multiples of the stride of the features, 8 as a rule.
        precision: "fp16" halves the weights: OpenVINO computes with them in float32, ONNX graphs in float16, for GPUs.
            "int8" quantises convolutions and matrix products, as many as the agreement allows.
        calibrate: what int8 is calibrated on, and any graph is checked on: a video, a folder of frames, or labelled
            data, on which the loss of mIoU is measured too; None: a rendered street.
        stateful: OpenVINO: beside the graph, write one that keeps its state inside.
        agreement: share of pixels, 0..1, that must have the model's class at least; None: 0.999 for fp32, 0.995 for
            fp16, 0.985 for int8.
        overwrite: replace a former export.
        on_progress: called with the number of frames checked, and of those to check.

    Returns:
        The manifest, with what was measured.

    Raises:
        ConfigError: an option that does not fit, a package that is missing, or masks that agree too little.
        WeightsError, VideoError, DataError: the model or the source cannot be used.
        OutputError: the folder cannot be written.
    """
    weights = None if isinstance(model, TDNet) else catalog.find(model)
    network = model if isinstance(model, TDNet) else catalog.load(model)
    plan = _plan(network, to, size, dynamic, precision, stateful, agreement)
    config = network.config
    count = max(4 * config.paths, CALIBRATED_ON if calibrate or precision == "int8" else 0)
    clip = open_clip(calibrate, count, plan.size, config.classes)
    folder = Path(output)
    staging = _stage(folder, overwrite)
    try:
        manifest = _write(network, plan, clip, staging)
        network = network.fuse()
        with_parity = manifest.model_copy(
            update={
                "parity": _check(network, manifest, plan, clip, staging, on_progress),
                "weights": weights and checksum(weights),
            }
        )
        write_whole(staging / MANIFEST, with_parity.model_dump_json(indent=1) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return with_parity


def _plan(
    network: TDNet,
    target: Target,
    size: tuple[int, int] | None,
    dynamic: bool,
    precision: Precision,
    stateful: bool,
    agreement: float | None,
) -> _Plan:
    if target not in READERS:
        raise ConfigError(f"export to {target!r}", expected=" or ".join(READERS), do="choose one of them")
    if precision not in AGREEMENT:
        raise ConfigError(f"precision {precision!r}", expected=", ".join(AGREEMENT), do="choose one of them")
    if stateful and (target == "onnx" or network.config.paths == 1 or network.config.warmup == "full"):
        raise ConfigError(
            f"a graph of {network.config.name} with its state inside, for {target}",
            expected="openvino, and a TDNet whose warm-up is not 'full', which a graph cannot do by itself",
            do="leave --stateful out",
        )
    if stateful and dynamic:
        raise ConfigError(
            "a graph of any size with its state inside",
            expected="one or the other: a state that is inside starts as zeros of a known size",
            do="leave --stateful or --dynamic out",
        )
    if agreement is not None and not 0 <= agreement <= 1:
        raise ConfigError(f"agreement {agreement}", expected="0..1", do="give a share of pixels, such as 0.98")
    require(*_PACKAGES, *_checkers(target), *(("nncf",) if precision == "int8" else ()))
    least = AGREEMENT[precision] if agreement is None else agreement
    fitting = fit_size(size, own=network.config.size, multiple_of=_stride(network) if dynamic else 1)
    return _Plan(target, precision, fitting, dynamic, stateful, least)


def _stage(folder: Path, overwrite: bool) -> Path:
    """A hidden folder beside the one to be, which takes its name when all is well."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not is_exported(folder):
            raise OutputError(
                f"{folder} holds something else than an export",
                expected="a new or an empty folder",
                do="choose another with --output",
            )
        if not overwrite:
            raise OutputError(
                f"{folder} holds a former export",
                expected="a new or an empty folder",
                do="choose another with --output, or replace it with --overwrite",
            )
    staging = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return staging


def _write(network: TDNet, plan: _Plan, clip: Clip, folder: Path) -> Manifest:
    """The graph and what goes with it; the manifest says all but how it compares."""
    config = network.config
    fused = network.fuse()
    paths = [path for path in fused.paths if isinstance(path, NetworkPath)]
    stride = _stride(network)
    half = plan.precision == "fp16" and plan.target == "onnx"
    image, logits, memory = _tensors(config, stride, plan.size, half=half)
    graphs = [StepGraph(path, config) for path in paths]
    met = calibration(graphs, clip, plan.size, memory) if plan.precision == "int8" else []
    seen = _tensors(config, stride, _traced_size(stride), half=half) if plan.dynamic else (image, logits, memory)
    traced = [trace(graph.half() if half else graph, *seen, dynamic=plan.dynamic) for graph in graphs]
    models = [one.model for one in traced]
    if plan.precision == "int8":
        models = [
            quantize(model, seen_by, alone=len(graphs) == 1, agreement=plan.agreement)
            for model, seen_by in zip(models, met, strict=True)
        ]
    if len(models) > 1:
        memory = (*memory, TensorSpec(name=PATH, dtype="int64", shape=(1, 1)))
    whole = join(models) if len(models) > 1 else models[0]
    graph = f"model.{'xml' if plan.target == 'openvino' else 'onnx'}"
    manifest = Manifest(
        format=1,
        target=plan.target,
        precision=plan.precision,
        opset=OPSET,
        size=None if plan.dynamic else plan.size,
        stride=stride,
        graph=graph,
        stateful="stateful.xml" if plan.stateful else None,
        image=image,
        logits=logits,
        memory=memory,
        encoded=traced[0].encoded if len(traced) == 1 else (),
        versions=_versions(plan),
        sha256={},
        model=config.model_copy(update={"size": plan.size}) if plan.dynamic else config,
    )
    _write_graph(whole, manifest, folder)
    return manifest.model_copy(update={"sha256": checksums(folder)})


def _write_graph(model: Any, manifest: Manifest, folder: Path) -> None:
    if manifest.target == "onnx":
        save_onnx(model, folder / manifest.graph)
        if manifest.size:
            (folder / CONFIG).write_text(triton_config(manifest), encoding="utf-8")
        return
    half = manifest.precision == "fp16"
    save_openvino(model, folder / manifest.graph, half=half)
    if manifest.stateful:
        save_openvino(model, folder / manifest.stateful, half=half, inside=manifest.memory)


def _stride(network: TDNet) -> int:
    path = network.paths[0]
    assert isinstance(path, NetworkPath)
    return path.subnet.stride


def _traced_size(stride: int) -> tuple[int, int]:
    return stride * _TRACED_CELLS[0], stride * _TRACED_CELLS[1]


def _tensors(
    config: ModelConfig, stride: int, size: tuple[int, int], *, half: bool
) -> tuple[TensorSpec, TensorSpec, tuple[TensorSpec, ...]]:
    """Image, logits and memory."""
    kind: Literal["float16", "float32"] = "float16" if half else "float32"
    memory = tuple(
        TensorSpec(name=tensor.name, dtype=kind, shape=tensor.shape) for tensor in memory_layout(config, stride, size)
    )
    image = TensorSpec(name="image", dtype="uint8", shape=(1, *size, 3))
    return image, TensorSpec(name="logits", dtype="float32", shape=logits_shape(config, stride, size)), memory


def _check(
    network: TDNet, manifest: Manifest, plan: _Plan, clip: Clip, folder: Path, on_progress: OnProgress | None
) -> Parity:
    """The gate, for every graph in the folder.

    Raises:
        ConfigError: masks agree too little.
    """
    write_whole(folder / MANIFEST, manifest.model_dump_json())
    sizes = [plan.size, _traced_size(manifest.stride)] if plan.dynamic else [plan.size]
    candidates = [(size, one) for size in sizes for one in _candidates(manifest, plan, folder, size)]
    done, total = 0, len(candidates) * len(clip.frames)

    def on_frame() -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, total)

    found = [parity.compare(network, one, clip, size, on_frame) for size, one in candidates]
    worst = min(found, key=lambda one: one.agreement)
    if worst.agreement < plan.agreement:
        lost = "" if worst.miou_drop is None else f", and {worst.miou_drop:.2f} points of mIoU are lost"
        raise ConfigError(
            f"{plan.precision} masks that agree on {worst.agreement:.3%} of the pixels of {clip.name}{lost}",
            expected=f"{plan.agreement:.1%} at least; nothing was left",
            do=f"accept it with --agreement {int(worst.agreement * 1000) / 1000}, or choose another precision",
        )
    return worst


def _candidates(manifest: Manifest, plan: _Plan, folder: Path, size: tuple[int, int]) -> Iterator[parity.Candidate]:
    """Every form of the graph that runs, for a size: that of the plan is told to the runtime, as `segment` does."""
    told = size if size == plan.size else None
    for runtime in _checkers(plan.target):
        yield parity.Explicit(open_exported(folder, runtime=runtime, device="cpu", size=told))
    if manifest.stateful:
        from tdseg.export.stateful import Stateful

        yield Stateful(folder / manifest.stateful)


def _checkers(target: Target) -> list[RuntimeName]:
    """The runtimes that a graph is checked in: those installed that read it, or one that is to be installed."""
    readers = READERS[target]
    return list(filter(installed, readers)) or [readers[-1]]


def _versions(plan: _Plan) -> dict[str, str]:
    packages = ["torch", *_PACKAGES, *_checkers(plan.target), *(["nncf"] if plan.precision == "int8" else [])]
    return {"tdseg": __version__, **{name: metadata.version(name) for name in packages}}


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write {folder}: {error.strerror or error}",
        expected="a folder that can be written, on a disk with free space",
        do="free some space or choose another folder with --output",
    )
