"""Two processes on CPUs. Where they train as one, statistics of batch norm are frozen: SyncBatchNorm needs a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tdseg

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support import fabricate
from support.fabricate import small_values, write_camvid


def train(folder: Path, values: dict[str, Any], processes: int) -> tuple[list[dict[str, float]], Path]:
    recipe, output = folder / "recipe.yaml", folder / f"by-{processes}"
    recipe.write_text(yaml.safe_dump(values))
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [*(launcher if processes > 1 else []), fabricate.__file__, str(recipe), str(output)]
    run = subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE, text=True)
    _, *steps = map(json.loads, run.stdout.splitlines())  # of the first process: others have no watchers
    return steps, output / "model.safetensors"


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    values = small_values(write_camvid(tmp_path / "camvid")) | {
        "model": "td2-lite0",
        "overrides": {"weight_sets": None, "head_channels": 16},
        "batch": 4,
        "accumulate": 2,
        "length": 2,
        "dropout": 0.0,
        "freeze_norm": True,
        "losses": {"aux": 0.4, "sub": 0.5, "balance": None},
    }
    values["optimizer"] = {"kind": "sgd", "lr": 0.05, "warmup": 1}
    one, two = (train(tmp_path, values, processes) for processes in (1, 2))
    assert len(one[0]) == len(two[0]) == values["steps"]
    for alone, together in zip(one[0], two[0], strict=True):
        assert together == pytest.approx(alone, rel=1e-5, abs=1e-6)
    weights = tdseg.load(one[1]).state_dict()
    for key, value in tdseg.load(two[1]).state_dict().items():
        torch.testing.assert_close(value, weights[key], atol=2e-4, rtol=2e-3, msg=key)  # stored in half precision


@pytest.mark.slow
def test_two_processes_may_compute_activations_twice(tmp_path: Path) -> None:
    """With live norms, each process's own; what is seen and counted is the same as in one go."""
    values = small_values(write_camvid(tmp_path / "camvid")) | {"batch": 4, "steps": 2}
    curves = []
    for twice in (False, True):
        (tmp_path / str(twice)).mkdir()
        curve, weights = train(tmp_path / str(twice), values | {"checkpoint_activations": twice}, 2)
        curves.append((curve, tdseg.load(weights).state_dict()))
    (once, expected), (again, found) = curves
    for one, other in zip(once, again, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key], atol=2e-3, rtol=2e-2, msg=key)  # stored in half precision
