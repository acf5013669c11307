from __future__ import annotations

import pytest

from tdseg.config import FrozenConfig, ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.subnets import FAMILIES
from tdseg.zoo.catalog import model_config


class Outer(FrozenConfig):
    inner: ModelConfig


def test_what_is_missing_is_named() -> None:
    fields = {"name": "a", "subnet": "lite0", "paths": 1}
    with pytest.raises(ConfigError, match=r"a file: num_classes is missing[\s\S]*ModelConfig knows name"):
        ModelConfig.parse(fields, where="a file")
    with pytest.raises(ConfigError, match=r"a file: inner\.num_classes is missing") as refused:
        Outer.parse({"inner": fields}, where="a file")
    assert refused.value.do == "correct inner.num_classes"


def test_contradictions_are_said_plainly() -> None:
    values = model_config("td4-lite0").model_dump() | {"classes": ("a",)}
    with pytest.raises(ConfigError, match="expected: classes has 1 entries"):
        ModelConfig.parse(values, where="a file")


def test_retired_fields_are_for_files_alone() -> None:
    with pytest.raises(ConfigError, match="warmup"):
        model_config("td4-psp18", warmup="full")


def test_every_family_has_what_a_model_needs() -> None:
    for name in FAMILIES:
        assert model_config(name).paths == 1
        assert model_config(f"td2-{name}").paths == 2
