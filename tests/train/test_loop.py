from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import safe_open
from torch._dynamo.backends.debugging import aot_eager

import tdseg
from tdseg.errors import ConfigError, DataError, OutputError

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support import fabricate
from support.fabricate import Kept, parse, paths_of, small_values, write_camvid
from tdseg.models.tdnet import TDNet
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe


@pytest.fixture(scope="module")
def plain(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, dict[str, torch.Tensor]]:
    """The loss curve and weights of the small recipe, undisturbed."""
    kept = Kept()
    model = fit(parse(small_values(camvid)), tmp_path_factory.mktemp("plain"), watchers=[kept])
    return kept, model.state_dict()


def assert_same(model: tdseg.TDNet, weights: dict[str, torch.Tensor]) -> None:
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]), key


@pytest.mark.slow
def test_two_stages_end_in_a_model_that_loads(values: dict[str, Any], camvid: Path, tmp_path: Path) -> None:
    stages = values | {
        "model": "td4-lite0",
        "overrides": {"head_channels": 16, "memory_stride": 2},
        "sources": [*values["sources"], values["sources"][0] | {"length": 4, "weight": 0.5}],
        "validation": values["sources"][0] | {"split": "val"},
        "evaluate_every": 2,
        "length": 4,
        "losses": {"aux": 0.2},
        "per_frame": {"steps": 2, "losses": {"sub": 0}, "evaluate_every": None},
    }
    kept = Kept()
    trained = fit(parse(stages), tmp_path, watchers=[kept])
    assert [run.recipe.model for run in kept.runs] == ["lite0", "td4-lite0"]
    assert kept.runs[0].recipe.losses.aux == 0.2
    assert kept.finished == [tmp_path / "per-frame" / "model.safetensors", tmp_path / "model.safetensors"]
    assert kept.closed == 2
    assert [step.number for step in kept.steps] == [1, 2, 1, 2, 3, 4]
    assert [number for number, _, _ in kept.evaluations] == [2, 2, 4]
    assert all(0 <= figures["miou"] <= 100 for _, figures, _ in kept.evaluations)
    for frame, label, mask in kept.evaluations[-1][2]:
        assert frame.shape == (*label.shape, 3) == (*mask.shape, 3) == (90, 120, 3)
    first = dict(paths_of(tdseg.load(kept.finished[0]))[0].subnet.named_parameters())
    moved = [
        float((value.detach() - first[key]).abs().max())
        for key, value in paths_of(trained)[0].subnet.named_parameters()
    ]
    assert max(moved) < 0.02  # it started from there, not from other random weights
    loaded = tdseg.load(tmp_path / "model.safetensors")
    assert loaded.config == trained.config
    x = torch.randn(1, 4, 3, 64, 96)
    with torch.inference_mode():
        found, expected = loaded.forward_clip(x).logits, trained.forward_clip(x).logits
    assert (found - expected).abs().mean() < 0.01 * expected.std()  # stored in half precision
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        about = json.loads(file.metadata()["tdseg"])["about"]
    assert Recipe.parse(about["recipe"], where="metadata") == parse(stages)
    assert about["figures"]["miou"] == kept.evaluations[-1][1]["miou"]
    assert about["version"] == tdseg.__version__


