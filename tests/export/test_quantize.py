"""Graphs of fewer bits: calibrated, measured, and refused where they cost too many masks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.exports import consensus, independent_paths, int8_of_several_paths, require_extra, thin_paths
from tdseg.cli import DONE, REFUSED, main
from tdseg.export import export
from tdseg.runtime.manifest import MANIFEST, Manifest

require_extra()

pytestmark = pytest.mark.slow


def test_half_precision(tmp_path: Path) -> None:
    folder = tmp_path / "half"
    manifest = export(consensus(), folder, to="openvino", precision="fp16", agreement=0.9)
    assert manifest.parity is not None
    single = export(consensus(), tmp_path / "single", to="openvino")
    assert (folder / "model.bin").stat().st_size < 0.6 * (tmp_path / "single" / "model.bin").stat().st_size
    assert single.sha256 != manifest.sha256


def test_int8_is_calibrated_with_state_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf", reason="int8 needs the extra 'export'")
    monkeypatch.setattr(sys.modules["tdseg.export.quantize"], "_ALLOWED", 1e9)  # nothing goes back to float
    flags = ["--to", "onnx", "--int8", "--size", "96x128", "-o", str(tmp_path / "int8")]
    assert main(["export", "td4-lite0-camvid", *flags, "--agreement", "0.999999"]) == REFUSED
    assert "nothing was left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["export", "td4-lite0-camvid", *flags, "--agreement", "0.9"]) == DONE
    assert "points of mIoU lost" in capsys.readouterr().out
    manifest = Manifest.model_validate_json((tmp_path / "int8" / MANIFEST).read_text())
    assert manifest.parity is not None
    assert manifest.parity.miou_drop is not None
    assert 0.9 <= manifest.parity.agreement < 1
    assert (tmp_path / "int8" / "model.onnx").stat().st_size < 5e6


def test_int8_of_paths_with_weights_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="int8 needs the extra 'export'")
    with int8_of_several_paths():
        manifest = export(independent_paths(), tmp_path / "int8", to="onnx", precision="int8", agreement=0)
    assert manifest.parity is not None
    assert manifest.parity.agreement > 0.9


def test_layers_that_hurt_go_back_to_float(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="int8 needs the extra 'export'")
    model = thin_paths()

    def agreement(least: float) -> float:
        manifest = export(model, tmp_path / "int8", to="onnx", precision="int8", agreement=least, overwrite=True)
        assert manifest.parity is not None
        return manifest.parity.agreement

    plain = agreement(0)
    assert plain < 1
    assert agreement((plain + 1) / 2) >= (plain + 1) / 2
