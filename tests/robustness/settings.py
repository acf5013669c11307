"""Hostile recipes, descriptions and flags."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import yaml

from robustness.damage import FLOATS, HOSTILE, NUMBERS, TEXTS, YAML_VALUES, bomb, changed, damaged, leaves
from robustness.materials import NORMALISED, own_data, small_recipe


def _text(values: Any, random: Random) -> bytes:
    """Plain values as YAML, of which a value, a line or some bytes are others."""
    way = random.randrange(6)
    if way < 3:
        return yaml.safe_dump(changed(values, random), allow_unicode=True).encode("utf-8", "replace")
    text = yaml.safe_dump(values)
    if way == 3:
        return damaged(text.encode(), random)
    if way == 4:
        lines = text.splitlines()
        at = random.randrange(len(lines))
        lines[at] = lines[at].partition(":")[0] + ": " + random.choice(YAML_VALUES)
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    key = random.choice(list(values))
    return (bomb(random.choice((3, 8))) + text + f"\n{key}: *a{random.choice((2, 6))}\n").encode()


def recipe(materials: Path, folder: Path, random: Random) -> list[str]:
    """A recipe to train by, or to look at the data of."""
    values = small_recipe(materials / "camvid")
    if random.random() < 0.3:
        values |= {"distill": {"teacher": str(materials / "lite0s.safetensors"), "grouped": False}, "seed": 3}
    if random.random() < 0.3:
        values |= {"validation": {"data": "camvid", "root": str(materials / "camvid"), "split": "val"}}
    path = folder / "recipe.yaml"
    path.write_bytes(_text(values, random))
    if random.random() < 0.4:
        return ["data", "check", str(path), "--quiet"]
    return ["train", str(path), "--output", str(folder / "run"), "--threads", "1"]


def field(materials: Path, folder: Path, random: Random) -> list[str]:
    """A field of a recipe as a flag."""
    values = small_recipe(materials / "camvid")
    more = ["optimizer.clip", "optimizer.ema", "optimizer.power", "optimizer.weight_decay", "losses.sub", "losses.ohem"]
    more += ["losses.lovasz", "losses.balance", "augmentation.scale", "augmentation.scales", "augmentation.aspect"]
    more += [
        "augmentation.rotation",
        "augmentation.motion",
        "augmentation.colour",
        "augmentation.tint",
        "length",
        "seed",
    ]
    more += ["augmentation.noise", "augmentation.flicker", "sources.0.weight", "sources.0.length", "sources.0.step"]
    more += [
        "workers",
        "accumulate",
        "dropout",
        "evaluate_every",
        "overrides.num_classes",
        "overrides.mean",
        "overrides.d_k",
    ]
    more += ["optimizer.momentum", "optimizer.warmup", "optimizer.warmup_lr", "losses.ohem_least", "losses.agreement"]
    name = random.choice([*more, *(".".join(map(str, place)) for place in leaves(values))])
    value = random.choice(
        [*map(str, NUMBERS), *map(str, FLOATS), *YAML_VALUES, "[0, 0]", "[-1, 5]", ".nan", "1e300", *TEXTS]
    )
    if random.random() < 0.3:
        value = f"[{value}, {value}]"
    command = ["train", str(materials / "recipe.yaml"), f"--{name}={value}", "--output", str(folder / "run")]
    return [*command, "--threads", "1"]


def description(materials: Path, folder: Path, random: Random) -> list[str]:
    """What is written beside an ONNX file, or data of the user's own."""
    if random.random() < 0.5:
        shutil.copy(materials / "net.onnx", folder)
        values = yaml.safe_load(NORMALISED) | {"size": [64, 96], "palette": [[1, 2, 3]] * 4}
        (folder / "net.yaml").write_bytes(_text(values, random))
        command = ["segment", str(materials / "short.mp4"), "--model", str(folder / "net.onnx"), "--write", "masks"]
        return [*command, "-o", str(folder / "out"), "--runtime", random.choice(("onnxruntime", "openvino"))]
    root = folder / "own"
    shutil.copytree(materials / "own", root)
    (root / "data.yaml").write_bytes(_text(own_data(), random))
    if random.random() < 0.5:
        path = folder / "source.yaml"
        path.write_text(yaml.safe_dump({"data": "folder", "root": str(root), "split": "train"}))
        return ["data", "check", str(path), "--quiet"]
    model = str(materials / "lite0s.safetensors")
    return ["eval", "--model", model, "--data", "folder", "--root", str(root), "--runtime", "torch", "--quiet"]


