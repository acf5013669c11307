"""What a stage needs is seen to fit before any stage is trained."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from support.places import ROOT
from tdseg.errors import ConfigError, TdsegError

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support.fabricate import Kept, parse
from tdseg.models.tdnet import TDNet
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe
from tdseg.train.watch import Run
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save

ATTENTION = {"propagation": "attention", "head_channels": 16, "d_v": 16}


def two_stages(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A TDNet of two small paths that differ, after its per-frame model."""
    stages = {
        "model": "td2-lite0s",
        "overrides": {"head_channels": 16, "weight_sets": None},
        "length": 2,
        "steps": 1,
        "per_frame": {"steps": 2},
    }
    return values | stages | changes


@pytest.mark.parametrize(("name", "length"), [("td4-psp50", 2), ("td4-psp18", 3), ("td2-bise34", 1)])
def test_clips_that_train_no_propagation_are_refused(name: str, length: int, tmp_path: Path) -> None:
    """Before anything is looked for: there is no data here, and no weights."""
    config = ROOT / "configs" / "cityscapes-td2-psp50.yaml"
    flags = ["--model", name, "--length", str(length), "--sources.0.length", str(length), "--per_frame", "null"]
    flags += ["--overrides", "{}"]
    with pytest.raises(ConfigError, match=rf"length={length} for {name}, which has paths={name[2]} by its name"):
        fit(Recipe.from_yaml(config, flags), tmp_path)


def test_the_recipe_for_two_paths_is_none_for_four(tmp_path: Path) -> None:
    recipe = Recipe.from_yaml(ROOT / "configs" / "cityscapes-td2-psp50.yaml", ["--model", "td4-psp50"])
    with pytest.raises(ConfigError, match=r"(?s)length=2 .* paths=4 .*set length to 4.* td2-psp50"):
        fit(recipe, tmp_path)
    assert not list(tmp_path.iterdir())


class Before(Kept):
    """Keeps what the networks start with."""

    def start(self, run: Run) -> None:
        super().start(run)
        self.weights = {key: value.clone() for key, value in run.model.state_dict().items()}


@pytest.mark.parametrize(
    ("model", "overrides", "length"),
    [("td2-lite0s", ATTENTION, 2), ("td4-lite0s", {"head_channels": 16}, 2), ("lite0s", {"head_channels": 16}, 1)],
)
def test_clips_that_train_all_there_is_are_not(
    values: dict[str, Any], tmp_path: Path, model: str, overrides: dict[str, Any], length: int
) -> None:
    """m frames for attention; any for consensus, a mean of what there is with nothing to train; stills per frame."""
    values |= {"model": model, "overrides": overrides, "length": length, "steps": 1}
    values["optimizer"] = {"lr": 0.01, "warmup": 0}
    kept = Before()
    trained: TDNet = fit(parse(values), tmp_path, watchers=[kept])
    merging = {name: value for name, value in trained.named_parameters() if ".propagation." in name}
    assert bool(merging) == (overrides is ATTENTION)
    assert not any(torch.equal(value, kept.weights[name]) for name, value in merging.items())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"distill": {"teacher": "runs/none.safetensors"}}, r"runs/none.safetensors: No such file"),
        ({"distill": {"teacher": "lite0-canvid"}}, "unknown model 'lite0-canvid'"),
        ({"distill": {"teacher": "THREE"}}, "three.safetensors: 3 classes, not 11"),
        ({"model": "td3-lite0s", "length": 3, "distill": {"teacher": "per-frame"}}, "3 equal parts"),
        ({"sources": [{"data": "camvid", "length": 9}], "length": 9}, "no clip of 9 frames"),
        ({"validation": {"data": "camvid", "split": "test"}}, "test"),
        ({"validation": {"data": "camvid", "num_classes": 32}}, "num_classes 32"),
        ({"per_frame": {"model": "lite0"}}, "per_frame: weights of lite0"),
        ({"per_frame": {"model": "td2-lite0s"}}, r"per_frame: \d+ tensors that do not fit td2-lite0s"),
        ({"overrides": {"groups": 2, "weight_sets": None}}, "groups"),
    ],
)
def test_what_the_second_stage_lacks_is_said_before_the_first(
    values: dict[str, Any], tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    root = values["sources"][0]["root"]
    changes = {"per_frame": {"steps": 2}, **changes}
    for source in [*changes.get("sources", []), changes.get("validation", {})]:
        source["root"] = root
    if changes.get("distill") == {"teacher": "THREE"}:
        changes["distill"] = {"teacher": str(tmp_path / "three.safetensors")}
        save(create_model("lite0s", head_channels=16, num_classes=3), tmp_path / "three.safetensors")
    if "validation" in changes:
        changes["per_frame"] = {"steps": 2, "validation": None}
    kept, run = Kept(), tmp_path / "run"
    with pytest.raises(TdsegError, match=named):
        fit(parse(two_stages(values, **changes)), run, watchers=[kept])
    assert not kept.runs
    assert not run.exists()


def test_so_it_is_when_the_first_stage_goes_on(values: dict[str, Any], tmp_path: Path) -> None:
    """A teacher that went away meanwhile is missed at once; when it is back, the run goes on."""
    teacher = tmp_path / "teacher.safetensors"
    save(create_model("lite0s", head_channels=16), teacher)
    recipe = parse(two_stages(values, per_frame={"steps": 3}, distill={"teacher": str(teacher)}))
    kept = Kept(lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == 1 else None)
    with pytest.raises(KeyboardInterrupt, match="step 2 of 3; --resume"):
        fit(recipe, tmp_path / "run", watchers=[kept])
    away, again = teacher.rename(tmp_path / "away"), Kept()
    with pytest.raises(TdsegError, match=r"teacher\.safetensors: No such file"):
        fit(recipe, tmp_path / "run", resume=True, watchers=[again])
    assert not again.steps
    away.rename(teacher)
    fit(recipe, tmp_path / "run", resume=True, watchers=[again])
    assert [step.number for step in kept.steps + again.steps] == [1, 2, 3, 1]


def test_a_batch_that_no_memory_holds(values: dict[str, Any], tmp_path: Path) -> None:
    many = parse(values | {"batch": 65_536, "length": 1000})
    with pytest.raises(ConfigError, match=r"batch=65536 of length=1000 .* takes over"):
        fit(many, tmp_path / "run")
    assert not (tmp_path / "run").exists()
