from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Exports that commands make on the way are kept for the session, and not where the user's are."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("TDSEG_CACHE")
    os.environ["TDSEG_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["TDSEG_CACHE"]
    else:
        os.environ["TDSEG_CACHE"] = before


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of small weights."""
    from support.small import small_model
    from tdseg.zoo.checkpoint import save

    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save(small_model(), path)
    return path


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rendered frames in the layout of CamVid."""
    from support.fabricate import write_camvid

    return write_camvid(tmp_path_factory.mktemp("camvid"))


@pytest.fixture
def values(camvid: Path) -> dict[str, Any]:
    """A small recipe for them."""
    from support.fabricate import small_values

    return small_values(camvid)
