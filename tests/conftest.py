from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.exports import AsOnnx
    from tdseg.models.tdnet import TDNet

# Tests run side by side, a process for each core: each computes on one thread, and so does what it starts. torch reads
# this when it is imported; through `segment` and `bench`, OpenVINO and ONNX Runtime get as many threads as torch has.
os.environ["OMP_NUM_THREADS"] = "1"


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


@pytest.fixture(scope="session")
def as_onnx(tmp_path_factory: pytest.TempPathFactory) -> AsOnnx:
    """Gives the export to ONNX of what a function makes, once: tracing takes seconds. It is left as it is."""
    from tdseg.export import export

    place = tmp_path_factory.mktemp("onnx")

    @functools.cache
    def exported(make: Callable[[], TDNet]) -> Path:
        folder = place / make.__name__
        export(make(), folder, to="onnx")
        return folder

    return exported


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