def run_until(command: list[str], sign: Path) -> None:
    """Run, and kill -9 as soon as a file is there."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not sign.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_resumed_equals_uninterrupted(values: dict[str, Any], tmp_path: Path, workers: int) -> None:
    """In either stage: the same losses to the last digit, and the same weights."""
    values |= {"model": "td2-lite0", "length": 2, "steps": 6, "workers": workers, "per_frame": {"steps": 4}}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values))
    command = [sys.executable, fabricate.__file__, str(recipe)]
    whole = subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True, text=True)

    cut = tmp_path / "cut"
    run_until([*command, str(cut)], cut / "per-frame" / "checkpoints" / "step-000002.ckpt")
    assert not (cut / "per-frame" / "model.safetensors").exists()
    run_until([*command, str(cut), "--resume"], cut / "checkpoints" / "step-000002.ckpt")
    assert not (cut / "model.safetensors").exists()
    resumed = subprocess.run([*command, str(cut), "--resume"], check=True, capture_output=True, text=True)
    start, *curve = resumed.stdout.splitlines()
    assert json.loads(start)["start"] in (2, 4)
    assert whole.stdout.splitlines()[-len(curve) :] == curve
    for folder in ("", "per-frame"):
        expected = tdseg.load(tmp_path / "whole" / folder / "model.safetensors").state_dict()
        assert_same(tdseg.load(cut / folder / "model.safetensors"), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"workers": 2}, {"cache": "none"}, {"cache": "device"}, {"checkpoint_activations": True}],
    ids=lambda change: next(iter(change)),
)
def test_how_it_is_computed_changes_nothing(
    values: dict[str, Any], tmp_path: Path, plain: tuple[Kept, dict[str, torch.Tensor]], change: dict[str, Any]
) -> None:
    kept = Kept()
    model = fit(parse(values | change), tmp_path, watchers=[kept])
    assert kept.curve == plain[0].curve
    assert_same(model, plain[1])


@pytest.mark.slow
def test_compiled_it_learns_the_same(
    values: dict[str, Any],
    tmp_path: Path,
    plain: tuple[Kept, dict[str, torch.Tensor]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Traced, forward and backward, but not made machine code, which takes minutes."""
    graphs = []

    def traced(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        graphs.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend=traced))
    kept, change = Kept(), {"compile": True, "checkpoint_activations": True}
    fit(parse(values | change), tmp_path, watchers=[kept])
    assert graphs
    for one, other in zip(kept.curve, plain[0].curve, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    assert tdseg.load(kept.finished[0]).config.name == "lite0"


@pytest.mark.slow
def test_a_lost_worker_is_survived(
    values: dict[str, Any], tmp_path: Path, plain: tuple[Kept, dict[str, torch.Tensor]]
) -> None:
    def kill_worker(number: int) -> None:
        if number == 1:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    kept = Kept(kill_worker)
    # Only two steps are loaded ahead, so the last ones have to come from new workers.
    model = fit(parse(values | {"workers": 1}), tmp_path, watchers=[kept])
    assert "lost a worker" in kept.warnings[0]
    assert kept.curve == plain[0].curve
    assert_same(model, plain[1])


def test_a_run_is_not_overwritten(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="--resume"):
        fit(parse(values), tmp_path)


@pytest.mark.parametrize("name", ["file/run", "9" * 300])
def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(
    name: str, values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    kept = Kept()
    with pytest.raises(OutputError, match="cannot write"):
        fit(parse(values), tmp_path / name, watchers=[kept])
    assert not kept.steps


def test_asked_to_end_it_can_go_on(
    values: dict[str, Any], tmp_path: Path, plain: tuple[Kept, dict[str, torch.Tensor]]
) -> None:
    handler = signal.getsignal(signal.SIGHUP)
    kept = Kept(lambda number: os.kill(os.getpid(), signal.SIGHUP) if number == 2 else None)
    with pytest.raises(KeyboardInterrupt, match="after step 3 of 4; --resume"):
        fit(parse(values), tmp_path, watchers=[kept])
    assert kept.closed == 1
    assert signal.getsignal(signal.SIGHUP) is handler
    assert (tmp_path / "checkpoints" / "step-000003.ckpt").exists()
    again = Kept()
    model = fit(parse(values), tmp_path, resume=True, watchers=[again])
    assert again.runs[0].start == 3
    assert kept.curve + again.curve == plain[0].curve
    assert_same(model, plain[1])


def test_the_model_and_what_tells_of_it_are_replaced_together(values: dict[str, Any], tmp_path: Path) -> None:
    class Describing(Kept):
        def describe(self, model: TDNet, weights: Path) -> None:
            weights.with_name("card.md").write_text(str(len(self.steps)))
            1 / (2 - len(self.steps))

    fit(parse(values | {"steps": 1}), tmp_path, watchers=[Describing()])
    assert (tmp_path / "card.md").read_text() == "1"
    before = (tmp_path / "model.safetensors").read_bytes()
    with pytest.raises(ZeroDivisionError):
        fit(parse(values | {"steps": 3}), tmp_path, resume=True, watchers=[Describing()])
    assert (tmp_path / "card.md").read_text() == "1"
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert not (tmp_path / ".partial").exists()


def test_a_damaged_checkpoint_is_left_out(
    values: dict[str, Any], tmp_path: Path, plain: tuple[Kept, dict[str, torch.Tensor]]
) -> None:
    fit(parse(values), tmp_path)
    newest = tmp_path / "checkpoints" / "step-000004.ckpt"
    newest.write_bytes(newest.read_bytes()[:100_000])
    kept = Kept()
    model = fit(parse(values), tmp_path, resume=True, watchers=[kept])
    assert "step-000004.ckpt is damaged" in kept.warnings[0]
    assert kept.runs[0].start == 2
    assert_same(model, plain[1])


def test_another_recipe_is_not_resumed(values: dict[str, Any], tmp_path: Path) -> None:
    fit(parse(values | {"steps": 1}), tmp_path)
    with pytest.raises(ConfigError, match=r"batch = 4, but the run in .* has batch = 2"):
        fit(parse(values | {"steps": 1, "batch": 4}), tmp_path, resume=True)
    kept = Kept()
    fit(parse(values | {"steps": 2, "checkpoint_every": 7, "cache": "none"}), tmp_path, resume=True, watchers=[kept])
    assert [step.number for step in kept.steps] == [2]


@contextmanager
def small_disk(largest: int) -> Iterator[None]:
    """Files cannot grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_survived(values: dict[str, Any], tmp_path: Path) -> None:
    fit(parse(values | {"steps": 2}), tmp_path)
    size = (tmp_path / "checkpoints" / "step-000002.ckpt").stat().st_size
    kept = Kept()
    with small_disk(size // 2):
        fit(parse(values), tmp_path, resume=True, watchers=[kept])
    assert "cannot write the checkpoint of step 4" in kept.warnings[0]
    assert "free some space" in kept.warnings[0]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002.ckpt"]
    assert [step.number for step in kept.steps] == [3, 4]


def test_a_loss_that_is_not_finite_is_named(values: dict[str, Any], tmp_path: Path) -> None:
    values["optimizer"] = {"lr": 100, "weight_decay": 100, "warmup": 0, "clip": None}
    with pytest.raises(ConfigError, match=r"step 2 is not finite: full .*(inf|nan).*\n.*\n.*optimizer.lr"):
        fit(parse(values | {"checkpoint_every": 1}), tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000001.ckpt"]


def test_a_corrupt_image_is_replaced(values: dict[str, Any], tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "camvid")
    image = root / "images" / "train" / "0001_00002.png"
    image.write_bytes(image.read_bytes()[:200])
    values = small_values(root) | {"losses": {"balance": None}}
    kept = Kept()
    fit(parse(values), tmp_path / "run", watchers=[kept])
    assert len(kept.warnings) == 1
    assert "0001_00002.png" in kept.warnings[0]
    for image in (root / "images" / "train").iterdir():
        image.write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be read: .*0001_0000"):
        fit(parse(values), tmp_path / "other", watchers=[Kept()])
