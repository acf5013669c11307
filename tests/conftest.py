from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

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
