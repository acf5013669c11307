from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

from tdseg.errors import ConfigError
from tdseg.street import StreetFrame, render_street
from tdseg.street.camera import View
from tdseg.street.raster import Canvas
from tdseg.street.texture import NOTHING, Label, Texture


def clip(seed: int, num_frames: int = 3, **options: Any) -> list[StreetFrame]:
    return list(render_street(seed, num_frames=num_frames, **options))


def test_the_same_arguments_give_the_same_bytes() -> None:
    for one, other in zip(clip(7, size=(90, 120)), clip(7, size=(90, 120)), strict=True):
        assert one.image.tobytes() == other.image.tobytes()
        assert one.label.tobytes() == other.label.tobytes()


def test_a_longer_video_begins_like_a_shorter_one() -> None:
    short, long = clip(4, 2, size=(60, 80)), clip(4, 5, size=(60, 80))
    assert all((a.image == b.image).all() and (a.label == b.label).all() for a, b in zip(short, long, strict=False))


def test_seeds_differ() -> None:
    first, second = (clip(seed, 1, size=(90, 120))[0] for seed in (1, 2))
    assert (first.label != second.label).mean() > 0.1
    assert np.abs(first.image.astype(int) - second.image).mean() > 5


@pytest.mark.parametrize("size", [(32, 32), (97, 131), (64, 200), (200, 64), (360, 480)])
def test_any_size(size: tuple[int, int]) -> None:
    frames = clip(3, 2, size=size)
    assert len(frames) == 2
    for image, label in frames:
        assert image.shape == (*size, 3)
        assert label.shape == size
        assert image.dtype == label.dtype == np.uint8
        assert label.max() <= max(Label)
        assert image.std() > 10


def test_every_class_appears() -> None:
    missing = set(Label)
    for seed in range(8):
        for frame in clip(seed, 4, fps=1.0):
            missing -= set(np.unique(frame.label).tolist())
        if not missing:
            return
    raise AssertionError(f"never seen: {missing}")


@pytest.mark.parametrize("seed", [0, 1])
def test_sky_is_above_and_road_below(seed: int) -> None:
    label = clip(seed, 1, size=(180, 240))[0].label
    assert not (label[-45:] == Label.SKY).any()
    assert not (label[:45] == Label.ROAD).any()
    assert (label[-30:] == Label.ROAD).mean() > 0.3


def test_labels_move_smoothly() -> None:
    frames = clip(5, 8)
    changes = [(a.label != b.label).mean() for a, b in pairwise(frames)]
    assert max(changes) < 0.12
    assert min(changes) > 0.001


def test_frames_are_drawn_when_asked_for() -> None:
    assert len(list(islice(render_street(0, num_frames=10**9, size=(40, 40)), 2))) == 2


def test_delivered_frames_are_not_overwritten_by_later_ones() -> None:
    frames = render_street(0, num_frames=3, size=(60, 80))
    first = next(frames)
    image, label = first.image.copy(), first.label.copy()
    list(frames)
    assert (first.image == image).all()
    assert (first.label == label).all()


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"num_frames": 0},
        {"size": (16, 480)},
        {"size": (360, 10_000)},
        {"size": (360, 480, 3)},
        {"fps": 0.0},
        {"fps": float("nan")},
    ],
)
def test_bad_arguments_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        render_street(**options)


VIEW = View(
    focal=100, centre=50, horizon=50, height=1.0, along=0, across=0, heading=0, bends=np.ones((3, 1), np.float32)
)


@pytest.mark.parametrize("depths", [(10.0, 10.0), (10.0, 20.0)])
def test_what_a_quad_colours_it_labels(depths: tuple[float, float]) -> None:
    label = np.full((32, 32), Label.SIGN, np.uint8)
    label[:16, :16] = NOTHING
    canvas = Canvas((100, 100))
    canvas.quad(Texture(np.full((32, 32, 3), 200), label), (-3.0, 3.0), depths, (-1.0, 3.0), VIEW)
    coloured = canvas.colours() != 0
    assert 0 < coloured.mean() < 1
    assert (coloured == (canvas.labels() == Label.SIGN)).all()


def test_gaps_in_a_fence_are_labelled_but_not_coloured() -> None:
    opacity = np.zeros((8, 8), np.float32)
    opacity[:, :4] = 1
    canvas = Canvas((100, 100))
    fence = Texture(np.full((8, 8, 3), 90), np.full((8, 8), Label.FENCE, np.uint8), opacity)
    canvas.quad(fence, (-4.0, 4.0), (10.0, 10.0), (0.0, 2.0), VIEW)
    assert (canvas.labels() == Label.FENCE).sum() == 2 * (canvas.colours() != 0).sum() > 0


def test_thin_and_distant_things_keep_a_pixel() -> None:
    canvas = Canvas((100, 100))
    canvas.quad(Texture.plain((9, 9, 9), Label.POLE), (0.0, 0.01), (50.0, 50.0), (0.0, 8.0), VIEW)
    assert (canvas.labels() == Label.POLE).any(1).sum() == 16
