from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support.fabricate import parse, small_values
from tdseg.train.recipe import Recipe
from tdseg.zoo import catalog


@pytest.fixture
def values() -> dict[str, Any]:
    return small_values(Path("camvid"))


def test_a_first_stage_takes_over_what_fits_it(values: dict[str, Any]) -> None:
    recipe = parse(
        values
        | {
            "model": "td4-psp18",
            "overrides": {"memory_stride": 2, "head_channels": 16},
            "sources": [values["sources"][0], values["sources"][0] | {"length": 4}],
            "length": 4,
            "score": "all",
            "losses": {"agreement": 1.0, "lovasz": 0.3},
            "distill": {"teacher": "per-frame"},
            "per_frame": {"batch": 4, "optimizer": {"lr": 0.5}},
        }
    )
    stage = recipe.first_stage()
    assert (stage.model, stage.length, stage.batch, stage.distill, stage.per_frame) == ("psp18", 1, 4, None, None)
    assert stage.overrides == {"head_channels": 16}
    assert [source.length for source in stage.sources] == [1, 1]
    assert (stage.losses.agreement, stage.losses.lovasz) == (0, 0.3)
    assert (stage.optimizer.lr, stage.optimizer.warmup) == (0.5, 1)
    with pytest.raises(ConfigError, match="per_frame"):
        recipe.model_copy(update={"per_frame": {"speed": 1}}).first_stage()


def test_a_batch_must_be_shared_out_evenly(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="accumulate=3"):
        parse(values | {"batch": 4, "accumulate": 3})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"length": 2}, r"losses\.agreement=2 .* score='last' and length=2"),
        ({"score": "all"}, r"losses\.agreement=2 .* score='all' and length=1"),
        ({"length": 2, "score": "all", "real": True}, r"losses\.agreement=2 .* sources with length=1.* length=2"),
    ],
)
def test_agreement_where_nothing_can_agree_is_refused(
    values: dict[str, Any], change: dict[str, Any], named: str
) -> None:
    values |= {"model": "td2-lite0", "losses": {"agreement": 2.0}}
    if change.pop("real", False):
        values["sources"] = [values["sources"][0] | {"length": 2}]
    with pytest.raises(ConfigError, match=named):
        parse(values | change)


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


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("steps", "0"), ("steps", "1e9999"), ("batch", "100000000"), ("length", "100000000"), ("seed", str(2**64))),
        *(("optimizer.lr", "1.0e+300"), ("optimizer.lr", ".inf"), ("optimizer.lr", ".nan"), ("optimizer.clip", ".inf")),
        *(("augmentation.crop", "[0, 0]"), ("augmentation.crop", "[-64, 64]"), ("augmentation.crop", "99999x99999")),
        *(("augmentation.scale", "[0, 1]"), ("augmentation.scale", "[.nan, 1]"), ("augmentation.scales", "[.inf]")),
        *(("augmentation.tint", ".inf"), ("augmentation.colour", ".inf"), ("augmentation.rotation", "1.0e+300")),
        *(("losses.sub", ".inf"), ("losses.aux", ".nan"), ("sources.0.weight", ".inf"), ("sources.0.weight", "1e-320")),
        *(("workers", "1000000000"), ("evaluate_every", str(10**30)), ("optimizer.warmup", str(10**30))),
        *(
            ("overrides.num_classes", "999"),
            ("overrides.palette", "[[999, 0, -1]]"),
            ("overrides.mean", "[.nan, 0, 0]"),
        ),
        *(("steps", "2026-99-99"), ("steps", "0b_"), ("steps", "9" * 5000), ("init", '"a\\0b"'), ("steps", "[" * 3000)),
    ],
)
def test_numbers_have_bounds(values: dict[str, Any], tmp_path: Path, flag: str, value: str) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError) as raised:
        config_of(Recipe.from_yaml(tmp_path / "r.yaml", [f"--{flag}", value]))
    assert flag.split(".")[-1] in raised.value.got
    assert len(str(raised.value)) < 4000


def config_of(recipe: Recipe) -> ModelConfig:
    return catalog.model_config(recipe.model, **recipe.overrides)
