from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support.fabricate import parse, write_camvid
from support.factory import random_model
from support.places import ROOT
from tdseg.train.recipe import Recipe
from tdseg.zoo.catalog import create_model


@pytest.fixture
def ablations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("ablations", "ablations_table"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("ablations")


@pytest.fixture
def study(values: dict[str, Any]) -> dict[str, Any]:
    return values | {
        "model": "td4-lite0s",
        "overrides": {"size": [64, 96], "weight_sets": None, "head_channels": 16},
        "per_frame": {"batch": 2},
        "steps": 1,
        "batch": 1,
        "length": 4,
        "distill": {"teacher": "per-frame"},
        "freeze_norm": True,
    }


def test_every_family_has_its_arms(ablations: ModuleType) -> None:
    names = set()
    for path in sorted((ROOT / "configs").glob("*-td[24]-*.yaml")):
        recipe = Recipe.from_yaml(path)
        if recipe.per_frame is None:
            continue  # parts of a longer schedule
        names.add(recipe.model)
        every = ablations.arms(recipe, None, Path("runs/x"))
        frames = {arm.recipe.batch * arm.recipe.length for name, arm in every.items() if name != ablations.START}
        assert frames == {recipe.batch * recipe.length}, path
        assert {"per-frame-full", "attention-grouped", "attention-plain"} <= every.keys()
    assert {"td4-lite0s", "td4-psp18", "td2-psp50", "td4-bise18", "td2-fa18"} <= names


def test_arms_differ_in_what_they_are_named_for(ablations: ModuleType, study: dict[str, Any]) -> None:
    every = {name: arm.recipe for name, arm in ablations.arms(parse(study), None, Path("runs/x")).items()}
    assert every["consensus-plain"].distill is None
    assert [every[f"attention-{how}"].distill.grouped for how in ("full", "grouped")] == [False, True]
    assert [every[f"attention-{kind}"].overrides["weight_sets"] for kind in ("full", "shared")] == [None, 1]
    assert (every["attention-2-paths"].model, every["attention-2-paths"].length) == ("td2-lite0s", 2)
    starts = {recipe.init for name, recipe in every.items() if name != ablations.START}
    assert starts == {"runs/x/start/model.safetensors"}


def test_a_larger_input_costs_what_the_tdnet_costs(ablations: ModuleType) -> None:
    table = sys.modules["ablations_table"]
    alone, memory = create_model("lite0s", num_classes=11), create_model("td4-lite0s", num_classes=11)
    wanted = table.cost(memory)
    _, larger = table.at_costs(alone, [0.0, wanted])
    height, width = larger.config.size
    assert table.cost(larger) >= wanted > table.cost(table.changed(alone, size=(height - 8, width - 8)))


@torch.inference_mode()
def test_without_all_that_is_older_a_model_is_by_itself(ablations: ModuleType) -> None:
    table = sys.modules["ablations_table"]
    model = random_model("td2-lite0s", propagation="attention", weight_sets=None)
    missing = table.without_oldest(model, 1)
    x = torch.randn(3, 1, 3, 64, 96)
    state = model.step(x[0])[1]
    expected = model.step(x[1], model.initial_state(1))[0]
    torch.testing.assert_close(missing.step(x[1], state)[0], expected)
    assert (model.step(x[1], state)[0] - expected).abs().max() > 1e-4


@pytest.mark.slow
def test_one_command_trains_once_and_tells(ablations: ModuleType, study: dict[str, Any], tmp_path: Path) -> None:
    write_camvid(tmp_path / "camvid")
    study["sources"] = [{"data": "camvid", "root": str(tmp_path / "camvid")}]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(study))
    (tmp_path / "page.md").write_text("# Page\n<!-- ablations -->\nold\n<!-- /ablations -->\nrest\n")
    command = [
        str(tmp_path / "recipe.yaml"),
        "--steps",
        "1",
        "--folder",
        str(tmp_path / "runs"),
        "--jobs",
        "2",
        "--arms",
    ]
    command += ["per-frame-full", "attention-grouped", "--output", str(tmp_path / "page.md")]
    with pytest.raises(SystemExit, match="3"):
        ablations.main([*command, "--minutes", "0"])
    ablations.main(command)
    weights = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/model.safetensors")}
    assert {path.parent.name for path in weights} == {"start", "per-frame", "per-frame-full", "attention-grouped"}
    page = (tmp_path / "page.md").read_text()
    for label in ("per-frame-full, consensus of 4, views 1.25, 1", "attention-grouped, memory stride 1"):
        assert f"| {label} |" in page
    assert "\nold\n" not in page
    assert page.endswith("rest\n")
    ablations.main([*command, "--train"])
    assert {path: path.stat().st_mtime_ns for path in weights} == weights


def test_refused(ablations: ModuleType, study: dict[str, Any], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(study | {"distill": None}))
    for arguments in ([str(recipe)], [str(tmp_path / "none.yaml")]):
        with pytest.raises(SystemExit, match="2"):
            ablations.main(arguments)
