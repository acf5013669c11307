from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from support.places import CLIPS
from support.results import leave_halfway
from support.small import SIZE, moving_frames, small_model
from tdseg.errors import ConfigError, WeightsError
from tdseg.inference.stream import Stream
from tdseg.models.tdnet import TDNet
from tdseg.runtime.exported import open_exported
from tdseg.runtime.manifest import read_manifest
from tdseg.runtime.network import Execution
from tdseg.video import open_video
from tdseg.zoo import catalog
from tdseg.zoo import load as loading
from tdseg.zoo.checkpoint import WEIGHTS, save
from tdseg.zoo.hub import fetch
from tdseg.zoo.load import load, prepare
from tdseg.zoo.resolve import resolve

PACKAGED = "td4-lite0-camvid"

for package in ("onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package, reason="runtimes need the extra 'export'")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training run."""
    folder = tmp_path_factory.mktemp("run")
    save(small_model(), folder / WEIGHTS)
    return folder


def test_a_folder_of_a_run_is_its_model(run: Path) -> None:
    assert isinstance(load(run), TDNet)
    assert load(run).config == small_model().config


def test_weights_are_exported_once_and_kept(run: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = moving_frames(6)
    expected = [Stream(small_model()).step(frame).mask for frame in frames[:1]]
    with caplog.at_level(logging.INFO, "tdseg"):
        networks = [load(run, runtime="openvino"), load(run, runtime="onnxruntime"), prepare(run / WEIGHTS)]
    assert [record.getMessage() for record in caplog.records] == ["exporting model at 64x96; this is done once"]
    assert [network.runtime for network in networks] == ["openvino", "onnxruntime", "openvino"]
    assert len(list(cache.glob("model-*-64x96-*"))) == 1
    for network in networks:
        assert np.mean(Stream(network).step(frames[0]).mask == expected[0]) > 0.999


def test_auto_is_torch_without_the_extra(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "installed", lambda package: False)
    assert prepare(run).runtime == "torch"


def test_auto_takes_the_graph_that_is_packaged(cache: Path) -> None:
    before = list(cache.glob("*x*"))
    network = prepare(PACKAGED, size=(96, 128), workers=2)
    assert (network.runtime, network.precision, network.concurrent) == ("openvino", "int8", True)
    assert list(cache.glob("*x*")) == before  # nothing was exported
    assert prepare(PACKAGED, Execution(runtime="torch")).precision == "fp32"
    with pytest.raises(ConfigError, match="8·h, 8·w"):
        open_exported(resolve(PACKAGED).graph or Path()).encode(torch.zeros(1, 3, 100, 100, dtype=torch.uint8), 0)
    for size in ((64, 64), (88, 200)):
        network = prepare(PACKAGED, size=size)
        assert Stream(network, size).step(moving_frames(1)[0]).logits.shape[-2:] == (size[0] // 4, size[1] // 4)


def test_the_packaged_graph_is_of_the_packaged_weights() -> None:
    folder = catalog.PACKAGED[PACKAGED].graph
    assert folder is not None
    manifest = read_manifest(folder)
    assert manifest.weights == catalog.PACKAGED[PACKAGED].sha256
    assert manifest.model == load(PACKAGED).config
    if not CLIPS.is_dir():
        pytest.skip("real clips are in ../shared, which is not here")
    for clip in CLIPS.iterdir():
        with open_video(clip) as reader:
            exact, fast = Stream(load(PACKAGED).fuse()), Stream(prepare(PACKAGED, frame=reader.size))
            images = [frame.image for frame in islice(reader, 16)]
        agreement = [np.mean(exact.step(image).mask == fast.step(image).mask) for image in images]
        assert np.mean(agreement) >= 0.98, clip


def test_auto_falls_back_to_torch(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tdseg"):
        network = load(run, runtime="auto", size=(64, 5000))  # more than can be checked
    assert network.runtime == "torch"
    assert "runs in torch" in caplog.text


def test_a_model_stays_in_its_runtime(run: Path) -> None:
    assert prepare(small_model()).runtime == "torch"
    with pytest.raises(ConfigError, match="runtime openvino for a network of torch"):
        prepare(small_model(), Execution(runtime="openvino"))


def test_one_network_serves_many_streams_from_many_threads(run: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    network = load(run, runtime="openvino")
    clips = [moving_frames(6, seed=seed) for seed in range(4)]

    def masks(clip: list[np.ndarray]) -> np.ndarray:
        stream = Stream(network)
        return np.stack([stream.step(frame).mask for frame in clip])

    alone = [masks(clip) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(masks, clips))
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"runtime": "tflite"}, "tflite"),
        ({"runtime": "openvino", "device": "cuda"}, "cuda"),
        ({"runtime": "onnxruntime", "device": "cuda"}, "onnxruntime-gpu"),
        ({"runtime": "onnxruntime", "device": "tpu"}, "'tpu'"),
        ({"runtime": "openvino", "make_subnetwork": torch.nn.Identity}, "make_subnetwork"),
    ],
)
def test_refused(arguments: dict[str, object], said: str, run: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        load(run, **arguments)  # type: ignore[call-overload]


def test_a_provider_without_its_libraries(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of ONNX Runtime for GPUs lists CUDA and TensorRT on machines that have neither."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
    listed = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    with pytest.raises(ConfigError, match="device cuda:1, on which ONNX Runtime"):
        load(run, "cuda:1", runtime="onnxruntime")
    assert load(run, "auto", runtime="onnxruntime").device == "cpu"


def test_images_of_another_shape(run: Path) -> None:
    network = load(run, runtime="onnxruntime")
    for x in (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(2, 3, *SIZE, dtype=torch.uint8)):
        with pytest.raises(ConfigError, match="uint8 \\(1, 3, 64, 96\\)"):
            network.encode(x, 0)


def test_hugging_face_hub(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is after a download, without a connection."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra 'hub'")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--org--name"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text("0" * 40)
    (snapshot / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes())
    assert fetch("hf://org/name@v1") == snapshot
    assert isinstance(load("hf://org/name@v1"), TDNet)
    with pytest.raises(WeightsError, match="hf://org/other"):
        load("hf://org/other")


def test_what_is_exported_does_not_run_in_torch(run: Path, cache: Path) -> None:
    load(run, runtime="openvino")
    (folder,) = cache.glob("model-*-64x96-*")
    assert load(folder, runtime="auto").runtime == "openvino"
    with pytest.raises(ConfigError, match="an exported folder, as a model of torch"):
        load(folder)
    with pytest.raises(ConfigError, match=r"runtime torch for .*, which holds onnx graphs"):
        prepare(folder, Execution(runtime="torch"))


def test_signals_after_a_network_is_gone(run: Path) -> None:
    """Compiling for OpenVINO leaves its thread with a stack for signals that is freed with the network."""
    import gc
    import os
    import signal

    Stream(load(run, runtime="openvino")).step(moving_frames(1)[0])
    gc.collect()
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_a_network_as_it_is_takes_no_other_form(run: Path) -> None:
    network = load(run, runtime="onnxruntime")
    assert prepare(network, Execution("cpu", threads=1)) is network
    for execution in (Execution("cuda"), Execution(compile=True), Execution(runtime="openvino")):
        with pytest.raises(ConfigError, match=r"td4-lite0|onnxruntime"):
            prepare(network, execution)


def test_frames_of_several_shapes_keep_theirs() -> None:
    pytest.importorskip("openvino", reason="pip install -e '.[openvino]'")
    name, wide = "td6-lite0s-camvid", (540, 960)
    assert prepare(name).fit_size(None, wide) == (360, 480)  # it is made for one size, which is faster
    height, width = prepare(name, any_shape=True).fit_size(None, wide)
    assert width / height == pytest.approx(16 / 9, rel=0.02)


def test_a_result_of_a_run_that_was_killed_is_found(run: Path, tmp_path: Path) -> None:
    leave_halfway(tmp_path, {WEIGHTS: (run / WEIGHTS).read_bytes()})
    assert resolve(tmp_path).weights == tmp_path / WEIGHTS
    leave_halfway(tmp_path, {"again.safetensors": b"new"}, [WEIGHTS])
    assert resolve(tmp_path / "again.safetensors").weights == tmp_path / "again.safetensors"
    assert {path.name for path in tmp_path.iterdir()} == {"again.safetensors"}
