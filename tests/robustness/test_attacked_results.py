"""Results under attack: kills while they are published, two runs into one folder, files of others. A few of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")
pytest.importorskip("onnxscript", reason="exports need the extra 'export'")

from robustness.kills import kill_runs
from robustness.layouts import overwrite_all
from robustness.pairs import WAYS, run_pairs
from robustness.planted import LAYOUTS
from robustness.victims import MODULES
from support.forked import Forked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    with Forked(tmp_path_factory.mktemp("forked"), MODULES) as process:
        yield process


@pytest.mark.parametrize(("victim", "numbers"), [("segment", 6), ("train", 5), ("steady", 6), ("steady-file", 2)])
def test_kills(victim: str, numbers: int, materials: Path, tmp_path: Path, forked: Forked) -> None:
    """All, and exports: PYTHONPATH=tests python -m robustness kills."""
    wrong = [one for one in kill_runs([victim], [*range(numbers)], 1, materials, tmp_path, forked) if one.fault]
    assert not wrong, "\n\n".join(f"{one.fault} {one}: {one.found}\n{one.told[-800:]}" for one in wrong)


@pytest.mark.parametrize("way", WAYS)
def test_pairs(way: str, materials: Path, tmp_path: Path, forked: Forked) -> None:
    """All: PYTHONPATH=tests python -m robustness pairs."""
    with Forked(tmp_path / "forked", MODULES[:1]) as other:
        pairs = [*run_pairs([way], [4, 11, 24, 198], 200, materials, tmp_path, (forked, other))]
    wrong = [pair for pair in pairs if pair.fault]
    assert not wrong, "\n\n".join(f"{pair.fault} {pair}: {pair.holds}\n{pair.told[-800:]}" for pair in wrong)


def test_layouts(materials: Path, tmp_path: Path, forked: Forked) -> None:
    """All, and exports: PYTHONPATH=tests python -m robustness layouts."""
    ends = [*overwrite_all([*LAYOUTS], ["segment", "steady", "steady-file"], materials, tmp_path, forked)]
    wrong = [one for one in ends if one.fault]
    assert not wrong, "\n\n".join(
        f"{one.fault} {one.layout}, {one.kind}: {one.lost}\n{one.told[-800:]}" for one in wrong
    )
