"""Eight-bit integers in place of floats, by NNCF's post-training quantisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tdseg.export.clip import Clip
from tdseg.export.graph import StepGraph
from tdseg.export.quiet import quiet
from tdseg.runtime.layout import past
from tdseg.runtime.manifest import TensorSpec
from tdseg.stream import resized

Inputs = dict[str, NDArray[np.generic]]


@torch.inference_mode()
def calibration(
    graphs: Sequence[StepGraph], clip: Clip, size: tuple[int, int], memory: Sequence[TensorSpec]
) -> list[list[Inputs]]:
    """What each path's graph meets when a clip is shown in order: images with the memory of the frames before them.

    Args:
        graphs: of the paths, in turn.
        clip: frames of any size.
        size: (height, width) of the networks' input, pixels.
        memory: of the graphs.
    """
    met: list[list[Inputs]] = [[] for _ in graphs]
    state = tuple(torch.zeros(spec.shape) for spec in memory)
    for index, frame in enumerate(clip.frames):
        image = resized(frame, size).permute(0, 2, 3, 1).contiguous()
        named = zip(("image", *(past(spec.name) for spec in memory)), (image, *state), strict=True)
        met[index % len(graphs)].append({name: tensor.numpy() for name, tensor in named})
        state = graphs[index % len(graphs)](image, *state)[1 : 1 + len(state)]
    return met


def quantize(model: Any, inputs: Sequence[Inputs]) -> Any:
    """An onnx.ModelProto with its convolutions and matrix products in int8, calibrated on the inputs given.

    The first convolutions stay in float: they see the picture itself, and cost more masks than the rest together. So
    does what finds motion: a softmax sharpened fiftyfold has no use for 256 levels.
    """
    import nncf

    first = [node.name for node in model.graph.node if node.op_type == "Conv"][:_FIRST]
    with quiet("nncf"):
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(names=first, types=_KEPT, validate=False),
        )


_FIRST = 3
_KEPT = ["GridSample", "ReduceSum", "ReduceL2", "Softmax", "Mul", "Div"]