def palette(materials: Path, folder: Path, random: Random) -> list[str]:
    """Palettes and maps of classes."""
    lines = ["0 0 0 zero", "10 20 30 one", "255 255 255 void", "# no class", "1 2 3 " + random.choice(TEXTS)]
    lines[random.randrange(5)] = random.choice(("256 0 0 x", "-1 0 0 x", "999999999999 1 1 x", "1 2", *TEXTS))
    path = folder / "palette.txt"
    data = "\n".join(lines).encode("utf-8", "replace")
    path.write_bytes(damaged(data, random) if random.random() < 0.5 else data)
    masks = str(materials / "result/masks.npz")
    if random.random() < 0.5:
        return ["flicker", masks, "--palette", str(path)]
    path.write_bytes(path.read_bytes().replace(b" ", b" = "))
    command = ["eval", "--model", str(materials / "lite0s.safetensors"), "--root", str(materials / "camvid")]
    return [*command, "--class-map", str(path), "--runtime", "torch", "--quiet"]


def flag(materials: Path, folder: Path, random: Random) -> list[str]:
    """A number or a word of the command line that is out of all bounds."""
    model, clip, out = str(materials / "lite0s.safetensors"), str(materials / "short.mp4"), str(folder / "out")
    verbs = {
        ("segment", clip, "--model", model, "-o", out): "memory size threads every start end fps classes opacity write "
        "device runtime autocast names palette",
        ("bench", "--model", model, "--frames", "2"): "memory size threads streams frames device runtime",
        ("flicker", str(materials / "result/masks.npz")): "fps flow phases",
        ("steady", str(materials / "result/masks.npz"), "--video", clip, "-o", out + ".npz"): "memory delay",
        (
            "compare",
            model,
            str(materials / "result/masks.npz"),
            clip,
            "-o",
            out + ".html",
        ): "frames size memory threads flow",
        ("eval", "--model", model, "--root", str(materials / "camvid")): "num-classes memory split data flow threads",
        ("export", model, "--to", "onnx", "-o", out): "size agreement split data",
        ("convert", model, out + ".safetensors", "--model", "psp18"): "num-classes memory-stride",
        ("demo", "-o", out): "num-frames threads",
        ("train", str(materials / "recipe.yaml"), "--output", out): "threads",
    }
    command, names = random.choice(list(verbs.items()))
    values = [
        *map(str, NUMBERS),
        *map(str, FLOATS),
        *TEXTS,
        "0x0",
        "99999x99999",
        "64x64",
        "1x1",
        "9" * 400,
        "9" * 5000,
    ]
    name, value = random.choice(names.split()), random.choice(values)
    if command[0] == "demo" and name == "threads":
        name, value = "num-frames", "0"
    if name in ("num-frames", "frames") and value.isdecimal():
        value = random.choice(("0", "-1", "1"))
    given = [*command, f"--{name}={value}"]
    if command[0] in ("segment", "bench", "compare", "eval") and name != "runtime":
        given += ["--runtime", "torch"]
    return given if name == "threads" or command[0] not in ("segment", "bench") else [*given, "--threads", "1"]


def summary(materials: Path, folder: Path, random: Random) -> list[str]:
    """A former result that says of itself what is not so."""
    shutil.copytree(materials / "result", folder / "out")
    path = folder / "out" / "summary.json"
    values = changed(json.loads(path.read_text()), random, (*HOSTILE, ["../../x"], ["a/b"]))
    path.write_text(json.dumps(values))
    command = ["segment", str(materials / "short.mp4"), "--model", str(materials / "lite0s.safetensors")]
    return [*command, "-o", str(folder / "out"), "--overwrite", "--write", "masks", "--runtime", "torch"]


SETTINGS = {
    "recipe": recipe,
    "field": field,
    "description": description,
    "palette": palette,
    "flag": flag,
    "summary": summary,
}
