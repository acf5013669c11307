from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from support.factory import random_model
from support.oracle import Oracle
from support.pages import Parsed
from support.small import SIZE, moving_frames, small_model, write_clip
from tdseg.cli import DONE, REFUSED, main
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream
from tdseg.measure import cost
from tdseg.measure.bench import Benchmark, bench
from tdseg.measure.bench.streams import StreamBatch
from tdseg.models.tdnet import TDNet
from tdseg.report.benchmark import benchmark_page
from tdseg.runtime.network import Execution
from tdseg.runtime.torch import TorchNetwork
from tdseg.zoo.load import prepare

CPU = Execution("cpu", "torch")
PLAIN = Execution("cpu", threads=1, fuse=False, channels_last=False)
KEYS = [
    "model",
    "trained",
    "form",
    "memory",
    "device",
    "machine",
    "source",
    "size",
    "frame_size",
    "streams",
    "frames",
    "warmup_frames",
    "startup_s",
    "first_frame_ms",
    "after_reset_ms",
    "latency_ms",
    "jitter_ms",
    "rate",
    "age_ms",
    "skipped",
    "fps",
    "frame_ms",
    "stages_ms",
    "peak_memory_mb",
    "state_mb",
    "parameters",
    "parameters_per_path",
    "multiply_adds_per_frame",
    "multiply_adds_per_path",
    "deviation",
]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("video") / "clip.mp4", 12, (72, 110))


@pytest.fixture(scope="module")
def report(weights: Path, video: Path) -> Benchmark:
    return bench(weights, execution=CPU, source=video, streams=2, frames=50)


def test_video(report: Benchmark, weights: Path, video: Path) -> None:
    assert report.model == str(weights)
    assert report.trained
    assert report.source == str(video)
    assert (report.size, report.frame_size) == (SIZE, (72, 110))
    assert (report.streams, report.frames, report.warmup_frames) == (2, 12, 8)
    assert report.form == "fused, Winograd, channels-last"
    latency = report.latency_ms
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    assert report.jitter_ms == pytest.approx(latency["p99"] - latency["p50"], abs=2e-3)
    assert report.fps <= 2e3 / report.frame_ms * 1.001
    assert report.startup_s > report.first_frame_ms / 1e3
    assert report.after_reset_ms > 0


def test_stages_add_up(report: Benchmark) -> None:
    assert list(report.stages_ms) == ["decode", "preprocess", "model", "postprocess", "encode"]
    assert all(ms > 0 for ms in report.stages_ms.values())
    assert sum(report.stages_ms.values()) == pytest.approx(report.frame_ms, rel=0.01, abs=0.1)


def test_costs(report: Benchmark) -> None:
    model = small_model()
    with torch.inference_mode():
        _, state = model.step(torch.zeros(2, 3, *SIZE))
    assert report.state_mb == pytest.approx(cost.bytes_of(state) / 2**20, abs=1e-3)
    assert report.parameters == cost.parameters(model)
    assert report.parameters_per_path == cost.parameters_per_path(model)
    assert report.multiply_adds_per_path == cost.multiply_adds(model, SIZE)
    assert report.multiply_adds_per_frame == report.multiply_adds_per_path[0]  # the paths are one
    assert report.peak_memory_mb > 50
    assert report.deviation is not None
    assert report.deviation["max_relative_error"] < 1e-4
    assert report.deviation["agreement"] > 0.999


def test_made_up_pictures() -> None:
    report = bench("lite0", execution=PLAIN, size=(64, 72), frames=3)
    assert not report.trained
    assert report.source is None
    assert report.frame_size == (64, 72)
    assert list(report.stages_ms) == ["preprocess", "model", "postprocess"]
    assert (report.frames, report.state_mb, report.machine["threads"]) == (3, 0, 1)
    assert (report.form, report.deviation) == ("plain", None)


