"""Several paths in one graph, which chooses the one whose turn it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tdseg.runtime.manifest import PATH, past, present


def join(models: Sequence[Any]) -> Any:
    """One onnx.ModelProto of those of the paths, all with the same inputs and outputs.

    It has one state tensor more, the path that runs, int64 (1, 1), and gives the next one. A runtime runs only the
    branch that is chosen.
    """
    import onnx
    from onnx import TensorProto, compose, helper

    first, count = models[0], len(models)
    outputs = [output.name for output in first.graph.output]
    branches = []
    for index, model in enumerate(models):
        own = compose.add_prefix(model, f"path{index}/", rename_inputs=False).graph
        branches.append(helper.make_graph(own.node, f"path{index}", [], own.output, own.initializer))
    chosen = branches[-1]
    for index in reversed(range(count - 1)):
        last = index == 0
        equal = helper.make_node("Equal", [past(PATH), f"number{index}"], [f"equal{index}"])
        is_turn = helper.make_node("Squeeze", [f"equal{index}"], [f"is_turn{index}"])
        names = outputs if last else [f"from{index}/{name}" for name in outputs]
        choice = helper.make_node(
            "If", [f"is_turn{index}"], names, f"turn{index}", then_branch=branches[index], else_branch=chosen
        )
        number = helper.make_tensor(f"number{index}", TensorProto.INT64, (1, 1), [index])
        typed = [_renamed(value, name) for value, name in zip(first.graph.output, names, strict=True)]
        chosen = helper.make_graph([equal, is_turn, choice], f"paths{index}", [], typed, [number])
    chosen.node.append(helper.make_node("Add", [past(PATH), "one"], ["next"]))
    chosen.node.append(helper.make_node("Mod", ["next", "count"], [present(PATH)]))
    for name, value in (("one", 1), ("count", count)):
        chosen.initializer.append(helper.make_tensor(name, TensorProto.INT64, (1, 1), [value]))
    turn = [helper.make_tensor_value_info(name, TensorProto.INT64, (1, 1)) for name in (past(PATH), present(PATH))]
    chosen.input.extend([*first.graph.input, turn[0]])
    chosen.output.append(turn[1])
    joined = helper.make_model(chosen, opset_imports=first.opset_import, ir_version=first.ir_version)
    onnx.checker.check_model(joined)
    return joined


def _renamed(value: Any, name: str) -> Any:
    copy = type(value)()
    copy.CopyFrom(value)
    copy.name = name
    return copy
