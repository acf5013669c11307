from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tdseg
from support.reference import FIXTURES, FULL, draw_state, shapes
from tdseg.config import ModelConfig
from tdseg.errors import WeightsError
from tdseg.train.teacher import PerFrameTeacher, groups_of
from tdseg.zoo.catalog import model_config
from tdseg.zoo.official import convert

TOLERANCE = 1e-4
STUDENTS: dict[int, ModelConfig] = {4: model_config("td4-psp18"), 2: model_config("td2-psp50")}


@pytest.mark.slow
@pytest.mark.parametrize("paths", STUDENTS)
@pytest.mark.parametrize("folder", [FIXTURES, FULL], ids=["fixtures", "full"])
def test_parity_with_the_official_teacher(folder: Path, paths: int, tmp_path: Path) -> None:
    """Full logits, then those of the group for each path: of 4, quarters 1, 3, 2, 4, scaled; of 2, halves, unscaled."""
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the fixtures hold every fourth value of each row and column of it")
    with np.load(folder / f"teacher-psp101-{paths}.npz") as stored:
        values = dict(stored)
    seed, size, step = int(values.pop("seed")), values.pop("size"), int(values.pop("step", 1))
    torch.save(draw_state(f"teacher-{paths}", seed, (0, 0)), tmp_path / "official.pkl")
    convert(tmp_path / "official.pkl", tmp_path / "ours.safetensors", model="psp101")
    model = tdseg.load(tmp_path / "ours.safetensors")

    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, 3, *size)).astype(np.float32))
    mean, std = (torch.tensor(value)[:, None, None] for value in (model.config.mean, model.config.std))
    frames = (x * std + mean).expand(1, paths, *x.shape[1:])
    teacher = PerFrameTeacher(model, groups_of(STUDENTS[paths]), scaled=paths == 4)
    answer = teacher.answer(frames, range(paths))
    assert answer.group is not None
    for name, found in zip(values, (answer.full[:, 0], *answer.group.unbind(1)), strict=True):
        expected = torch.from_numpy(values[name])
        assert (found[..., ::step, ::step] - expected).abs().max() / expected.abs().max() <= TOLERANCE, name


def test_damaged_teachers_are_named(tmp_path: Path) -> None:
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes("teacher-2").items()}
    del state["group2.conv5.0.weight"]  # no longer taken for a teacher
    torch.save(state, tmp_path / "official.pkl")
    with pytest.raises(WeightsError, match=r"group1\.conv5\.0\.weight unknown"):
        convert(tmp_path / "official.pkl", tmp_path / "ours.safetensors", model="psp101")
    state["group2.conv5.0.weight"] = torch.zeros(512, 1024, 3, 3)
    torch.save(state, tmp_path / "official.pkl")
    with pytest.raises(WeightsError, match=r"\(1 keys: group2\.conv5\.0\.weight \(512, 1024, 3, 3\) instead of"):
        convert(tmp_path / "official.pkl", tmp_path / "ours.safetensors", model="psp101")
