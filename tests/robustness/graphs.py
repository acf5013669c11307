"""Damaged weights, checkpoints, exported folders and graphs."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import onnx
import torch
from onnx import AttributeProto, TensorProto, helper
from safetensors.torch import load_file, save_file

from robustness.damage import HOSTILE, changed, damaged

KINDS = (torch.int64, torch.uint8, torch.bool, torch.float64, torch.bfloat16, torch.complex64)


def _use(model: Path, materials: Path, folder: Path, random: Random) -> list[str]:
    """A command that takes weights."""
    out, clip = str(folder / "out"), str(materials / "short.mp4")
    torch_only = ["--runtime", "torch", "--threads", "1"]
    choices = [
        ["segment", clip, "--model", str(model), "-o", out, "--write", "masks", *torch_only],
        ["segment", clip, "--model", str(model), "-o", out, "--write", "masks", *torch_only],
        ["segment", clip, "--model", str(model), "-o", out, "--write", "masks", *torch_only, "--memory", "3"],
        ["eval", "--model", str(model), "--root", str(materials / "camvid"), *torch_only, "--quiet"],
        ["bench", "--model", str(model), "--frames", "2", *torch_only],
        ["train", str(materials / "recipe.yaml"), f"--init={model}", "--output", out, "--threads", "1"],
        ["export", str(model), "--to", "onnx", "-o", out, "--quiet"],
    ]
    return random.choice(choices[:-1] if random.random() < 0.95 else choices)


def weights(materials: Path, folder: Path, random: Random) -> list[str]:
    """A file of weights with damage, with another configuration, or with other numbers."""
    original = materials / random.choice(("lite0s.safetensors", "td2-lite0s.safetensors"))
    path = folder / "model.safetensors"
    data = original.read_bytes()
    way = random.randrange(4)
    if way == 0:
        path.write_bytes(damaged(data, random))
    elif way == 1:
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        about = json.loads(header["__metadata__"]["tdseg"])
        header["__metadata__"]["tdseg"] = json.dumps(changed(about, random, (*HOSTILE, [[999, 0, -1]] * 11)))
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    elif way == 2:
        length = struct.unpack("<Q", data[:8])[0]
        header = changed(json.loads(data[8 : 8 + length]), random)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    else:
        tensors = load_file(original)
        name = random.choice(sorted(tensors))
        match random.randrange(3):
            case 0:
                tensors[name] = torch.full_like(
                    tensors[name].float(), random.choice((float("nan"), float("inf"), -1.0))
                )
            case 1:
                tensors[name] = tensors[name].to(random.choice(KINDS))
            case _:
                tensors[name] = tensors[name].flatten()[: random.choice((0, 1, 5))].contiguous()
        metadata = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]
        save_file(tensors, path, metadata)
    return _use(path, materials, folder, random)


def _nested(depth: int) -> bytes:
    """A pickle whose key is a tuple of tuples: each level holds the one below it twice."""
    return b"\x80\x02}(N" + b"q\x00h\x00\x86" * depth + b"K\x01u."


def checkpoint(materials: Path, folder: Path, random: Random) -> list[str]:
    """A checkpoint of another program to convert, or one to go on from."""
    original = sorted((materials / "run/checkpoints").iterdir())[-1]
    way = random.randrange(5)
    if way == 0:
        data = damaged(original.read_bytes(), random)
    elif way == 1:
        data = random.choice(
            (_nested(30), _nested(200), pickle.dumps({"a": [1]}, 4), pickle.dumps(HOSTILE), b"\x80\x04.")
        )
    else:
        state: Any = torch.load(original, weights_only=True)
        if way == 2:
            plain = {key: value for key, value in state.items() if key not in ("model", "average", "optimizer")}
            state |= changed(plain, random)
            state.pop(random.choice((*plain, "model", "average")), None)
        elif way == 3:
            state = random.choice(
                ([1, 2], {"model_state": 3}, {}, state["model"], {1: torch.zeros(2)}, torch.zeros(3), None)
            )
        else:
            part = state[random.choice(("model", "average"))]
            name = random.choice(sorted(part))
            part[name] = random.choice(
                (part[name].to(torch.int64), part[name] * float("nan"), torch.zeros(3), "x", None)
            )
        file = io.BytesIO()
        torch.save(state, file)
        data = file.getvalue()
    if random.random() < 0.3:
        (folder / "model.pth").write_bytes(data)
        return [
            "convert",
            str(folder / "model.pth"),
            str(folder / "out.safetensors"),
            "--model",
            random.choice(("psp18", "td2-fa18")),
        ]
    run = folder / "run" / "checkpoints"
    run.mkdir(parents=True)
    (run / random.choice(("step-000001.ckpt", "step-000002.ckpt", "step-x.ckpt"))).write_bytes(data)
    return ["train", str(materials / "recipe.yaml"), "--resume", "--output", str(folder / "run"), "--threads", "1"]


def manifest(materials: Path, folder: Path, random: Random) -> list[str]:
    """An exported folder whose manifest says what is not so; or whose graph has damage, and the right checksum."""
    kind = random.choice(("onnx", "openvino"))
    place = folder / "exported"
    shutil.copytree(materials / f"exported-{kind}", place)
    path = place / "tdseg.json"
    values = json.loads(path.read_text())
    if random.random() < 0.7:
        values = changed(values, random)
        text = json.dumps(values)
        if random.random() < 0.1:
            text = random.choice(("[" * 5000, '{"a":' * 5000, text.replace("1", "9" * 5000, 1), text[:-9], "null", "3"))
        path.write_text(text)
    else:
        name = random.choice([file for file in values["sha256"] if not file.endswith(".md")])
        (place / name).write_bytes(damaged((place / name).read_bytes(), random))
        values["sha256"][name] = hashlib.sha256((place / name).read_bytes()).hexdigest()
        path.write_text(json.dumps(values))
    runtime = "openvino" if kind == "openvino" else random.choice(("openvino", "onnxruntime", "auto"))
    command = [
        "segment",
        str(materials / "short.mp4"),
        "--model",
        str(place),
        "-o",
        str(folder / "out"),
        "--write",
        "masks",
    ]
    return [*command, "--runtime", runtime, *(["--size", "64x96"] if random.random() < 0.2 else [])]


def graph(materials: Path, folder: Path, random: Random) -> list[str]:
    """An ONNX file of others with damage, or with nodes, shapes and types that do not go together."""
    path = folder / "net.onnx"
    shutil.copy(materials / "net.yaml", folder)
    if random.random() < 0.4:
        path.write_bytes(damaged((materials / "net.onnx").read_bytes(), random))
    else:
        model = onnx.load(materials / "net.onnx")
        for _ in range(random.choice((1, 1, 2))):
            random.choice(CHANGES)(model, random)
        path.write_bytes(model.SerializeToString())
    runtime = random.choice(("openvino", "onnxruntime", "auto"))
    command = [
        "segment",
        str(materials / "short.mp4"),
        "--model",
        str(path),
        "-o",
        str(folder / "out"),
        "--write",
        "masks",
    ]
    return [*command, "--runtime", runtime, "--threads", "1"]


def _unknown_operator(model: Any, random: Random) -> None:
    model.graph.node[0].op_type = random.choice(
        ("Nonsense", "Loop", "If", "Scan", "", "ConvTranspose", "Resize", "NonZero")
    )


def _unknown_domain(model: Any, random: Random) -> None:
    model.graph.node[0].domain = random.choice(("nobody", "ai.onnx.ml", "com.microsoft", "x" * 999))


def _cycle(model: Any, random: Random) -> None:
    node = model.graph.node[0]
    model.graph.node.append(helper.make_node("Relu", ["scores"], ["again"]))
    node.input[0] = random.choice(("again", "scores"))


def _missing(model: Any, random: Random) -> None:
    model.graph.node[0].input[random.randrange(2)] = random.choice(("", "nothing", "weight"))


def _shape(model: Any, random: Random) -> None:
    some = random.choice((model.graph.input, model.graph.output))
    dims = some[0].type.tensor_type.shape.dim
    if dims:
        random.choice(dims).dim_value = random.choice((0, -1, 1, 2**31, 2**62, 10**6, 17))


def _type(model: Any, random: Random) -> None:
    some = random.choice((model.graph.input, model.graph.output))
    some[0].type.tensor_type.elem_type = random.choice((0, 2, 6, 7, 8, 9, 10, 11, 14, 99))


def _initializer(model: Any, random: Random) -> None:
    value = model.graph.initializer[0]
    match random.randrange(6):
        case 0:
            value.dims[random.randrange(len(value.dims))] = random.choice((0, -1, 2**40, 5))
        case 1:
            value.raw_data = value.raw_data[: random.randrange(len(value.raw_data) + 1)]
        case 2:
            value.data_type = random.choice((0, 2, 8, 10, 99))
        case 3:
            value.data_location = TensorProto.EXTERNAL
            pairs = {
                "location": random.choice(("/etc/passwd", "../net.yaml", "gone", "net.onnx")),
                "offset": "0",
                "length": "432",
            }
            for key, text in pairs.items():
                entry = value.external_data.add()
                entry.key, entry.value = key, text
        case 4:
            value.raw_data = b"\xff" * len(value.raw_data)
        case _:
            value.name = ""


def _attribute(model: Any, random: Random) -> None:
    attributes = model.graph.node[0].attribute
    name = random.choice(("pads", "strides", "dilations", "group", "kernel_shape", "auto_pad", "odd"))
    value: Any = random.choice(([0, 0], [-1, -1, -1, -1], [2**40] * 4, 0, -1, 2**62, "VALID", [], 3.5))
    kept = [attribute for attribute in attributes if attribute.name != name]
    del attributes[:]
    attributes.extend(kept)
    if value == []:
        attributes.append(AttributeProto(name=name, type=AttributeProto.INTS))
    else:
        attributes.append(helper.make_attribute(name, value))


def _versions(model: Any, random: Random) -> None:
    model.ir_version = random.choice((0, 1, 9, 999, 2**62))
    model.opset_import[0].version = random.choice((0, 1, 6, 999, -1))


def _many(model: Any, random: Random) -> None:
    last = "scores"
    for number in range(random.choice((50, 3000))):
        model.graph.node.append(helper.make_node("Relu", [last], [f"r{number}"]))
        last = f"r{number}"
    model.graph.output[0].name = last


def _huge(model: Any, random: Random) -> None:
    node = helper.make_node("Expand", ["scores", "big"], ["wide"])
    shape = helper.make_tensor("big", TensorProto.INT64, [4], [random.choice((1, 64)), 4, 10**5, 10**5])
    model.graph.initializer.append(shape)
    model.graph.node.append(node)
    model.graph.output[0].name = "wide"


CHANGES: tuple[Callable[[Any, Random], None], ...] = (
    _unknown_operator,
    _unknown_domain,
    _cycle,
    _missing,
    _shape,
    _type,
    _initializer,
    _attribute,
    _versions,
    _many,
    _huge,
)
GRAPHS = {"weights": weights, "checkpoint": checkpoint, "manifest": manifest, "graph": graph}
