from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import tdseg
from support.fabricate import write_camvid
from support.places import ROOT
from tdseg.config import FrameView

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def consensus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "consensus", raising=False)
    return importlib.import_module("consensus")


def test_every_row_can_be_made(consensus: ModuleType) -> None:
    networks = {name: tdseg.load(name) for name in (consensus.LITE0, consensus.LITE0S)}
    networks[consensus.SECOND] = networks[consensus.LITE0]
    assert len({row.cells for row in consensus.ROWS}) == len(consensus.ROWS)
    for row in consensus.ROWS:
        config = consensus.Streamed(row, networks, (96, 128)).model.config
        assert (config.paths, config.motion, config.views) == (max(row.window, 2), row.source, row.views)
        assert config.weight_sets == len(row.networks)


def test_a_row_is_what_the_package_does(consensus: ModuleType) -> None:
    """What was encoded for another row is the row's own; a window of 1 is the network by itself, in turn."""
    model = tdseg.load("lite0s-camvid")
    views = (FrameView(zoom=1.25), FrameView())
    row = consensus.Row(("lite0s-camvid",), 2, views)
    rows = [row, row._replace(window=1), row._replace(window=1, views=())]
    streams = [consensus.Streamed(one, {"lite0s-camvid": model}, (64, 96)) for one in rows]
    remembering, plain = tdseg.add_memory(model, frames=2, views=views).fuse(), model.fuse()
    state = None
    with torch.inference_mode():
        for t, x in enumerate(torch.randn(3, 1, 3, 64, 96)):
            known: dict[object, object] = {}
            scores = [stream(x, known) for stream in streams]
            expected, state = remembering.step(x, state)
            alone = remembering.step(x, remembering.initial_state(t % 2))[0]
            for one, other in zip(scores, (expected, alone, plain.step(x)[0]), strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
            assert len(known) == 2 - t % 2


@pytest.mark.slow
def test_the_page_gets_its_table(
    consensus: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(consensus, "APART", (1, 2))
    monkeypatch.setattr(consensus, "ROWS", tuple(row for row in consensus.ROWS if row.window <= 2))
    page = tmp_path / "results.md"
    page.write_text("before\n<!-- consensus -->\nold\n<!-- /consensus -->\nafter\n")
    root = write_camvid(tmp_path / "camvid")
    monkeypatch.setattr(sys, "argv", ["consensus.py", "--root", str(root), "--output", str(page)])
    consensus.main()
    first, opening, *table, closing, last = page.read_text().splitlines()
    assert (first, opening, closing, last) == ("before", "<!-- consensus -->", "<!-- /consensus -->", "after")
    assert "\n".join(table) in capsys.readouterr().out
    count = 2 + sum(consensus.SECOND not in row.networks for row in consensus.ROWS)
    assert {line.count("|") for line in table[:count]} == {4 + len(consensus.COLUMNS)}
    assert table[count] == ""
    assert [line.split(" | ")[0] for line in table[count + 1 :]] == ["| frames per second", "| ---", "| 30", "| 15"]
