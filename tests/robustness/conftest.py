from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good inputs, which every attack begins with."""
    from robustness.materials import make_materials

    return make_materials(tmp_path_factory.mktemp("robustness") / "materials")
