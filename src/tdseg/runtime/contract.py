"""Manifests held against themselves and against their graphs before these run: else masks would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tdseg.errors import ConfigError, WeightsError
from tdseg.models.propagation import StateTensor
from tdseg.runtime.engine import GraphTensor
from tdseg.runtime.manifest import MANIFEST, PATH, Manifest, TensorSpec, cells, past, present

_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
"""Of the graphs of a target."""


def check_manifest(folder: Path, manifest: Manifest) -> None:
    """See that what a manifest says of its tensors is what its model has.

    Raises:
        WeightsError: it is not.
    """
    size, config = manifest.size or manifest.model.size, manifest.model
    if not manifest.graph.endswith(_SUFFIXES[manifest.target]):
        raise _contradiction(folder, f"target {manifest.target}, and a graph {manifest.graph}", "a graph of the target")
    image, logits = manifest.image, manifest.logits
    if (image.dtype, image.shape) != ("uint8", (1, *size, 3)):
        raise _contradiction(folder, f"an image {_shown(image)}", f"uint8 (1, {size[0]}, {size[1]}, 3)")
    right = (1, config.num_classes, *(config.head_upscale * side for side in cells(size, manifest.stride)))
    if (logits.dtype, logits.shape) != ("float32", right):
        raise _contradiction(folder, f"logits {_shown(logits)}", f"float32 {right}, by num_classes and head_upscale")
    known = bool(manifest.encoded or manifest.by_path)  # earlier versions told of neither
    if known and bool(manifest.by_path) != manifest.has_turns:
        got = f"by_path {list(manifest.by_path)} and a state {[spec.name for spec in manifest.memory]}"
        raise _contradiction(folder, got, f"parts that differ by path, and {PATH} as the last of the state, or neither")
    memory = manifest.memory[:-1] if manifest.has_turns else manifest.memory
    if manifest.has_turns and (manifest.memory[-1].dtype, manifest.memory[-1].shape) != ("int64", (1, 1)):
        raise _contradiction(folder, f"a state {_shown(manifest.memory[-1])}", f"{PATH} as the last, int64 (1, 1)")
    layout = [(one.name, one.shape) for one in _layout(folder, manifest, size)]
    if [(spec.name, spec.shape) for spec in memory] != layout or any(not s.dtype.startswith("float") for s in memory):
        found, fitting = "; ".join(map(_shown, memory)), "; ".join(f"{name} {shape}" for name, shape in layout)
        raise _contradiction(folder, f"a state of {found or 'nothing'}", fitting or "none, for a per-frame model")


def _layout(folder: Path, manifest: Manifest, size: tuple[int, int]) -> Sequence[StateTensor]:
    if manifest.model.paths == 1:
        return ()
    try:
        return manifest.layout(size)
    except (ConfigError, KeyError) as error:
        raise _contradiction(folder, f"a model {manifest.model.name}: {error}", "one that can be built") from None


def check_graph(graph: Path, manifest: Manifest, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor]) -> None:
    """See that a graph takes and gives what its manifest says, in that order.

    Raises:
        WeightsError: it does not.
    """
    taken = [manifest.image, *(spec.model_copy(update={"name": past(spec.name)}) for spec in manifest.memory)]
    given = [manifest.logits, *(spec.model_copy(update={"name": present(spec.name)}) for spec in manifest.memory)]
    if manifest.size is None and inputs and inputs[0].shape and None not in inputs[0].shape:
        raise _contradiction(graph.parent, f"no size, and a graph of {inputs[0].shape}", "the size of the graph")
    for what, specs, tensors in (("takes", taken, inputs), ("gives", given, outputs)):
        fitting = len(specs) == len(tensors) and all(map(_fits, specs, tensors))
        if not fitting:
            found = "; ".join(f"{one.name} {one.dtype} {one.shape}" for one in tensors)
            raise _contradiction(graph.parent, f"{graph.name} {what} {found}", "; ".join(map(_shown, specs)))


def _fits(spec: TensorSpec, tensor: GraphTensor) -> bool:
    """Whether a graph's tensor is the one that is said; of sizes that it leaves open it says nothing."""
    # A constant among the outputs of a part keeps the name of that before its own.
    if tensor.name.rpartition("/")[2] != spec.name or tensor.dtype != spec.dtype:
        return False
    shape = tensor.shape
    return shape is None or (
        len(shape) == len(spec.shape) and all(a in (None, b) for a, b in zip(shape, spec.shape, strict=True))
    )


def _shown(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} {spec.shape}"


def _contradiction(folder: Path, got: str, expected: str) -> WeightsError:
    return WeightsError(
        f"{folder / MANIFEST}: {got}", expected=expected, do="copy the folder again, or export the model again"
    )
