"""Export: a TDNet as a graph whose state is explicit, checked against the model before it is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from tdseg.config import ModelConfig
from tdseg.data.source import Source
from tdseg.export import parity
from tdseg.export.footage import Footage, open_footage
from tdseg.export.graph import StepGraph
from tdseg.export.join import join
from tdseg.export.others import export_external
from tdseg.export.quantize import calibration, quantize
from tdseg.export.request import (
    OnProgress,
    Precision,
    Request,
    Target,
    check_external,
    check_output,
    check_request,
    checkers,
    versions,
)
from tdseg.export.triton import CONFIG, triton_config
from tdseg.export.write import OPSET, Traced, save_onnx, save_openvino, trace
from tdseg.files import write_whole
from tdseg.files.publishing import whole_folder
from tdseg.measure.deviation import Candidate
from tdseg.models.propagation import kind_of
from tdseg.models.tdnet import TDNet
from tdseg.runtime.exported import open_exported
from tdseg.runtime.external import open_external
from tdseg.runtime.manifest import (
    MANIFEST,
    PATH,
    Manifest,
    Parity,
    TensorSpec,
    cells,
    checksum,
    checksums,
)
from tdseg.runtime.network import Execution, Network
from tdseg.runtime.torch import TorchNetwork
from tdseg.zoo.resolve import Artifact, resolve

CALIBRATED_ON = 64
"""Frames at most."""
_TRACED_CELLS = (29, 37)
"""Size of the feature map that a graph of any size is traced with: one that no part of a model has for itself."""


def export(
    model: str | Path | TDNet | Network,
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
    shown a clip beside the model, with a reset in the middle, and is left only if it gives the same masks. Of a network
    of others it holds model.onnx and model.yaml, as one writes them for an ONNX file.

    Args:
        model: name of packaged weights (see `tdseg models`), a file of weights, or a model of Hugging Face; in Python
            also a model in eval mode, not fused.
        output: folder to write.
        to: kind of graph.
        size: (height, width) of the network's input, pixels; None: the model's own. The graph takes no other, unless
            it is dynamic.
        dynamic: the graph takes any size whose sides are multiples of the stride of the features, 8 as a rule.
        precision: "fp16" halves the weights: OpenVINO computes with them in float32, ONNX graphs in float16, for GPUs.
            "int8" quantises convolutions and matrix products, as many as the agreement allows.
        calibrate: what int8 is calibrated on, and any graph is checked on: a video, a folder of frames, or
            labelled data (with --data its root, in Python a Source), on which the loss of mIoU is measured too; None: a
            rendered street.
        stateful: OpenVINO: beside the graph, write one that keeps its state inside.
        agreement: share of pixels, 0..1, that must have the model's class at least; None: 0.999 for fp32, 0.995 for
            fp16, 0.985 for int8.
        overwrite: replace a former export.
        on_progress: called with the number of frames checked, and of those to check.

    Returns:
        The manifest, with what was measured. (Of a network of others it is not written.)

    Raises:
        ConfigError: an option that does not fit, a package that is missing, or masks that agree too little.
        WeightsError, VideoError, DataError: the model or the source cannot be used.
        OutputError: the folder cannot be written.
    """
    folder, weights = Path(output), None
    if isinstance(model, str | Path):
        artifact = resolve(model)
        weights = artifact.weights
        model = _opened(artifact)
    if not isinstance(model, TDNet):
        request = check_external(model, to, size, agreement, dynamic=dynamic, precision=precision, stateful=stateful)
        return export_external(model, folder, request, calibrate, overwrite=overwrite, on_progress=on_progress)
    network = model
    request = check_request(network, to, size, dynamic, precision, stateful, agreement)
    config = network.config
    count = max(4 * config.paths, CALIBRATED_ON if calibrate or precision == "int8" else 0)
    footage = open_footage(calibrate, count, request.size, config.classes)
    former = check_output(folder, overwrite)
    with whole_folder(folder, former, Path(MANIFEST)) as staging:
        manifest = _write(network, request, footage, staging)
        found = {
            "parity": _check(network.fuse(), manifest, request, footage, staging, on_progress),
            "weights": weights and checksum(weights),
        }
        manifest = manifest.model_copy(update=found)
        write_whole(staging / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    return manifest


def _opened(artifact: Artifact) -> TDNet | Network:
    """A model to export, where torch runs on the CPU."""
    if artifact.external:
        return open_external(artifact.external, artifact.name, Execution("cpu"))
    return artifact.load()


def _write(network: TDNet, request: Request, footage: Footage, folder: Path) -> Manifest:
    """The graph and what goes with it; the manifest says all but how it compares."""
    config, stride = network.config, network.path(0).subnet.stride
    half = request.precision == "fp16" and request.target == "onnx"
    image, logits, memory = _tensors(config, stride, request.size, half=half)
    traced = _steps(network.fuse(), request, footage, memory)
    encoded = traced[0].encoded
    joined = join([one.model for one in traced], encoded)
    if len(traced) > 1:
        memory = (*memory, TensorSpec(name=PATH, dtype="int64", shape=(1, 1)))
    manifest = Manifest(
        format=1,
        target=request.target,
        precision=request.precision,
        opset=OPSET,
        size=None if request.dynamic else request.size,
        stride=stride,
        graph=f"model.{'xml' if request.target == 'openvino' else 'onnx'}",
        stateful="stateful.xml" if request.stateful else None,
        image=image,
        logits=logits,
        memory=memory,
        encoded=encoded,
        by_path=joined.by_path,
        versions=versions(request),
        sha256={},
        model=config.model_copy(update={"size": request.size}) if request.dynamic else config,
    )
    _write_graph(joined.model, manifest, folder)
    return manifest.model_copy(update={"sha256": checksums(folder)})


def _steps(fused: TDNet, request: Request, footage: Footage, memory: tuple[TensorSpec, ...]) -> list[Traced]:
    """The step of each path, in the precision that was asked for."""
    config, stride = fused.config, fused.path(0).subnet.stride
    half = request.precision == "fp16" and request.target == "onnx"
    graphs = [StepGraph(fused, turn) for turn in range(config.turns)]
    met = calibration(graphs, footage, request.size, memory) if request.precision == "int8" else []
    seen = _tensors(config, stride, _traced_size(stride) if request.dynamic else request.size, half=half)
    steps = [trace(graph.half() if half else graph, *seen, dynamic=request.dynamic) for graph in graphs]
    if request.precision != "int8":
        return steps
    return [
        step._replace(
            model=quantize(
                step.model,
                inputs,
                alone=len(steps) == 1,
                agreement=request.agreement,
                scores=step.encoded[0] if kind_of(config).after_head else None,
            )
        )
        for step, inputs in zip(steps, met, strict=True)
    ]


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


def _traced_size(stride: int) -> tuple[int, int]:
    return stride * _TRACED_CELLS[0], stride * _TRACED_CELLS[1]


def _tensors(
    config: ModelConfig, stride: int, size: tuple[int, int], *, half: bool
) -> tuple[TensorSpec, TensorSpec, tuple[TensorSpec, ...]]:
    """Image, logits and memory."""
    kind: Literal["float16", "float32"] = "float16" if half else "float32"
    layout = kind_of(config).layout(config, cells(size, stride))
    memory = (TensorSpec(name=name, dtype=kind, shape=shape) for name, shape in layout)
    image = TensorSpec(name="image", dtype="uint8", shape=(1, *size, 3))
    height, width = (config.head_upscale * n for n in cells(size, stride))
    logits = TensorSpec(name="logits", dtype="float32", shape=(1, config.num_classes, height, width))
    return image, logits, tuple(memory)


def _check(
    network: TDNet,
    manifest: Manifest,
    request: Request,
    footage: Footage,
    folder: Path,
    on_progress: OnProgress | None,
) -> Parity:
    """The gate, for every graph in the folder.

    Raises:
        ConfigError: masks agree too little.
    """
    write_whole(folder / MANIFEST, manifest.model_dump_json())
    sizes = [request.size, _traced_size(manifest.stride)] if request.dynamic else [request.size]
    candidates = [(size, one) for size in sizes for one in _candidates(manifest, request, folder, size)]
    return parity.check(TorchNetwork(network), candidates, request, footage, on_progress)


def _candidates(manifest: Manifest, request: Request, folder: Path, size: tuple[int, int]) -> Iterator[Candidate]:
    """Every form of the graph that runs, for a size: that of the plan is told to the runtime, as `segment` does."""
    told = size if size == request.size else None
    for runtime in checkers(request.target):
        yield open_exported(folder, Execution("cpu", runtime), size=told)
    if manifest.stateful:
        yield parity.StatefulGraph(folder / manifest.stateful)
