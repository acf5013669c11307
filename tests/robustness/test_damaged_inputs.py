"""Damaged and hostile inputs through the command: whatever they are, it answers, and in bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")
pytest.importorskip("onnxscript", reason="exports need the extra 'export'")

from robustness.cases import KINDS, Case, cases
from robustness.running import run_cases

KEPT = (
    "checkpoint:18:2",
    "checkpoint:2:1",
    "checkpoint:8:1",
    "description:3:2",
    "field:2:1",
    "field:6:2",
    "field:8:2",
    "flag:5:1",
    "flag:7:1",
    "foreign:7:2",
    "manifest:118:3",
    "picture:18:2",
    "recipe:17:2",
    "recipe:5:1",
    "time:7:1",
)
"""Cases that once ended in a traceback, a crash, or with a message or memory beyond bounds."""


def check(chosen: list[Case], materials: Path, place: Path) -> None:
    wrong = [finding for finding in run_cases(chosen, materials, place) if finding.fault]
    told = [f"{one.fault} {one.case} ({one.code}): {' '.join(one.command)[:300]}\n{one.told[-800:]}" for one in wrong]
    assert not wrong, "\n\n".join([f"{len(wrong)} of {len(chosen)} cases", *told])


def test_kept_cases_and_one_of_each_kind(materials: Path, tmp_path: Path) -> None:
    check([*map(Case.of, KEPT), *cases(len(KINDS), [0])], materials, tmp_path)


@pytest.mark.slow
def test_new_cases(materials: Path, tmp_path: Path) -> None:
    """Thousands, and other seeds: PYTHONPATH=tests python -m robustness --cases 2000 --seeds 1 2."""
    check(cases(20 * len(KINDS), [11, 12]), materials, tmp_path)
