"""The page that leads from a folder of images to a deployed model: its commands, in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import ROOT

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")
pytest.importorskip("cv2", reason="evaluation needs: pip install -e '.[metrics]'")

PROGRAMS = {"python": [sys.executable], "tdseg": [sys.executable, "-m", "tdseg.cli"]}
SHORTER = {
    "examples/make_folder_data.py": "--streets 2 --frames 3 --size 96x128",
    "train": "--steps 2 --per_frame.steps 2 --per_frame.batch 2 --augmentation.crop 64x96 --overrides.size 96x128",
}


@pytest.mark.slow
def test_every_command_of_the_page(tmp_path: Path) -> None:
    for name in ("configs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    page = (ROOT / "docs" / "train-your-own.md").read_text(encoding="utf-8")
    commands = [
        line for block in re.findall(r"<!-- run -->\n```\n(.*?)```", page, re.DOTALL) for line in block.splitlines()
    ]
    assert len(commands) >= 7
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    for command in commands:
        program, *arguments = command.split()
        extra = SHORTER.get(arguments[0], "").split()
        line = [*PROGRAMS[program], *arguments, *extra]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert {"model.safetensors", "card.md", "val.html", "per-frame"} <= {
        path.name for path in (tmp_path / "runs/mine").iterdir()
    }
    assert (tmp_path / "out" / "mine" / "overlay.mp4").is_file()

    match = re.search(r"<!-- example -->\n```python\n(.*?)```", page, re.DOTALL)
    assert match
    example = [sys.executable, "-c", match[1]]
    done = subprocess.run(example, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "'Bicyclist') 8 (96, 128)" in done.stdout
