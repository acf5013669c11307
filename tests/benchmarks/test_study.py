from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from support.places import ROOT

pytest.importorskip("lightning", reason="training needs: pip install 'tdseg[train]'")

from support.small import SIZE, small_model
from tdseg.models.tdnet import TDNet

BENCHMARKS = ROOT / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("study", "study_page", "study_charts"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("study")


def test_every_row_can_be_run(study: ModuleType) -> None:
    for name, row in study.ROWS.items():
        if isinstance(row, study.RecipeRow):
            for full in (False, True):
                recipe = study.recipe_of(row, Path("camvid"), "lite0-camvid", 3, full=full)
                assert recipe.seed == 3
                assert recipe.freeze_subnet == (not full and row.fields.get("freeze_subnet", True))
        elif row.weights:
            assert isinstance(study.ROWS[row.weights], study.RecipeRow), name
        else:
            assert name == f"untrained-td{row.overrides['paths']}"


def test_rows_that_forget(study: ModuleType) -> None:
    """Each frame is the first of a video; or, with all paths on every frame, comes after itself by the others."""
    config = small_model().config
    kinds = (TDNet, study.ForgetfulTDNet, study.WholeTDNet)
    model, forgetful, whole = (kind(config).eval() for kind in kinds)
    for one in (model, forgetful, whole):
        one.load_state_dict(small_model().state_dict())
    states = [forgetful.initial_state(1), whole.initial_state(1)]
    with torch.inference_mode():
        for t, frame in enumerate(torch.randn(3, 1, 3, *SIZE), 1):
            alone, states[0] = forgetful.step(frame, states[0])
            assert torch.equal(alone, model.step(frame, model.initial_state(t))[0])
            ensemble, states[1] = whole.step(frame, states[1])
            still = frame[:, None].expand(1, 4, *frame.shape[1:])
            expected = model.forward_clip(still, model.initial_state((t + 1) % 4), "last").logits[:, 0]
            torch.testing.assert_close(ensemble, expected)
            assert [state.path for state in states] == [(t + 1) % 4] * 2
    costs = [study.multiply_adds(one) for one in (forgetful, model, whole)]
    assert costs == sorted(costs)
    assert costs[0] < costs[1] < 0.5 * costs[2]


def results() -> dict[str, dict[str, Any]]:
    figures = {"tc": 84.0, "flip_rate": 0.04, "flip_rate_by_phase": [0.03, 0.05], "flow_flip_rate": 0.4}
    counts = {"parameters": 3.2, "multiply_adds": 1.5}
    return {
        f"{name}-{seed}": {"miou": 71.0 + 2 * seed, "per_path": [71.0], **figures, **counts}
        for name, seed in (("twin", 0), ("twin", 1), ("untrained-td2", 0), ("independent", 0))
    }


def test_the_table_has_the_mean_and_spread_of_seeds(study: ModuleType) -> None:
    titles = {name: row.title for name, row in study.ROWS.items()}
    lines = study.study_page.table(results(), titles).splitlines()
    assert len(lines) == 5
    twin = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert twin[:9] == [
        "`twin`", titles["twin"], "2", "72.00 ± 1.41", "", "84.00", "4.00%", "3.0%–5.0%", "0.400"
    ]  # fmt: skip


def test_the_page_gets_its_table_and_pictures(study: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    before = (
        "| | mIoU | TC |\n| `lite0-camvid` | 72.29 | 84.04 |\n"
        "| `lite0-camvid`, logits smoothed, a < 1 | 69.9 | 87.9 |\n"
        "| labels | 100.00 | 89.19 |\n<!-- study -->\nold\n<!-- /study -->\n"
    )
    page.write_text(before)
    titles = {name: row.title for name, row in study.ROWS.items()}
    study.study_page.show(results(), titles, page)
    assert page.read_text() == before.replace("old\n", study.study_page.table(results(), titles))
    texts = {text.text for text in ElementTree.parse(tmp_path / "study.svg").iter(f"{SVG}text")}
    assert {"lite0", "logits smoothed, a < 1", "twin", "untrained-td2", "independent"} <= texts
    assert "labels" not in texts
    assert len(list(ElementTree.parse(tmp_path / "study-memory.svg").iter(f"{SVG}circle"))) == 2 + 2 * 2  # key, points


def test_names_in_a_crowd_do_not_overlap(study: ModuleType) -> None:
    charts = importlib.import_module("study_charts")
    points = [(300.0 + 9 * (i % 5), 200.0 + 7 * (i // 5)) for i in range(25)]
    frame = charts.Box(0, 0, 640, 480)
    boxes = charts.places([f"a-name-of-{i}" for i in range(25)], points, frame)
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].meets(pair[1])]
    for box in boxes:
        assert box.left >= 0
        assert box.right <= 640
        assert not [point for point in points if box.meets(charts.Box(*point, *point))]
