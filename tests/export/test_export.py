"""Exported graphs give what the model gives, in every runtime, from any path, after any reset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.exports import AsOnnx, consensus, per_frame, require_extra, thin_paths, thin_views, views
from support.small import moving_frames, small_model, write_clip
from tdseg.cli import DONE, REFUSED, main
from tdseg.errors import ConfigError, OutputError, WeightsError
from tdseg.export import export
from tdseg.inference.stream import Stream
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.runtime.exported import READERS, open_exported
from tdseg.runtime.manifest import MANIFEST, Manifest, checksums
from tdseg.runtime.network import Execution, Network, RuntimeName
from tdseg.video import Frame

require_extra()

READS = [(target, runtime) for target, runtimes in READERS.items() for runtime in runtimes]


@pytest.fixture(scope="module", params=[small_model, thin_paths, consensus, thin_views])
def make(request: pytest.FixtureRequest) -> Callable[[], TDNet]:
    made: Callable[[], TDNet] = request.param
    return made


@pytest.fixture(scope="module")
def model(make: Callable[[], TDNet]) -> TDNet:
    return make()


@pytest.fixture(scope="module")
def folders(make: Callable[[], TDNet], as_onnx: AsOnnx, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("exported")
    export(make(), place / "openvino", to="openvino", stateful=True)
    return {"onnx": as_onnx(make), "openvino": place / "openvino"}


@torch.inference_mode()
def logits(model: TDNet | Network, frames: list[NDArray[np.uint8]], resets: tuple[int, ...] = ()) -> torch.Tensor:
    stream = Stream(model)
    seen = []
    for index, frame in enumerate(frames):
        if index in resets:
            stream.reset()
        seen.append(stream.step(frame).logits)
    return torch.cat(seen)


@torch.inference_mode()
def any_path_may_be_first(model: TDNet, exported: Network) -> None:
    image = torch.from_numpy(moving_frames(1)[0]).permute(2, 0, 1)[None]
    for path in range(model.config.paths):
        expected, _ = model.advance(model.encode(model.normalize(image), path), TDNetState(path))
        found, state = exported.advance(exported.encode(image, path), TDNetState(path))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
        assert state.path == (path + 1) % model.config.paths


@pytest.mark.parametrize(("target", "runtime"), READS)
def test_streams_are_equal(target: str, runtime: RuntimeName, model: TDNet, folders: dict[str, Path]) -> None:
    exported = open_exported(folders[target], Execution(runtime=runtime))
    assert (exported.runtime, exported.config) == (runtime, model.config)
    frames, resets = moving_frames(14), (5, 6)
    expected = logits(model, frames, resets)
    torch.testing.assert_close(
        logits(exported, frames, resets), expected, rtol=0, atol=1e-4 * float(expected.abs().max())
    )
    any_path_may_be_first(model, exported)


@pytest.mark.parametrize("target", READERS)
def test_frames_encoded_ahead(target: str, model: TDNet, folders: dict[str, Path]) -> None:
    """A graph in two parts is the whole one, whether paths share their weights or not."""
    exported = open_exported(folders[target], Execution(runtime="openvino", threads=2), workers=2)
    assert exported.concurrent
    stream = Stream(exported)
    frames = moving_frames(9)
    found = torch.cat([result.logits for result in stream.ahead((Frame(0, 0.0, frame) for frame in frames), 2)])
    expected = logits(model, frames)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    any_path_may_be_first(model, exported)


@pytest.mark.slow
@pytest.mark.parametrize("make", [per_frame, consensus, views, thin_paths])
def test_any_size(make: Callable[[], TDNet], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make()
    manifest = export(model, tmp_path / "any", to="onnx", dynamic=True)
    assert manifest.size is None
    assert not (tmp_path / "any" / "config.pbtxt").exists()  # Triton's zeros have a size
    frames = moving_frames(5)
    forms: list[tuple[RuntimeName, int]] = [("onnxruntime", 1), ("openvino", 1), ("openvino", 2)]
    for size in ((64, 96), (72, 200), (160, 64)):
        stream = Stream(model, size)
        expected = [stream.step(frame) for frame in frames]
        tolerance = 1e-4 * float(expected[0].logits.abs().max())
        for runtime, workers in forms:  # ONNX Runtime runs graphs whole, whatever the number of workers
            exported = open_exported(tmp_path / "any", Execution(runtime=runtime), size=size, workers=workers)
            found = Stream(exported, size).step(frames[0]).logits
            torch.testing.assert_close(found, expected[0].logits, rtol=0, atol=tolerance)
            ahead = Stream(exported, size).ahead((Frame(0, 0.0, frame) for frame in frames), 2)
            assert min((next(ahead).mask == one.mask).mean() for one in expected) > 0.999
    with pytest.raises(ConfigError, match="multiples of 8"):
        Stream(open_exported(tmp_path / "any"), (100, 100))
    write_clip(tmp_path / "clip.mp4", 5)
    argv = ["segment", str(tmp_path / "clip.mp4"), "--model", str(tmp_path / "any"), "-o", str(tmp_path / "out")]
    assert main([*argv, "--size", "72x100"]) == REFUSED
    assert "--size 72x96" in capsys.readouterr().err
    assert main([*argv, "--size", "72x104"]) == DONE
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["size"] == [72, 104]


def test_a_state_is_a_value(folders: dict[str, Path]) -> None:
    exported = open_exported(folders["onnx"])
    images = (torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in moving_frames(3))
    first, second, third = (exported.encode(image, 0) for image in images)
    _, state = exported.advance(first, TDNetState())
    kept = [tensor.clone() for tensor in state.memory]
    once, _ = exported.advance(second, state)
    exported.advance(third, state)
    again, _ = exported.advance(second, state)
    assert torch.equal(once, again)
    assert all(map(torch.equal, kept, state.memory))


def test_manifest_says_all(model: TDNet, folders: dict[str, Path]) -> None:
    import onnxruntime

    for target, folder in folders.items():
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
        assert manifest.target == target
        assert manifest.parity is not None
        assert manifest.parity.agreement >= 0.999
        assert manifest.parity.frames >= 3 * model.config.paths
        assert manifest.size == model.config.size
        assert set(manifest.encoded) >= {"encoded_value"}
    onnx = Manifest.model_validate_json((folders["onnx"] / MANIFEST).read_text())
    session = onnxruntime.InferenceSession(folders["onnx"] / onnx.graph)
    specs = (onnx.image, *(spec.model_copy(update={"name": f"past_{spec.name}"}) for spec in onnx.memory))
    assert [(tensor.name, tuple(tensor.shape)) for tensor in session.get_inputs()] == [
        (spec.name, spec.shape) for spec in specs
    ]
    assert [tensor.name for tensor in session.get_outputs()] == [
        "logits",
        *(f"present_{spec.name}" for spec in onnx.memory),
    ]


def test_state_inside(model: TDNet, folders: dict[str, Path]) -> None:
    from tdseg.runtime.openvino import compile_graph

    request = compile_graph(folders["openvino"] / "stateful.xml").create_infer_request()
    frames = moving_frames(6)
    expected = logits(model, frames, resets=(4,))
    for index, frame in enumerate(frames):
        if index == 4:
            request.reset_state()
        found = torch.tensor(request.infer([frame[None]])[0])
        torch.testing.assert_close(found[0], expected[index], rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_triton_knows_every_tensor(folders: dict[str, Path]) -> None:
    text = (folders["onnx"] / "config.pbtxt").read_text()
    manifest = Manifest.model_validate_json((folders["onnx"] / MANIFEST).read_text())
    for spec in manifest.memory:
        assert f'input_name: "past_{spec.name}" output_name: "present_{spec.name}"' in text
    assert text.count("{") == text.count("}")
    assert text.count("[") == text.count("]")


def test_folders_in_use(model: TDNet, folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else"):
        export(model, tmp_path, to="onnx", overwrite=True)
    with pytest.raises(OutputError, match="former export"):
        export(model, folders["onnx"], to="onnx")


@pytest.mark.parametrize("damage", ["graph", "manifest", "format", "missing", "outside", "opset"])
def test_damaged_folders(damage: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(folders["onnx"], folder)
    values = json.loads((folder / MANIFEST).read_text())
    graph = folder / values["graph"]
    if damage == "graph":
        graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    elif damage == "missing":
        graph.unlink()
    elif damage == "manifest":
        (folder / MANIFEST).write_text("{")
    elif damage == "format":
        (folder / MANIFEST).write_text(json.dumps(values | {"format": 2}))
    elif damage == "outside":
        (folder / MANIFEST).write_text(json.dumps(values | {"sha256": values["sha256"] | {"../x": "0"}}))
    else:
        _raise_opset(graph)
        (folder / MANIFEST).write_text(json.dumps(values | {"sha256": checksums(folder)}))
    with pytest.raises(WeightsError):
        open_exported(folder, Execution(runtime="onnxruntime"))


def _raise_opset(graph: Path) -> None:
    import onnx

    model = onnx.load(graph)
    model.opset_import[0].version = 999
    onnx.save(model, graph)
