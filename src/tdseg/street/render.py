"""Driving-like street video, drawn by a seeded generator, with the exact class of every pixel.

Everything is painted from back to front with words that hold colour and label together (`texture`), so labels
fit the picture to the pixel and have no blended edges. Only the finished colours are blurred and get noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tdseg.errors import ConfigError
from tdseg.street.backdrop import Ground, Sky
from tdseg.street.camera import Ego, Sensor
from tdseg.street.draws import Draws
from tdseg.street.plan import Light, Plan
from tdseg.street.raster import Canvas
from tdseg.street.scene import Scene
from tdseg.street.texture import Bytes

MIN_SIDE, MAX_SIDE, MAX_FRAMES = 32, 4096, 1_000_000_000


class StreetFrame(NamedTuple):
    """One frame of a synthetic street.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        label: uint8 (H, W), CamVid's classes: 0 Sky, 1 Building, 2 Pole, 3 Road (with its marks), 4 Pavement, 5 Tree
            (with hedges and grass), 6 SignSymbol, 7 Fence, 8 Car, 9 Pedestrian, 10 Bicyclist. Every pixel has a class.
    """

    image: Bytes
    label: Bytes


def render_street(
    seed: int = 0, *, num_frames: int = 120, size: tuple[int, int] = (360, 480), fps: float = 15.0
) -> Iterator[StreetFrame]:
    """Drive down the street of a seed.

    The same arguments give the same bytes, and a longer video begins like a shorter one.

    Args:
        seed: of layout, light, traffic and camera; at least 0.
        num_frames: at least 1; memory does not depend on it.
        size: (height, width) in pixels, each 32 to 4096.
        fps: frames per second of the street's time, above 0.

    Raises:
        ConfigError: an argument is out of range; raised by the call, not by the first frame.
    """
    _check(seed, num_frames, size, fps)
    return _render(seed, num_frames, size, fps)


def _check(seed: int, num_frames: int, size: tuple[int, int], fps: float) -> None:
    if seed < 0:
        raise ConfigError(f"seed {seed}", expected="an integer of at least 0", do="choose another seed")
    if not 1 <= num_frames <= MAX_FRAMES:
        raise ConfigError(
            f"num_frames {num_frames}", expected=f"1 … {MAX_FRAMES}", do="ask for another number of frames"
        )
    if len(size) != 2 or not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
        expected = f"(height, width), each from {MIN_SIDE} to {MAX_SIDE}"
        raise ConfigError(f"size {size}", expected=expected, do="for example size=(360, 480)")
    if not 0 < fps < float("inf"):
        raise ConfigError(f"fps {fps}", expected="a number above 0", do="for example fps=15.0")


def _render(seed: int, num_frames: int, size: tuple[int, int], fps: float) -> Iterator[StreetFrame]:
    layout, motion, noise = Draws(np.random.PCG64(seed)).streams(3)
    light, plan = Light(layout), Plan(layout)
    ground, scene = Ground(layout, plan, light), Scene(layout, plan, light)
    sky = Sky(motion, light, size)
    ego, sensor = Ego(motion, plan, size), Sensor(noise, light, size)
    canvas = Canvas(size)
    for index in range(num_frames):
        view = ego.look(index / fps, 1 / fps)
        sky.paint(canvas.words, view)
        ground.paint(canvas.words, view)
        scene.paint(canvas, view, sky.haze)
        yield StreetFrame(sensor.expose(canvas.colours(), view), canvas.labels())
