"""Manifests that contradict their model or their graph are refused before anything runs."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.exports import AsOnnx, require_extra, thin_paths
from tdseg.errors import WeightsError
from tdseg.runtime.exported import open_exported
from tdseg.runtime.network import Execution

require_extra()

Change = Callable[[dict[str, Any]], Any]
CONTRADICTIONS: dict[str, Change] = {
    "image name": lambda m: m["image"].update(name="picture"),
    "image size": lambda m: m["image"].update(shape=[1, 72, 96, 3]),
    "image type": lambda m: m["image"].update(dtype="float32"),
    "size": lambda m: m.update(size=[96, 64]),
    "no size": lambda m: m.update(size=None),
    "stride 0": lambda m: m.update(stride=0),
    "stride": lambda m: m.update(stride=4),
    "classes": lambda m: m["model"].update(num_classes=12),
    "logits": lambda m: m["logits"].update(shape=[1, 11, 16, 24]),
    "logits name": lambda m: m["logits"].update(name="scores"),
    "paths": lambda m: m["model"].update(paths=4),
    "per-frame": lambda m: m["model"].update(paths=1),
    "state left out": lambda m: m["memory"].pop(0),
    "state in another order": lambda m: m["memory"].reverse(),
    "state name": lambda m: m["memory"][0].update(name="query"),
    "state shape": lambda m: m["memory"][0].update(shape=[1, 1, 7, 16]),
    "state type": lambda m: m["memory"][0].update(dtype="float16"),
    "path type": lambda m: m["memory"][-1].update(dtype="float32"),
    "by no path": lambda m: m.update(by_path=[]),
    "propagation": lambda m: m["model"].update(propagation="consensus"),
    "null byte": lambda m: m.update(graph="model\0.onnx"),
    "another target": lambda m: m.update(target="openvino"),
    "infinite": lambda m: m["parity"].update(agreement=float("inf")),
    "long number": lambda m: m.update(opset=10**400),
}


@pytest.fixture(scope="module")
def exported(as_onnx: AsOnnx, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(as_onnx(thin_paths), tmp_path_factory.mktemp("exported") / "thin")


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions(name: str, exported: Path) -> None:
    path = exported / "tdseg.json"
    text = path.read_text()
    values = copy.deepcopy(json.loads(text))
    CONTRADICTIONS[name](values)
    try:
        path.write_text(json.dumps(values))
        for runtime in ("onnxruntime", "openvino"):
            with pytest.raises(WeightsError, match=r"tdseg\.json"):
                open_exported(exported, Execution("cpu", runtime))
    finally:
        path.write_text(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "null", "\0", "{}"])
def test_what_is_no_manifest(text: str, tmp_path: Path) -> None:
    (tmp_path / "tdseg.json").write_text(text)
    with pytest.raises(WeightsError, match="not a manifest"):
        open_exported(tmp_path)
