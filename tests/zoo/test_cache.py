"""Exports that were made on the way: damaged ones are made anew, and without a place for them torch runs."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.exports import require_extra
from support.small import SIZE
from tdseg.runtime.manifest import exported_files
from tdseg.runtime.network import Execution
from tdseg.zoo.cache import cached_export
from tdseg.zoo.catalog import create_model
from tdseg.zoo.checkpoint import save
from tdseg.zoo.load import prepare

require_extra()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TDSEG_CACHE", str(tmp_path / "cache"))
    save(create_model("lite0s", head_channels=8, size=SIZE), tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


@pytest.mark.slow
def test_a_damaged_export_is_made_anew(weights: Path) -> None:
    model = create_model("lite0s", head_channels=8, size=SIZE)
    folder = cached_export(model, weights, SIZE, "onnxruntime")
    graph = folder / "model.onnx"
    whole = graph.stat().st_size
    graph.write_bytes(graph.read_bytes()[:1000])
    assert cached_export(model, weights, SIZE, "onnxruntime") == folder
    assert graph.stat().st_size == whole
    (folder / "tdseg.json").unlink()
    assert cached_export(model, weights, SIZE, "onnxruntime") == folder
    assert (folder / "tdseg.json").exists()
    (folder / "tdseg.json").write_text("{")
    assert cached_export(model, weights, SIZE, "onnxruntime") == folder
    assert exported_files(folder)


@pytest.mark.slow
def test_what_several_want_is_made_once(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tdseg")
    model = create_model("lite0s", head_channels=8, size=SIZE)
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: cached_export(model, weights, SIZE, "onnxruntime"), range(3)))
    assert len(folders) == 1
    assert caplog.text.count("this is done once") == 1


def test_without_a_place_for_it_torch_runs(
    weights: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (weights.parent / "file").touch()
    monkeypatch.setenv("TDSEG_CACHE", str(weights.parent / "file" / "cache"))
    assert prepare(weights, Execution("cpu")).runtime == "torch"
    assert "runs in torch: cannot write" in caplog.text
