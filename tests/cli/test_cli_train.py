from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tdseg
from support.places import ROOT
from tdseg.cli import DONE, REFUSED, main
from tdseg.errors import ConfigError

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")
pytest.importorskip("tensorboard", reason="training needs: pip install -e '.[train]'")

from tdseg.train.recipe import Recipe

CONFIGS = ROOT / "configs"
SMOKE = CONFIGS / "smoke.yaml"


def test_flags_set_fields() -> None:
    flags = (
        "--optimizer.lr 5e-3 --steps=100 --sources.0.root some/where --sources.0.data camvid --losses.ohem null "
        "--augmentation.crop 288x384 --checkpoint-every 7 --distill.teacher a.safetensors --augmentation.scale [0.5,2] "
        "--overrides.size [96,160] --sources.1.step [1,2]"
    )
    recipe = Recipe.from_yaml(SMOKE, flags.split())
    unchanged = Recipe.from_yaml(SMOKE)
    assert recipe.optimizer.lr == 0.005
    assert recipe.optimizer.warmup == unchanged.optimizer.warmup
    assert recipe.steps == 100
    assert recipe.sources[0].root == Path("some/where")
    assert recipe.sources[1].step == (1, 2)
    assert recipe.sources[1].root is None
    assert recipe.losses.ohem is None
    assert recipe.augmentation.crop == (288, 384)
    assert recipe.augmentation.scale == (0.5, 2.0)
    assert recipe.checkpoint_every == 7
    assert recipe.distill
    assert recipe.distill.teacher == "a.safetensors"
    assert recipe.overrides == unchanged.overrides | {"size": [96, 160]}


@pytest.mark.parametrize(
    ("flags", "got", "do"),
    [
        ("--lr 3", "--lr: a recipe has no field lr", "--optimizer.lr"),
        ("--stepps 3", "no field stepps", "--steps"),
        ("--optimizer.lrr 3", "no field optimizer.lrr", "--optimizer.lr"),
        ("--optimiser.lr 3", "no field optimiser.lr", "--optimizer.lr"),
        ("--sources.0.rot x", "no field sources.0.rot", "--sources.0.root"),
        ("--steps.much 3", "no field steps.much", ""),
        ("--xyzzy 3", "no field xyzzy", "docs/training.md"),
        ("--sources.9.root x", "sources has 2 entries", "in the file"),
        ("--sources.first.root x", "sources has 2 entries", "in the file"),
        ("--steps", "--steps without a value", "add the value"),
        ("--steps --seed 3", "--steps without a value", "add the value"),
        ("steps 3", "'steps' after the recipe", "--steps 100"),
        ("--steps [3", "--steps [3", "correct it"),
        ("--optimizer.lr -1", "with --optimizer.lr -1: optimizer.lr = -1", "correct optimizer.lr"),
        ("--steps many", "with --steps many: steps = 'many'", "correct steps"),
        ("--batch 3 --accumulate 2", "with --batch 3 --accumulate 2: contradicting fields", ""),
    ],
)
def test_odd_flags_are_refused(flags: str, got: str, do: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Recipe.from_yaml(SMOKE, flags.split())
    assert got in caught.value.got
    assert do in caught.value.do


def test_a_recipe_builds_on_another(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.yaml").write_text(SMOKE.read_text())
    (tmp_path / "base" / "b.yaml").write_text(
        "base: a.yaml\nsteps: 5\noptimizer: {lr: 1.0}\nsources: [{data: synthetic}]\n"
    )
    (tmp_path / "c.yaml").write_text("base: base/b.yaml\nsteps: 6\ndistill: null\n")
    recipe, first = Recipe.from_yaml(tmp_path / "c.yaml"), Recipe.from_yaml(SMOKE)
    assert (recipe.steps, recipe.optimizer.lr, recipe.optimizer.ema) == (6, 1.0, first.optimizer.ema)
    assert len(recipe.sources) == 1
    assert recipe.distill is None
    assert recipe.augmentation == first.augmentation


def test_odd_bases_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("base: two.yaml\n")
    two.write_text("base: ./one.yaml\n")
    for text, named in (
        (two.read_text(), "builds on itself"),
        ("base: no.yaml", r"no\.yaml, the base of"),
        ("3", "no fields"),
    ):
        two.write_text(text)
        with pytest.raises(ConfigError, match=named):
            Recipe.from_yaml(one)


def test_refusals_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "checkpoints").mkdir()
    for arguments, named in (
        (["missing.yaml"], "no recipe missing.yaml"),
        (["--steps", "3", str(SMOKE)], "before the recipe"),
        ([str(SMOKE), "--outptu", "x"], "tdseg train --help"),
        ([str(SMOKE), "--output", str(tmp_path)], "--resume"),
        ([str(SMOKE), "--output", str(tmp_path / "new"), "--threads", "0"], "threads 0"),
    ):
        assert main(["train", *arguments]) == REFUSED
        shown = capsys.readouterr()
        assert named in shown.err
        assert shown.out == ""
    assert not (tmp_path / "new").exists()


def tdseg_train(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tdseg.cli", "train", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.mark.slow
def test_smoke_goes_through_every_part(tmp_path: Path) -> None:
    output = tmp_path / "run's"
    done = tdseg_train(SMOKE, "--output", output)
    assert done.returncode == DONE, done.stderr
    for folder in (output, output / "per-frame"):
        assert {"model.safetensors", "card.md", "checkpoints"} <= {path.name for path in folder.iterdir()}
        assert list(folder.glob("events.out.tfevents.*"))
        assert "mIoU" in (folder / "card.md").read_text()
    assert f"tdseg train {SMOKE} --output" in (output / "card.md").read_text()
    assert tdseg.load(output / "model.safetensors").config.name == "td2-lite0"
    assert f"tdseg segment VIDEO --model '{tmp_path}/run'" in done.stdout
    assert "resumed" not in done.stdout
    for term in ("full", "sub", "aux", "agreement", "distill"):
        assert re.search(rf"{term}\w* \d", done.stderr), term

    refused = tdseg_train(SMOKE, "--output", output)
    assert refused.returncode == REFUSED
    assert "--resume" in refused.stderr
    weights = (output / "model.safetensors").read_bytes()
    again = tdseg_train(SMOKE, "--output", output, "--resume")
    assert again.returncode == DONE, again.stderr
    assert "resumed at step 12" in again.stdout
    assert (output / "model.safetensors").read_bytes() == weights
