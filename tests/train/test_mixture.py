from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")

from support.fabricate import parse, write_camvid
from tdseg.data.clip import Clip
from tdseg.data.source import Source
from tdseg.errors import DataError
from tdseg.train.mixture import Mixture
from tdseg.train.supply import Problems, supplies


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("camvid"))


def mixture(camvid: Path, seed: int = 0, cache: Any = "memory", room: int | None = None) -> Mixture:
    sources = [
        Source.parse({"data": "camvid", "root": camvid, "length": length, "weight": weight}, where="test")
        for length, weight in ((1, 3), (3, 1))
    ]
    return Mixture(tuple(sources), seed, cache, room=room)


def clip(data: Mixture, number: int) -> Clip:
    drawn = data[number].clip
    assert drawn is not None
    return drawn


def test_a_clip_is_a_function_of_seed_and_number(camvid: Path) -> None:
    """Whatever was drawn before it, and whatever is kept."""
    forward, backward, small = mixture(camvid), mixture(camvid, cache="none"), mixture(camvid, room=100_000)
    there = {number: (forward[number].seed, clip(forward, number).frames) for number in range(12)}
    for number, (seed, frames) in reversed(there.items()):
        for data in (backward, small, forward):
            assert data[number].seed == seed
            assert torch.equal(clip(data, number).frames, frames)
    assert len({seed for seed, _ in there.values()}) == len(there)
    assert mixture(camvid, seed=1)[0].seed != there[0][0]


def test_an_epoch_has_every_clip_once(camvid: Path) -> None:
    data = mixture(camvid)
    clips = [clip(data, number) for number in range(48)]
    for length, count in ((1, 6), (3, 4)):
        drawn = [one.frames.float().mean().item() for one in clips if len(one.frames) == length]
        assert len(drawn) > 2 * count
        epochs = [drawn[first : first + count] for first in range(0, len(drawn) - count + 1, count)]
        assert len(set(epochs[0])) == count
        assert all(set(epoch) == set(epochs[0]) for epoch in epochs)


def test_what_is_kept_has_room(camvid: Path) -> None:
    """Two stills of 90 x 120, and nothing once there is none for the next."""
    data = mixture(camvid, room=100_000)
    draws = [data[number] for number in range(64)]
    assert not draws[0].full
    assert draws[-1].full
    size = sum(x.nbytes for kept in data._kept.values() for x in kept)
    assert 43_200 <= size <= 100_000
    plenty = mixture(camvid)
    assert not any(plenty[number].full for number in range(64))


@pytest.mark.parametrize("workers", [0, 2])
def test_that_there_is_no_room_is_said_once(camvid: Path, values: dict[str, Any], workers: int) -> None:
    recipe = parse(values | {"workers": workers})
    warnings: list[str] = []
    data = Mixture(recipe.sources, 0, room=50_000)
    steps = list(supplies(recipe, data, (96, 128), range(recipe.batch), 0, torch.device("cpu"), warnings.append))
    assert len(steps) == recipe.steps
    (warning,) = warnings
    assert warning.startswith("decoded clips fill the 0 MiB")


def test_a_clip_that_cannot_be_read_is_replaced_by_the_next(tmp_path: Path) -> None:
    root = write_camvid(tmp_path)
    source = Source.parse({"data": "camvid", "root": root}, where="test")
    whole = Mixture((source,), 0)
    frames = [clip(whole, number).frames for number in range(13)]
    bad = next(image for image in (root / "images" / "train").iterdir() if _shows(image, frames[3]))
    bad.write_bytes(b"")
    drawn = Mixture((source,), 0)[3]
    assert drawn.clip is not None
    assert bad.name in drawn.problems[0]
    assert torch.equal(drawn.clip.frames, frames[4])


def _shows(image: Path, frames: torch.Tensor) -> bool:
    return np.array_equal(np.asarray(Image.open(image)), frames[0].permute(1, 2, 0).numpy())


def test_class_shares_are_those_of_the_pixels(camvid: Path) -> None:
    source = Source.parse({"data": "camvid", "root": camvid}, where="test")
    data = Mixture((source,), 0)
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
