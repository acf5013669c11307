"""Steps of several paths in one graph, which chooses the one whose turn it is.

A step is `encode`, from the image to the encoded tensors, and `merge`, from those and the state to the outputs. The
parts of the paths are joined each for itself, and the encoded tensors are what is between: so the joined graph can be
cut there as well as that of a single path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tdseg.runtime.manifest import PATH, Part, past, present


class Joined(NamedTuple):
    """All paths in one graph."""

    model: Any
    """onnx.ModelProto"""
    by_path: tuple[Part, ...]
    """The parts that differ from path to path."""


def chain(encode: Any, merge: Any) -> Any:
    """A step, as an onnx.ModelProto, of its two parts: the outputs of the first are inputs of the second."""
    from onnx import compose

    first, second = (
        compose.add_prefix(model, f"{name}/", rename_inputs=False, rename_outputs=False)
        for name, model in (("encode", encode), ("merge", merge))
    )
    return compose.merge_models(first, second, io_map=[(value.name, value.name) for value in first.graph.output])


def join(steps: Sequence[Any], encoded: Sequence[str]) -> Joined:
    """One onnx.ModelProto of those of the paths, all with the same inputs, encoded tensors and outputs.

    Several have one state tensor more, the path that runs, int64 (1, 1), and give the next one. What differs between
    paths is in branches, of which a runtime runs only the chosen one; what is the same for all is there once.

    Args:
        steps: of the paths, in turn.
        encoded: tensors inside each.
    """
    import onnx
    from onnx import TensorProto, helper

    first = steps[0]
    if len(steps) == 1:
        return Joined(first, ())
    between = [value for value in first.graph.value_info if value.name in encoded]
    inputs = {value.name for value in first.graph.input}
    encodes = [_part(step.graph, inputs, between) for step in steps]
    merges = [_part(step.graph, inputs | set(encoded), step.graph.output) for step in steps]
    parts: dict[Part, list[Any]] = {"encode": encodes, "merge": merges}
    chosen = [_choice(graphs, name) for name, graphs in parts.items()]
    numbers = {"one": 1, "count": len(steps)}
    following = [
        helper.make_node("Add", [past(PATH), "one"], ["next"]),
        helper.make_node("Mod", ["next", "count"], [present(PATH)]),
    ]
    turn = [helper.make_tensor_value_info(name, TensorProto.INT64, (1, 1)) for name in (past(PATH), present(PATH))]
    graph = helper.make_graph(
        [*chosen[0].node, *chosen[1].node, *following],
        "step",
        [*first.graph.input, turn[0]],
        [*first.graph.output, turn[1]],
        [*chosen[0].initializer, *chosen[1].initializer, *(_number(*number) for number in numbers.items())],
        value_info=between,
    )
    model = helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)
    onnx.checker.check_model(model)
    return Joined(model, tuple(name for name, graphs in parts.items() if not _alike(graphs)))


def _part(step: Any, given: set[str], outputs: Sequence[Any]) -> Any:
    """The onnx.GraphProto of what makes the outputs of the tensors that are given, which it takes from around it."""
    from onnx import helper

    needed, nodes = {value.name for value in outputs}, []
    for node in reversed(step.node):
        if needed.intersection(node.output) - given:
            nodes.append(node)
            needed.update(node.input)
    weights = [weight for weight in step.initializer if weight.name in needed]
    return helper.make_graph(nodes[::-1], "part", [], outputs, weights)


def _alike(graphs: Sequence[Any]) -> bool:
    return all(graph == graphs[0] for graph in graphs)


def _choice(graphs: Sequence[Any], part: Part) -> Any:
    """The onnx.GraphProto that runs the graph of the path whose turn it is, or the one that is the same for all."""
    from onnx import compose, helper

    if _alike(graphs):
        return graphs[0]
    names = [f"{part}/path{index}" for index in range(len(graphs))]
    branches = [compose.add_prefix_graph(graph, f"{name}/") for graph, name in zip(graphs, names, strict=True)]
    chosen = branches[-1]
    for index, name in reversed([*enumerate(names)][:-1]):
        outputs = [_renamed(value, f"{name}/or/{value.name}" if index else value.name) for value in graphs[0].output]
        equal = helper.make_node("Equal", [past(PATH), f"{name}/number"], [f"{name}/equal"])
        is_turn = helper.make_node("Squeeze", [f"{name}/equal"], [f"{name}/is_turn"])
        choice = helper.make_node(
            "If",
            [f"{name}/is_turn"],
            [value.name for value in outputs],
            name,
            then_branch=branches[index],
            else_branch=chosen,
        )
        chosen = helper.make_graph([equal, is_turn, choice], name, [], outputs, [_number(f"{name}/number", index)])
    return chosen


def _number(name: str, value: int) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor(name, TensorProto.INT64, (1, 1), [value])


def _renamed(value: Any, name: str) -> Any:
    copy = type(value)()
    copy.CopyFrom(value)
    copy.name = name
    return copy
