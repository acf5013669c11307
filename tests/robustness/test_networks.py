"""Networks that break, through the command: whatever they do, what came is published, and what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="exports need the extra 'export'")
pytest.importorskip("onnxruntime", reason="exports need the extra 'export'")

from robustness.networks import run_ways

SOME = {
    "whole clip.mkv, no length",
    "parts.mp4 ends at 71%",
    "clip.ts is reset",
    "fast.mp4 falls silent",
    "sound ends",
    "a piece is garbage",
    "a camera: silent in a picture",
    "sent to a file",
    "https://127.0.0.1:{port}/silent",
}


@pytest.mark.slow
def test_some_ways_to_break_off(tmp_path: Path) -> None:
    """All of them: PYTHONPATH=tests python -m robustness networks."""
    outcomes = list(run_ways(tmp_path, SOME))
    assert {outcome.name for outcome in outcomes} == SOME
    wrong = [outcome for outcome in outcomes if outcome.fault]
    told = [f"{one.name}: {one.fault}\n{one.told[-800:]}" for one in wrong]
    assert not wrong, "\n\n".join(told)
