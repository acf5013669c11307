from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.places import CAMVID, CLIPS
from tdseg.inference.cuts import SHAPE, is_cut, thumbnail
from tdseg.street import render_street
from tdseg.video import open_video
from tdseg.video.pictures import RGB, read_image

SIZE, SEEDS = (180, 240), range(60, 65)


@pytest.fixture(scope="module")
def streets() -> dict[int, list[RGB]]:
    return {seed: [frame.image for frame in render_street(seed, num_frames=8, size=SIZE)] for seed in SEEDS}


def cuts(frames: list[RGB]) -> list[int]:
    """The frames that are cuts."""
    return [index for index, pair in enumerate(pairwise(map(thumbnail, frames)), 1) if is_cut(*pair)]


def lit(frame: RGB, gain: float, offset: float | NDArray[np.floating] = 0.0) -> RGB:
    lighter: RGB = np.clip(frame * np.float32(gain) + offset, 0, 255).astype(np.uint8)
    return lighter


def moved(frame: RGB, down: int, across: int) -> RGB:
    """A part of the frame, off its middle by so many pixels, at most a tenth of its sides."""
    height, width = SIZE[0] // 10, SIZE[1] // 10
    return frame[height + down : SIZE[0] - height + down, width + across : SIZE[1] - width + across]


def test_every_join_is_found_and_nothing_else(streets: dict[int, list[RGB]]) -> None:
    for one, other in product(SEEDS, SEEDS):
        if one != other:
            assert cuts(streets[one] + streets[other]) == [8], (one, other)


def test_two_frames_are_enough(streets: dict[int, list[RGB]]) -> None:
    before, now = thumbnail(streets[60][0]), thumbnail(streets[61][0])
    assert before.shape == (*SHAPE, 3)
    assert before.dtype == np.uint8
    assert is_cut(before, now)
    assert is_cut(now, before)
    assert not is_cut(now, now)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_happens_within_a_scene_is_no_cut(streets: dict[int, list[RGB]], seed: int) -> None:
    clip, other = streets[seed], streets[SEEDS[(seed + 1) % len(SEEDS)]]
    rng = np.random.default_rng(seed)
    shaken = [moved(f, *rng.integers((-14, -19), (15, 20))) for f in clip]
    flashes = [[lit(f, *light) if i % 3 == 1 else f for i, f in enumerate(clip)] for light in ((2.2,), (0.45, 140))]
    clips = {
        "fast": clip[::3],
        "backwards": clip[::-1],
        "shaken": shaken,
        "brighter": flashes[0],
        "white": flashes[1],
        "darker": [lit(f, 0.35 if i % 3 == 1 else 1) for i, f in enumerate(clip)],
        "to black": [lit(f, abs(i - 4) / 4) for i, f in enumerate(clip)],
        "dissolved": [
            lit(a, 1 - w, w * b.astype(float)) for a, b, w in zip(clip, other, np.linspace(0, 1, 8), strict=True)
        ],
        "noisy": [lit(f, 1, rng.normal(0, 15, f.shape)) for f in clip],
        "still": [clip[0]] * 2,
    }
    assert {name: found for name, frames in clips.items() if (found := cuts(frames))} == {}


def test_a_camera_that_turns_fast_is_no_cut(streets: dict[int, list[RGB]]) -> None:
    wide = np.asarray(Image.fromarray(streets[62][0]).resize((960, 540), Image.Resampling.BICUBIC))
    assert cuts([wide[150:330, x : x + 240] for x in range(0, 720, 29)]) == []


def test_frames_of_one_colour_are_no_scene(streets: dict[int, list[RGB]]) -> None:
    for value in (0, 128, 255):
        flat = np.full((*SIZE, 3), value, np.uint8)
        assert cuts([streets[60][0], flat, flat, streets[61][0]]) == []


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (36, 48), (1081, 1919)])
def test_any_size(size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    small = thumbnail(frame)
    assert small.shape == (*SHAPE, 3)
    assert not is_cut(small, thumbnail(frame[::-1][::-1]))  # of any layout in memory
    if size == (1081, 1919):
        assert abs(small.mean() - 127.5) < 2


@pytest.mark.skipif(not CLIPS.exists(), reason="needs the dashcam clips beside the project")
def test_real_clips_have_no_cuts_and_are_cut_where_they_meet() -> None:
    clips = []
    for path in sorted(CLIPS.glob("*.mp4")):
        with open_video(path) as reader:
            clips.append([frame.image for frame in reader])
    assert len(clips) == 2
    assert cuts(clips[0] + clips[1]) == [len(clips[0])]


@pytest.mark.skipif(not CAMVID.exists(), reason="needs CamVid in data/camvid")
def test_camvid_val_has_no_cuts() -> None:
    assert cuts([read_image(path) for path in sorted((CAMVID / "images" / "val").iterdir())]) == []
