"""The size of a network's input for frames of any shape."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.small import SIZE, small_model
from support.videos import corners, make_clip
from tdseg.inference.pipeline import segment_to
from tdseg.inference.stream import Stream
from tdseg.runtime.network import same_aspect, size_for
from tdseg.street import render_street
from tdseg.system import installed
from tdseg.zoo.load import load, prepare

PACKAGED = "td6-lite0s-camvid"
OWN = (360, 480)
needs_openvino = pytest.mark.skipif(not installed("openvino"), reason="needs the extra openvino")


@pytest.mark.parametrize(
    ("own", "frame", "expected"),
    [
        (OWN, None, OWN),
        (OWN, (480, 640), OWN),
        (OWN, (1080, 1620), OWN),  # 3:2, 12 % wider
        (OWN, (720, 404), (552, 312)),
        (OWN, (1080, 1920), (312, 552)),
        (OWN, (500, 500), (416, 416)),
        ((1024, 2048), (1080, 1920), (1024, 2048)),
        ((769, 1537), (720, 1280), (769, 1537)),
        (OWN, (4, 4000), (64, 2704)),
        ((64, 64), (9, 90), (64, 64)),
    ],
)
def test_as_many_pixels_in_the_shape_of_the_frames(
    own: tuple[int, int], frame: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    assert size_for(own, frame, 8) == expected


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.sampled_from([8, 32, 64]))
def test_area_and_aspect_are_kept(frame: tuple[int, int], stride: int) -> None:
    height, width = size_for(OWN, frame, stride)
    if same_aspect(OWN, frame):
        assert (height, width) == OWN
        return
    assert height % stride == width % stride == 0
    assert min(height, width) >= 64
    if max(frame) <= 2 * min(frame) and stride == 8:
        assert height * width == pytest.approx(OWN[0] * OWN[1], rel=0.05)
        assert height / width == pytest.approx(frame[0] / frame[1], rel=0.05)
    assert size_for(OWN, frame[::-1], stride) == (width, height) or same_aspect(OWN, frame[::-1])


def test_streams_take_frames_in_their_shape() -> None:
    stream = Stream(small_model())
    assert stream.size == SIZE == (64, 96)
    result = stream.step(corners((300, 200)))
    assert stream.size == size_for(SIZE, (300, 200), 8) == (96, 64)
    assert result.mask.shape == (300, 200)
    assert result.logits.shape[-2:] == (24, 16)
    assert Stream(small_model(), SIZE).step(corners((300, 200))).logits.shape[-2:] == (
        16,
        24,
    )  # what is asked for holds


def test_segment_says_the_size_it_chose(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", [corners((96, 64))] * 3)
    assert segment_to(clip, tmp_path / "o", model=small_model()).size == (96, 64)
    assert segment_to(clip, tmp_path / "p", model=small_model(), size=(64, 96)).size == (64, 96)


@needs_openvino
def test_packaged_graph_takes_any_shape_in_the_same_precision(caplog: pytest.LogCaptureFixture) -> None:
    frame = (720, 404)
    network = prepare(PACKAGED, frame=frame)
    assert (network.runtime, network.precision) == ("openvino", "int8")
    stream, exact = Stream(network), Stream(load(PACKAGED).fuse())
    picture, _ = next(iter(render_street(num_frames=1, size=frame)))
    with caplog.at_level(logging.WARNING, "tdseg"):
        agreement = np.mean(stream.step(picture).mask == exact.step(picture).mask)
    assert stream.size == exact.size == size_for(OWN, frame, 8)
    assert agreement > 0.96
    assert not caplog.text


@needs_openvino
def test_graph_of_one_size_says_once_that_it_squashes(caplog: pytest.LogCaptureFixture) -> None:
    network = load(PACKAGED, runtime="auto")  # for its own size: there is no frame to go by
    with caplog.at_level(logging.WARNING, "tdseg"):
        for _ in range(2):
            assert network.fit_size(None, (300, 200)) == OWN
        network.fit_size(None, (300, 400))
        network.fit_size(OWN, (400, 300))  # it is asked for
    assert caplog.text.count("are squashed to it") == 1
    assert "frames of 300x200" in caplog.text
