"""What the documentation shows is run."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tdseg
from support.places import ROOT
from support.small import moving_frames, small_model, write_clip
from tdseg.cli import DONE, app, main
from tdseg.errors import ConfigError, OutputError
from tdseg.zoo.checkpoint import save

DOCS = ROOT / "docs"


def test_metrics_of_somebody_elses_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- example -->\n```python\n(.*?)```", text, re.DOTALL)
    assert match
    assert len(match[1].splitlines()) <= 10
    write_clip(tmp_path / "drive.mp4", 4)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"your_model": lambda image: (image[..., 0] // 64).astype(np.uint8)}
    exec(match[1], scope)
    shown = capsys.readouterr().out
    assert all(f"'{key}': " in shown for key in ("flip_rate", "flow_flip_rate", "tc"))


def test_interval_of_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    match = re.search(r"<!-- interval -->\n```python\n(.*?)```", (DOCS / "metrics.md").read_text("utf-8"), re.DOTALL)
    assert match
    assert len(match[1].splitlines()) <= 10
    labels = list(np.random.default_rng(0).integers(0, 11, (40, 6, 8)).astype(np.uint8))
    scope: dict[str, object] = {"labels": labels, "ours": [np.zeros((6, 8), np.uint8)] * 40, "theirs": labels}
    exec(match[1], scope)
    assert re.match(r"Interval\(value=9\d\.\d+, low=9\d\.\d+, high=9\d\.\d+\)\n", capsys.readouterr().out)


def example(page: str, name: str) -> str:
    match = re.search(rf"<!-- {name} -->\n```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert match
    return match[1]


@pytest.mark.slow
def test_python_at_three_depths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "drive.mp4", 3)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"frame": np.zeros((96, 128, 3), np.uint8), "torch": torch}
    for name in ("files", "frames", "tensors"):
        exec(example("python.md", name), scope)
    assert "3 of 3" in capsys.readouterr().out
    assert [outcome.error is None for outcome in scope["outcomes"]] == [True, False]
    assert {path.name for path in Path("out/drive").iterdir()} >= {"masks", "shares.csv", "summary.json"}
    assert Path("mask.png").exists()
    assert scope["mask"].shape == (1, 96, 128)
    assert scope["clip"].logits.shape == (1, 2, 11, 96, 128)
    with pytest.raises(ConfigError, match="normalize"):
        scope["model"].step(scope["images"])


@pytest.mark.slow
def test_a_graph_without_tdseg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs pip install -e '.[export]'")
    monkeypatch.chdir(tmp_path)
    model = small_model()
    save(model, tmp_path / "small.safetensors")
    assert main(["export", "small.safetensors", "--to", "onnx", "-o", "exported", "--quiet"]) == DONE
    scope: dict[str, Any] = {}
    exec(example("deploy.md", "onnxruntime"), scope)
    stream = tdseg.Stream(model)
    for frame in moving_frames(6, size=(120, 200)):
        assert (scope["step"](frame) == stream.step(frame).mask).mean() > 0.999


def test_sessions_of_many_sources(capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("live.md", "sessions"), {})
    shown = capsys.readouterr().out
    assert shown.startswith("0 (120, 160) SessionFigures(frames=1, skipped=0, ")
    assert "http://127.0.0.1:9/video.mjpg reconnecting Connection refused" in shown
    assert "password" not in shown


def test_pictures_are_there_and_small() -> None:
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (DOCS / name).stat().st_size < 100_000, name


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page.name}" for page in DOCS.glob("*.md"))])
def test_command_lines_are_taken(page: str) -> None:
    blocks = re.findall(r"^```.*?^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for line in re.findall(r"^(?:\$ |\.venv/bin/)?tdseg ([^[\n]+)$", "\n".join(blocks), re.MULTILINE):
        with suppress(OutputError):  # a file in a folder that is not here
            app.parse_args(shlex.split(line, comments=True), exit_on_error=False, print_error=False)
