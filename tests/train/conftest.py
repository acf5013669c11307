"""A fabricated CamVid, and the values of a small recipe for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.fabricate import small_values, write_camvid


@pytest.fixture(scope="session")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("camvid"))


@pytest.fixture
def values(camvid: Path) -> dict[str, Any]:
    return small_values(camvid)