def slow(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    time.sleep(0.03)
    return np.stack([image[..., 0], image[..., 1]]).astype(np.float32)


def test_frames_that_come_faster_than_they_are_segmented(video: Path) -> None:
    """A step of 30 ms, frames every 10 ms: two of three are left out."""
    report = bench(slow, memory=0, execution=CPU, rate=100.0, frames=20)
    assert report.age_ms is not None
    assert report.skipped is not None
    assert report.skipped >= 2 * 19
    assert report.age_ms["p50"] >= 30
    assert report.frame_ms == pytest.approx(sum(report.stages_ms.values()), rel=0.1)
    of_video = bench(slow, memory=0, execution=CPU, rate=50.0, source=video)
    assert of_video.skipped is not None
    assert of_video.frames + of_video.skipped <= 12
    waiting = bench(slow, memory=0, execution=CPU, rate=4.0, frames=3)
    assert (waiting.skipped, waiting.frames) == (0, 3)
    assert waiting.fps <= 6
    assert waiting.frame_ms < 250  # the waiting is no part of it
    assert "age" in benchmark_page(waiting)
    assert bench(slow, memory=0, execution=CPU, frames=1).age_ms is None


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(ConfigError, match="rate"):
        bench(slow, rate=rate)


def test_untrained_weights_are_the_same_for_the_comparison() -> None:
    before = torch.get_rng_state()
    report = bench("td2-lite0", execution=CPU, size=(64, 64), frames=1)
    assert report.deviation is not None
    assert report.deviation["max_relative_error"] < 1e-3
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_equals_streams() -> None:
    network = TorchNetwork(small_model().fuse())
    batch, streams = StreamBatch(network, SIZE), [Stream(network, SIZE) for _ in range(3)]
    clips = [moving_frames(7, size, seed) for seed, size in enumerate([SIZE, (80, 120), (40, 40)])]
    first = None
    for frames in zip(*clips, strict=True):
        masks, split = batch.step(frames)
        first = first or masks
        assert split.latency == pytest.approx(split.preprocess + split.model + split.postprocess)
        for mask, stream, frame in zip(masks, streams, frames, strict=True):
            expected = stream.step(frame).mask
            assert mask.shape == expected.shape
            assert np.mean(mask == expected) > 0.999  # elsewhere rounding decides
    batch.reset()
    for again, mask in zip(batch.step([clip[0] for clip in clips])[0], first or [], strict=True):
        np.testing.assert_array_equal(again, mask)


def small_per_frame() -> TDNet:
    return random_model("lite0s", size=SIZE, num_classes=5).eval()


def test_batch_with_a_memory_equals_streams() -> None:
    network = prepare(small_per_frame(), CPU, memory=3)
    batch, streams = StreamBatch(network, SIZE), [Stream(network) for _ in range(3)]
    for frames in zip(*(moving_frames(7, seed=seed) for seed in range(3)), strict=True):
        masks, _ = batch.step(frames)
        for mask, stream, frame in zip(masks, streams, frames, strict=True):
            assert np.mean(mask == stream.step(frame).mask) > 0.999


def test_a_memory_is_measured_and_what_is_inside_counted() -> None:
    model = small_per_frame()
    without, with_memory = (bench(model, execution=CPU, memory=memory, frames=3, streams=2) for memory in (None, 4))
    assert (without.model, with_memory.model) == ("lite0s", "td4-lite0s")
    assert with_memory.trained
    assert (without.memory, with_memory.memory) == (None, 4)
    assert (without.state_mb, with_memory.state_mb > 0, with_memory.warmup_frames) == (0, True, 8)
    assert with_memory.form == without.form == "fused, Winograd, channels-last"
    assert with_memory.parameters == without.parameters == cost.parameters(model)
    assert with_memory.multiply_adds_per_path == without.multiply_adds_per_path == cost.multiply_adds(model, SIZE)
    assert with_memory.deviation is not None
    assert with_memory.deviation["agreement"] > 0.999


def test_a_network_of_others_has_the_costs_that_are_known() -> None:
    known = Oracle(3, SIZE)
    unknown = bench(known, execution=CPU, frames=2)
    assert (unknown.model, unknown.form, unknown.trained) == ("oracle", "fp32, torch on cpu", True)
    assert (unknown.parameters, unknown.parameters_per_path) == (None, None)
    assert (unknown.multiply_adds_per_frame, unknown.multiply_adds_per_path, unknown.deviation) == (None, None, None)
    figures = json.loads(unknown.to_json())
    assert list(figures) == KEYS
    assert figures["parameters"] is figures["multiply_adds_per_path"] is None
    page = Parsed(benchmark_page(unknown)).text
    assert "state" in page
    assert "multiply-adds" not in page
    assert "parameters" not in page
    known.parameters = 7
    told = bench(known, execution=CPU, memory=2, frames=2)
    assert (told.parameters, told.parameters_per_path) == (7, (7,))
    assert (told.model, told.deviation, told.state_mb > 0) == ("td2-oracle", None, True)


def test_a_function_is_measured_and_its_work_seen(video: Path) -> None:
    weight = torch.ones(4, 3)

    def scores(frame: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(frame[::8, ::8]).float().reshape(-1, 3)
        return (pixels @ weight.T).T.reshape(4, *frame[::8, ::8].shape[:2])

    report = bench(scores, execution=CPU, source=video, frames=3, size=(64, 64))
    assert (report.model, report.size, report.frame_size) == ("scores", (64, 64), (72, 110))
    assert report.multiply_adds_per_path == (8 * 8 * 3 * 4,)
    assert report.multiply_adds_per_frame == 8 * 8 * 3 * 4
    assert report.parameters is None


def test_what_does_not_run_is_refused(weights: Path) -> None:
    with pytest.raises(ConfigError, match="what fits in memory"):
        bench(weights, execution=CPU, size=(10**9, 10**9))


def test_command(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    file.write_text("former")
    options = shlex.split("--frames 4 --streams 2 --autocast bf16 --no-fuse --threads 1 --device cpu --json")
    assert main(["bench", "--model", str(weights), *options, str(file)]) == DONE
    figures = json.loads(file.read_text())
    assert list(figures) == KEYS
    assert (figures["form"], figures["frames"], figures["streams"]) == ("channels-last, bf16", 4, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    shown = capsys.readouterr()
    assert shown.err == ""
    for text in ("p50", "jitter", "after a reset", "multiply-adds", "deviation", "preprocess", "frame"):
        assert text in shown.out


def test_page(weights: Path, tmp_path: Path, report: Benchmark) -> None:
    page = tmp_path / "bench.html"
    options = shlex.split("--size 64x64 --frames 5 --threads 1 --device cpu --report")
    assert main(["bench", "--model", "td2-lite0", *options, str(page)]) == DONE
    parsed = Parsed(page.read_text())
    for text in ("td2-lite0", "latency p99", "multiply-adds", "preprocess", "Untrained"):
        assert text in parsed.text, text
    assert len(parsed.plots[0]["series"][0]["values"]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["bench.html"]
    assert len(report.latencies_ms) == report.frames
    assert max(report.latencies_ms) == pytest.approx(report.latency_ms["max"], abs=1e-3)


def test_untrained_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split("bench --model lite0 --size 64x64 --frames 1 --device cpu")) == DONE
    assert "untrained" in capsys.readouterr().out


def test_refused(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    Path("folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    cases = {
        "did you mean": ["--model", "td4-lite"],
        "missing.safetensors": ["--model", "missing.safetensors"],
        "at least 64": ["--size", "32x480"],
        "HxW": ["--size", "480"],
        "streams 0": ["--streams", "0"],
        "frames 0": ["--frames", "0"],
        "threads 0": ["--threads", "0"],
        "missing.mp4": ["--source", "missing.mp4"],
        "opened several times": ["--source", "-", "--streams", "2"],
        "no CUDA GPU": ["--device", "cuda"],
        "--device cuda": ["--cuda-graphs"],
        'Choose from: "bf16", "fp16"': ["--autocast", "int8"],
        "no folder missing": ["--json", "missing/report.json"],
        "it is a folder": ["--json", "folder"],
        "cannot write missing/page.html": ["--report", "missing/page.html"],
    }
    for message, options in cases.items():
        model = [] if "--model" in options else ["--model", str(weights)]
        assert main(["bench", *model, *options]) == REFUSED, options
        shown = capsys.readouterr()
        assert message in shown.err, options
        assert shown.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_json_is_checked_before_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tdseg.measure.bench.subject.prepare", lambda *_: pytest.fail("measured first"))
    assert main(["bench", "--json", "missing/report.json"]) == REFUSED
