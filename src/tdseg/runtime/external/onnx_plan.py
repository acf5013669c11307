"""How an ONNX graph of others is fed and read, by what it says of itself and what is written beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tdseg.config import MIN_SIZE
from tdseg.errors import ConfigError, WeightsError
from tdseg.runtime.engine import GraphTensor
from tdseg.runtime.external.onnx_description import Layout, OnnxDescription, yaml_beside

_IMAGES = ("uint8", "float16", "float32")
_NORMALISED = ("range: 0..1", "mean: [0.485, 0.456, 0.406]", "std: [0.229, 0.224, 0.225]")
"""What is most often right: the normalisation of ImageNet."""


class OnnxPlan(NamedTuple):
    """How a graph is fed, and what its output is."""

    dtype: str
    """Of the input: uint8, float16 or float32."""
    layout: Layout
    sides: tuple[int | None, int | None]
    """(height, width) of the input, pixels; None where the graph takes several."""
    output: int
    """Number of the output that is the segmentation."""
    output_layout: Layout
    indices: bool
    num_classes: int


def understand(
    graph: Path, told: OnnxDescription, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor]
) -> OnnxPlan:
    """How a graph is fed, by what it says of itself and what its description says.

    Raises:
        ConfigError: the two contradict each other, or leave something open.
        WeightsError: it is no network for semantic segmentation.
    """
    if len(inputs) != 1:
        raise WeightsError(
            f"{graph} takes {_listed(inputs)}",
            expected="one input, an image",
            do="export the network again with the image as its only input",
        )
    layout, sides = _understand_image(graph, told, inputs[0])
    _named(graph, "input", told.input, inputs)
    number = _named(graph, "output", told.output, outputs)
    output = outputs[number]
    indices = _holds_indices(graph, told, output)
    four = output.shape is not None and len(output.shape) == 4
    if four and not indices and layout == "NHWC" and told.output_layout is None:
        raise _lacking(graph, f"the axes of {_shown(output)}", "their order", "output_layout: NHWC")
    output_layout = told.output_layout or "NCHW"
    if output.shape and four and not indices:
        _check_shape(graph, sides, output, output.shape[2:] if output_layout == "NCHW" else output.shape[1:3])
    axis = 1 if output_layout == "NCHW" else 3
    found = output.shape[axis] if output.shape and four and not indices else None
    return OnnxPlan(inputs[0].dtype, layout, sides, number, output_layout, indices, _count(graph, told, output, found))


def _check_shape(
    graph: Path, sides: tuple[int | None, int | None], output: GraphTensor, cells: tuple[int | None, ...]
) -> None:
    """See that the output has about the shape of the image: else its axes are others than they are taken for."""
    (height, width), (rows, columns) = sides, cells
    if not (height and width and rows and columns):
        return
    off = abs(rows * width - columns * height)
    if off > max(2 * max(height, width), rows * width // 4):  # two cells, or a quarter
        raise ConfigError(
            f"{graph} gives {_shown(output)}: cells of {rows}x{columns} for an image of {height}x{width}",
            expected="cells in the shape of the image",
            do=f"correct output_layout in {yaml_beside(graph)}: NCHW, or NHWC where the classes are on the last axis",
        )


def _count(graph: Path, told: OnnxDescription, output: GraphTensor, found: int | None) -> int:
    """How many classes there are, where the output says `found`."""
    if found is not None and not 2 <= found <= 255:
        raise ConfigError(
            f"{graph} gives {_shown(output)}: scores of {found} class{'es' if found > 1 else ''}",
            expected="2 … 255 classes, for masks of 8 bits",
            do=f"if the classes are on another axis, write in {yaml_beside(graph)}:\n    output_layout: NHWC",
        )
    if found and told.count and found != told.count:
        raise ConfigError(
            f"{yaml_beside(graph)}: {told.count} classes, but {graph.name} gives {_shown(output)}: {found} classes",
            expected="as many as the graph has",
            do="correct num_classes, classes and palette, or output_layout",
        )
    count = found or told.count
    if not count:
        got = f"{_shown(output)}, which does not tell how many classes there are"
        raise _lacking(graph, got, "their number", "num_classes: 19")
    return count


def _understand_image(
    graph: Path, told: OnnxDescription, image: GraphTensor
) -> tuple[Layout, tuple[int | None, int | None]]:
    """Axes and size of the input."""
    shape = image.shape
    if image.dtype not in _IMAGES or (shape and len(shape) != 4) or (shape and shape[0] not in (None, 1)):
        raise WeightsError(
            f"{graph} takes {_shown(image)}",
            expected=f"one image, {', '.join(_IMAGES)} (1, 3, height, width) or (1, height, width, 3)",
            do="choose a network for semantic segmentation, exported for one image at a time",
        )
    one, last = (shape[1], shape[3]) if shape else (None, None)
    fitting: list[Layout] = [name for name, axis in (("NCHW", one), ("NHWC", last)) if axis == 3]  # type: ignore[misc]
    if told.layout and {"NCHW": one, "NHWC": last}[told.layout] not in (None, 3):
        raise ConfigError(
            f"{yaml_beside(graph)}: layout = {told.layout}, but {graph.name} takes {_shown(image)}",
            expected="3 channels where the layout has them",
            do="correct the layout" if fitting else "choose a network that takes pictures in colour",
        )
    if not told.layout and not fitting and None not in (one, last):
        raise WeightsError(
            f"{graph} takes {_shown(image)}",
            expected="3 channels, red, green and blue",
            do="choose a network that takes pictures in colour",
        )
    if not told.layout and len(fitting) != 1:
        raise _lacking(graph, f"the axes of {_shown(image)}", "their order", "layout: NCHW")
    layout = told.layout or fitting[0]
    height, width = (shape[2:] if layout == "NCHW" else shape[1:3]) if shape else (None, None)
    if told.size and any(own not in (None, side) for own, side in zip((height, width), told.size, strict=True)):
        raise ConfigError(
            f"{yaml_beside(graph)}: size = {list(told.size)}, but {graph.name} takes {_shown(image)}",
            expected="the size of the graph",
            do="leave size out",
        )
    if any(side is not None and side < MIN_SIZE for side in (height, width)):
        raise WeightsError(
            f"{graph} takes {_shown(image)}",
            expected=f"an image of at least {MIN_SIZE} pixels in height and width",
            do="export the network again for a larger image",
        )
    _check_range(graph, told, image)
    return layout, (height, width)


def _check_range(graph: Path, told: OnnxDescription, image: GraphTensor) -> None:
    """See that the values of the input are known: a wrong guess would give masks, only poor ones."""
    normalised = any(told.mean) or set(told.std) != {1}
    if image.dtype != "uint8":
        if told.range is None:
            raise _lacking(
                graph, f"the values of {_shown(image)}", "their range, and mean and std if any", *_NORMALISED
            )
    elif told.range == "0..1" or normalised:
        raise ConfigError(
            f"{yaml_beside(graph)}: {'mean and std' if normalised else 'range = 0..1'} for {_shown(image)}",
            expected="bytes as they are: a graph that takes them normalises them itself",
            do="leave range, mean and std out",
        )


def _named(graph: Path, what: str, name: str | None, tensors: Sequence[GraphTensor]) -> int:
    """The number of the input or output of a name, or of the only one there is."""
    names = [tensor.name for tensor in tensors]
    if name is not None and name not in names:
        raise ConfigError(
            f"{yaml_beside(graph)}: {what} = {name}, but {graph.name} has {_listed(tensors)}",
            expected=f"an {what} that is there",
            do=f"correct {what}",
        )
    if name is None and len(tensors) != 1:
        raise _lacking(graph, f"the outputs {_listed(tensors)}", "the one to use", f"{what}: {(names or [''])[0]}")
    return names.index(name) if name else 0


def _holds_indices(graph: Path, told: OnnxDescription, output: GraphTensor) -> bool:
    """Whether an output holds class indices; else it holds scores."""
    axes = len(output.shape) if output.shape else None
    whole = output.dtype.startswith(("int", "uint"))
    if axes not in (None, 3, 4) or not (whole or output.dtype.startswith("float")):
        raise WeightsError(
            f"{graph} gives {_shown(output)}",
            expected="class scores, floats (1, classes, h, w), or class indices, (1, h, w)",
            do="choose a network for semantic segmentation",
        )
    channels = (output.shape[1], output.shape[3]) if output.shape and axes == 4 else ()
    single = axes == 3 or 1 in channels or (whole and None in channels)
    if told.kind is None:
        if not whole and single:
            lines = ("kind: indices", f"num_classes: {told.count or 19}")
            raise _lacking(graph, f"{_shown(output)}, floats of one channel", "class indices, if they are", *lines)
        if axes is None:
            raise _lacking(graph, f"an output of unknown axes, {_shown(output)}", "its kind", "kind: scores")
    indices = whole if told.kind is None else told.kind == "indices"
    if (indices and not (single or axes is None)) or (not indices and (whole or single)):
        raise ConfigError(
            f"{graph} gives {_shown(output)} as {'indices' if indices else 'scores'}",
            expected="indices (1, h, w), (1, 1, h, w) or (1, h, w, 1), or scores that are floats (1, classes, h, w)",
            do=f"correct kind in {yaml_beside(graph)}, or choose another network",
        )
    return indices


def _lacking(graph: Path, got: str, lacking: str, *lines: str) -> ConfigError:
    """The error for what neither the graph nor its description says, with the lines to write."""
    write = "".join(f"\n    {line}" for line in lines)
    return ConfigError(
        f"{graph}: {got}",
        expected=f"{lacking}, in {yaml_beside(graph)}",
        do=f"write there, as the network was trained:{write}",
    )


def _shown(tensor: GraphTensor) -> str:
    """An input or output in words, such as images, float32 (1, 3, ?, ?)."""
    shape = "(…)" if tensor.shape is None else f"({', '.join('?' if n is None else str(n) for n in tensor.shape)})"
    return f"{tensor.name}, {tensor.dtype} {shape}"


def _listed(tensors: Sequence[GraphTensor]) -> str:
    return "; ".join(map(_shown, tensors)) or "nothing"
