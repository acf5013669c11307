from __future__ import annotations

import runpy

import pytest

from support.places import ROOT

EXAMPLES = ROOT / "examples"


@pytest.mark.slow
def test_transformers_backbone(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")
    runpy.run_path(str(EXAMPLES / "transformers_backbone.py"), run_name="__main__")
    assert "frame 4: mask (256, 512)" in capsys.readouterr().out
