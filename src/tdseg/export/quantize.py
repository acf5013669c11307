"""Eight-bit integers in place of floats, by NNCF's post-training quantisation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tdseg.export.footage import Footage
from tdseg.export.graph import StepGraph
from tdseg.export.write import quiet, save_onnx
from tdseg.inference.stream import resized
from tdseg.runtime.engine import Engine
from tdseg.runtime.manifest import TensorSpec, past
from tdseg.runtime.network import Execution
from tdseg.runtime.onnxruntime import OnnxRuntimeEngine
from tdseg.system import installed

_RUN = 16
"""Frames in a row, from a memory in float on, that are judged together; the worst run ranks layers."""
_ALLOWED = 0.9
"""Of the loss that the gate allows, which looks at longer runs, at pixels, and in every runtime."""
_MOST = 10
"""Layers that may go back to float."""
_FIRST = 3
_KEPT = ["GridSample", "ReduceSum", "ReduceL2", "Softmax", "Mul", "Div"]


class GraphInput(NamedTuple):
    """A frame as a path's graph is given it, and its answer in float."""

    inputs: dict[str, NDArray[np.generic]]
    """The image, and the memory of the frames before it; in the graph's order."""
    classes: NDArray[np.int64]
    """(1, u·h, u·w), what the graph says in float."""


@torch.inference_mode()
def calibration(
    graphs: Sequence[StepGraph], clip: Footage, size: tuple[int, int], memory: Sequence[TensorSpec]
) -> list[list[GraphInput]]:
    """The inputs of each path's graph when a clip is shown in order.

    Args:
        graphs: of the paths, in turn.
        clip: frames of any size.
        size: (height, width) of the networks' input, pixels.
        memory: of the graphs.
    """
    met: list[list[GraphInput]] = [[] for _ in graphs]
    state = [torch.zeros(spec.shape) for spec in memory]
    for index, frame in enumerate(clip.frames):
        image = resized(frame, size).permute(0, 2, 3, 1).contiguous()
        named = zip(("image", *(past(spec.name) for spec in memory)), (image, *state), strict=True)
        inputs = {name: tensor.numpy() for name, tensor in named}
        logits, *state = graphs[index % len(graphs)](image, *state)
        met[index % len(graphs)].append(GraphInput(inputs, logits.argmax(1).numpy()))
    return met


def quantize(model: Any, met: Sequence[GraphInput], *, alone: bool, agreement: float, scores: str | None = None) -> Any:
    """An onnx.ModelProto with its convolutions and matrix products in int8, but where that hurts.

    The first convolutions stay in float: they see the picture itself, and cost more masks than the rest together. So
    does what finds motion: a softmax sharpened fiftyfold has no use for 256 levels. If masks then agree too little, the
    layers go back to float that cost most, one by one, by NNCF's accuracy control.

    Args:
        model: the graph of a path.
        met: what it is calibrated and judged on, in order.
        alone: it is the only path, so it is judged with the memory that it leaves itself within a run.
        agreement: share of cells, 0..1, that shall keep their class.
        scores: the tensor that the network ends with, where class scores are what is remembered; all else stays in
            float: pictures, their motion, and the merging.
    """
    import nncf
    from nncf.quantization.advanced_parameters import QuantizationParameters

    first = [node.name for node in model.graph.node if node.op_type == "Conv"][:_FIRST]
    beside = _beside(model, scores) if scores else []
    runs = [met[start : start + _RUN] for start in range(0, len(met), _RUN)]
    with quiet("nncf"):
        return nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset([one.inputs for one in met]),
            nncf.Dataset(runs),
            partial(_agreement, alone=alone),
            max_drop=_ALLOWED * (1 - agreement),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(met),
            ignored_scope=nncf.IgnoredScope(names=[*first, *beside], types=_KEPT, validate=False),
            advanced_quantization_parameters=nncf.AdvancedQuantizationParameters(
                # In a branch ONNX Runtime cannot run a depthwise convolution whose input has a scale per channel.
                activations_quantization_params=None if alone else QuantizationParameters(per_channel=False),
            ),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                max_num_iterations=_MOST, ranking_subset_size=1, num_ranking_workers=1
            ),
        )


def _beside(model: Any, tensor: str) -> list[str]:
    """Names of the nodes that a tensor does not come from."""
    makers = {name: node for node in model.graph.node for name in node.output}
    needed, asked = set(), [tensor]
    while asked:
        node = makers.get(asked.pop())
        if node is not None and node.name not in needed:
            needed.add(node.name)
            asked.extend(node.input)
    return [node.name for node in model.graph.node if node.name not in needed]


def _agreement(model: Any, runs: Iterable[Sequence[GraphInput]], *, alone: bool) -> tuple[float, list[float]]:
    """Share of cells that have the class that float gives them: of all runs, and of each."""
    engine = _engine(model)
    shares = []
    for run in runs:
        state: list[NDArray[np.generic]] = []
        same = []
        for index, (inputs, classes) in enumerate(run):
            image, *remembered = inputs.values()
            logits, *state = engine.run([image, *(state if alone and index else remembered)])
            same.append(np.mean(logits.argmax(1) == classes))
        shares.append(float(np.mean(same)))
    return float(np.mean(shares)), shares


def _engine(model: Any) -> Engine:
    """A graph in the runtime that is the first choice for it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        save_onnx(model, path)
        if not installed("openvino"):
            return OnnxRuntimeEngine(path, Execution("cpu"))
        from tdseg.runtime.openvino import OpenVinoEngine, compile_graph

        return OpenVinoEngine(compile_graph(path))
