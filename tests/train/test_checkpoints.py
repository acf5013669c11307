from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support.fabricate import parse
from tdseg.errors import ConfigError, OutputError, WeightsError
from tdseg.train.checkpoints import check_same_run, latest_checkpoint, save_checkpoint


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        save_checkpoint(tmp_path / "checkpoints", step, {"x": torch.full((3,), float(step))})
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-000004.ckpt", "step-000006.ckpt"]
    newest = latest_checkpoint(tmp_path / "checkpoints", print)
    assert newest is not None
    assert newest["step"] == 6
    assert newest["x"].tolist() == [6, 6, 6]


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "nowhere", print) is None


def test_damaged_ones_are_named(tmp_path: Path) -> None:
    for step in (1, 2):
        path = save_checkpoint(tmp_path, step, {"x": torch.zeros(1000)})
        path.write_bytes(path.read_bytes()[: 1000 * step])
    warnings: list[str] = []
    with pytest.raises(WeightsError, match="every checkpoint is damaged"):
        latest_checkpoint(tmp_path, warnings.append)
    assert ["step-000002" in warnings[0], "step-000001" in warnings[1]] == [True, True]


def test_a_checkpoint_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"step": 1, "x": Path("anything but plain data")}, tmp_path / "step-000001.ckpt")
    with pytest.raises(WeightsError):
        latest_checkpoint(tmp_path, lambda _: None)


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot write the checkpoint of step 3"):
        save_checkpoint(tmp_path / "checkpoints", 3, {})
    full, before = tmp_path / "full", resource.getrlimit(resource.RLIMIT_FSIZE)
    full.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # what is longer cannot be written
    try:
        with pytest.raises(OutputError, match="File too large"):
            save_checkpoint(full, 3, {"x": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(full.iterdir())


def test_steps_of_another_version_are_not_gone_on_with(tmp_path: Path, values: dict[str, Any]) -> None:
    recipe = parse(values)
    newest = load(save_checkpoint(tmp_path, 1, {"recipe": recipe.model_dump(mode="json")}))
    check_same_run(newest, recipe, tmp_path)
    with pytest.raises(ConfigError, match="another version"):
        check_same_run({key: value for key, value in newest.items() if key != "format"}, recipe, tmp_path)


def load(path: Path) -> dict[str, Any]:
    checkpoint = latest_checkpoint(path.parent, print)
    assert checkpoint is not None
    return checkpoint


@pytest.mark.parametrize("foreign", [None, [1, 2], {}, torch.zeros(3), {"step": "x"}, {"step": -1}, {"step": True}])
def test_files_of_others_are_left_out(foreign: object, tmp_path: Path) -> None:
    torch.save(foreign, tmp_path / "step-000009.ckpt")
    save_checkpoint(tmp_path, 2, {})
    warnings: list[str] = []
    newest = latest_checkpoint(tmp_path, warnings.append)
    assert newest is not None
    assert newest["step"] == 2
    assert "step-000009" in warnings[0]


@pytest.mark.parametrize("stored", [None, 3, [1], {"per_frame": 3}])
def test_a_checkpoint_without_a_recipe(stored: object, values: dict[str, Any], tmp_path: Path) -> None:
    newest = load(save_checkpoint(tmp_path, 1, {"recipe": stored}))
    with pytest.raises(WeightsError, match="holds no recipe"):
        check_same_run(newest, parse(values), tmp_path)
