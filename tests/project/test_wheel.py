"""The wheel, in an environment that holds nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT
from support.small import write_clip


@pytest.mark.slow
def test_wheel_segments_a_clip(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")

    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel)]
    subprocess.run(install, check=True, cwd=tmp_path)
    clip = write_clip(tmp_path / "clip.mp4", 8)

    tdseg = [str(tmp_path / "venv" / "bin" / "tdseg")]
    subprocess.run([*tdseg, "segment", str(clip), "-o", "result", "--quiet"], check=True, cwd=tmp_path)
    summary = json.loads((tmp_path / "result" / "summary.json").read_text())
    assert summary["frames"] == 8
    assert summary["complete"]
    assert summary["model"] == "td6-lite0s-camvid"
    assert len(list((tmp_path / "result" / "masks").iterdir())) == 8
    doctor = subprocess.run([*tdseg, "doctor"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "td6-lite0s-camvid" in doctor.stdout
