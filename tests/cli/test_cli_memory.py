from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tdseg.cli import DONE, REFUSED, main
from tdseg.street import render_street
from tdseg.video import VideoWriter

SIZE = (120, 160)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rendered frames."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    with VideoWriter(path, size=SIZE, fps=15) as writer:
        for index, frame in enumerate(render_street(7, num_frames=12, size=SIZE)):
            writer.write(frame.image, index / 15)
    return path


def test_segment(clip: Path, tmp_path: Path) -> None:
    summaries = []
    for memory in ("0", "4"):
        output = tmp_path / memory
        options = shlex.split(f"--model lite0-camvid --runtime torch --size 120x160 --write none --memory {memory}")
        assert main(["segment", str(clip), "-o", str(output), "--quiet", *options]) == DONE
        summaries.append(json.loads((output / "summary.json").read_text()))
    without, remembering = summaries
    assert (without["memory"], remembering["memory"]) == (None, 4)
    assert without["model"] == remembering["model"] == "lite0-camvid"
    assert remembering["flip_rate"] < 0.9 * without["flip_rate"]


def test_eval(camvid: Path, tmp_path: Path) -> None:
    def figures(*memory: str) -> dict[str, Any]:
        command = f"eval --root {camvid} --model lite0-camvid --runtime torch --flow none --quiet"
        assert main([*shlex.split(command), *memory, "--json", str(tmp_path / "eval.json")]) == DONE
        found: dict[str, Any] = json.loads((tmp_path / "eval.json").read_text())
        return found

    without, remembering = figures(), figures("--memory", "4")
    assert (without["memory"], remembering["memory"]) == (None, 4)
    assert remembering["flip_rate"] < without["flip_rate"]
    assert remembering["miou"] == pytest.approx(without["miou"], abs=3)
    assert len(remembering["flip_rate_by_phase"]) == 4


def test_bench_and_compare(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--runtime torch --size 120x160 --frames 4 --memory 3"
    json_file = tmp_path / "bench.json"
    assert main(shlex.split(f"bench --model lite0s-camvid {options} --json {json_file}")) == DONE
    figures = json.loads(json_file.read_text())
    assert figures["state_mb"] > 0
    assert figures["memory"] == 3
    assert "memory of 3 frames" in capsys.readouterr().out
    page = tmp_path / "report.html"
    assert main(shlex.split(f"compare lite0s-camvid lite0-camvid {clip} -o {page} {options}")) == DONE
    assert "4 frames" in capsys.readouterr().out
    assert page.read_text().count("memory of 3 frames") == 2


@pytest.mark.parametrize(
    ("model", "memory", "message"),
    [
        ("td6-lite0s-camvid", "0", "without a memory"),
        ("td6-lite0s-camvid", "4", "which has one of its own"),
        ("lite0s-camvid", "1", "2 … 16; 0 is none"),
        ("lite0s-camvid", "17", "2 … 16; 0 is none"),
        ("lite0s-camvid", "-3", "2 … 16; 0 is none"),
        ("lite0s-camvid", "x", "--memory"),
    ],
)
def test_refused(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, memory: str, message: str
) -> None:
    command = ["segment", str(clip), "-o", str(tmp_path / "out"), "--model", model, "--runtime", "torch"]
    assert main([*command, f"--memory={memory}"]) == REFUSED
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()
