from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning", reason="training needs: pip install 'tdseg[train]'")

from support.fabricate import write_camvid
from tdseg.data.source import Source
from tdseg.errors import DataError
from tdseg.train.mixture import Mixture
from tdseg.train.supply import Problems


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("camvid"))


def mixture(camvid: Path, seed: int = 0, cache: Any = "memory", weights: tuple[float, float] = (3, 1)) -> Mixture:
    sources = [
        Source.parse({"data": "camvid", "root": camvid, "length": length, "weight": weight}, where="test")
        for length, weight in zip((1, 3), weights, strict=True)
    ]
    return Mixture(tuple(sources), seed, cache)


def test_a_clip_is_a_function_of_seed_step_and_place(camvid: Path) -> None:
    """Whatever was drawn before it, and whatever is kept."""
    forward, backward = mixture(camvid), mixture(camvid, cache="none")
    there = {(step, place): forward[step, place] for step in range(4) for place in range(3)}
    for step, place in reversed(there):
        drawn, expected = backward[step, place], there[step, place]
        assert drawn.seed == expected.seed
        assert drawn.clip is not None
        assert expected.clip is not None
        assert torch.equal(drawn.clip.frames, expected.clip.frames)
    assert len({drawn.seed for drawn in there.values()}) == len(there)
    assert mixture(camvid, seed=1)[0, 0].seed != there[0, 0].seed


def test_sources_are_drawn_by_weight(camvid: Path) -> None:
    data = mixture(camvid)
    clips = [data[0, place].clip for place in range(400)]
    lengths = Counter(len(clip.frames) for clip in clips if clip is not None)
    assert 260 < lengths[1] < 340
    assert lengths[1] + lengths[3] == 400


def test_class_shares_are_those_of_the_pixels(camvid: Path) -> None:
    data = mixture(camvid, weights=(1, 1e-9))
    counts = sum(torch.bincount(data.datasets[0][i].labels.flatten(), minlength=11).float() for i in range(6))
    assert isinstance(counts, torch.Tensor)
    torch.testing.assert_close(data.class_shares(), counts / counts.sum(), atol=1e-6, rtol=1e-5)


def test_few_bad_draws_are_survived_and_many_are_not() -> None:
    warnings: list[str] = []
    problems = Problems(warnings.append)
    for _ in range(10):
        problems.add(["a.png"], 8)
    assert len(warnings) == 1
    with pytest.raises(DataError, match=r"11 draws that cannot be read: a\.png"):
        problems.add(["a.png"], 8)
    many = Problems(warnings.append)
    for _ in range(50):
        many.add(["b.png"], 200)  # 0.5 %
