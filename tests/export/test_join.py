"""Several paths in one graph: what differs is chosen by turn, what is the same is there once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.exports import (
    AsOnnx,
    consensus,
    int8_of_several_paths,
    require_extra,
    thin_paths,
    thin_views,
    views,
)
from support.small import moving_frames
from tdseg.export import export
from tdseg.inference.stream import Stream
from tdseg.models.tdnet import TDNet
from tdseg.runtime.engine import Parts
from tdseg.runtime.exported import open_exported
from tdseg.runtime.manifest import MANIFEST, Manifest, Part, read_manifest
from tdseg.runtime.network import Execution
from tdseg.video import Frame

require_extra()

CHOSEN: list[tuple[Callable[[], TDNet], tuple[Part, ...]]] = [
    (consensus, ()),
    (thin_views, ("encode",)),
    (thin_paths, ("encode", "merge")),
]


def choices(graph: Path) -> list[Any]:
    import onnx

    return [node for node in onnx.load(graph).graph.node if node.op_type == "If"]


@pytest.mark.parametrize(("make", "by_path"), CHOSEN)
def test_only_what_differs_is_chosen(make: Callable[[], TDNet], by_path: tuple[Part, ...], as_onnx: AsOnnx) -> None:
    manifest = read_manifest(as_onnx(make))
    assert manifest.by_path == by_path
    assert manifest.has_turns == bool(by_path)
    made = {name for node in choices(as_onnx(make) / manifest.graph) for name in node.output}
    outputs = {manifest.logits.name, *(f"present_{spec.name}" for spec in manifest.memory if spec.name != "path")}
    expected = {"encode": set(manifest.encoded), "merge": outputs}
    assert made == set().union(*(expected[part] for part in by_path))


def test_the_parts_take_what_they_need(as_onnx: AsOnnx) -> None:
    """The path goes into a part that differs by it, and into no other."""
    from tdseg.runtime.openvino import open_graph

    manifest = read_manifest(as_onnx(thin_views))
    graph = as_onnx(thin_views) / manifest.graph
    parts = open_graph(graph, manifest, manifest.size, Execution(threads=2), workers=2)
    assert isinstance(parts, Parts)
    image = moving_frames(1)[0][None]
    memory = [torch.zeros(spec.shape).numpy() for spec in manifest.memory[:-1]]
    seen = [parts.encode.run([image, torch.tensor([[path]]).numpy()]) for path in range(2)]
    assert all(len(code) == len(manifest.encoded) for code in seen)
    assert not np.array_equal(seen[0][0], seen[1][0])
    assert len(parts.merge.run([*seen[0], *memory])) == 1 + len(memory)


def test_manifests_without_encoded_tensors_still_open(as_onnx: AsOnnx, tmp_path: Path) -> None:
    """As earlier versions left them for paths with weights of their own: their graphs run whole."""
    model = thin_paths()
    shutil.copytree(as_onnx(thin_paths), tmp_path / "e")
    values = json.loads((tmp_path / "e" / MANIFEST).read_text())
    values["encoded"] = []
    del values["by_path"]
    (tmp_path / "e" / MANIFEST).write_text(json.dumps(values))
    exported = open_exported(tmp_path / "e", Execution(runtime="openvino", threads=2), workers=2)
    assert not exported.concurrent
    stream, whole = Stream(model), Stream(exported)
    frames = moving_frames(5)
    for result in whole.ahead((Frame(0, 0.0, frame) for frame in frames), 2):
        expected = stream.step(frames[result.index]).logits
        torch.testing.assert_close(result.logits, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.slow
def test_int8_keeps_what_is_the_same_once(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="int8 needs the extra 'export'")
    with int8_of_several_paths():
        export(views(), tmp_path / "e", to="onnx", precision="int8", agreement=0)
    manifest = Manifest.model_validate_json((tmp_path / "e" / MANIFEST).read_text())
    assert manifest.by_path == ("encode",)
    assert open_exported(tmp_path / "e", Execution(runtime="openvino", threads=2), workers=2).concurrent
