from __future__ import annotations

import subprocess
import sys

import tdseg


def test_public_names_exist() -> None:
    assert sorted(tdseg.__all__) == dir(tdseg)
    for name in tdseg.__all__:
        assert getattr(tdseg, name) is not None


def test_import_does_nothing_heavy() -> None:
    code = "import sys, tdseg; print([m for m in ('torch', 'av', 'lightning', 'cv2', 'rich') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_segmenting_needs_no_metrics() -> None:
    code = "import sys; import tdseg.inference.demo; print([m for m in ('torchmetrics', 'cv2') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_models_import_no_video_and_no_training() -> None:
    code = "import sys, tdseg.zoo.catalog; print([m for m in ('av', 'lightning', 'cv2', 'rich') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
