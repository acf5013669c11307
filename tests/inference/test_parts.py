"""Parts of a result: made from anywhere, in any order, by any number of processes, after any kill, they join to one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
import pytest

from support.results import assert_equal, clip
from support.small import moving_frames, small_model
from support.videos import make_clip
from tdseg.errors import OutputError
from tdseg.inference import selection
from tdseg.inference.parts import PART_FRAMES
from tdseg.inference.pipeline import segment_to
from tdseg.inference.ready import networks
from tdseg.inference.recording import Recording, asked_of
from tdseg.inference.selection import Order
from tdseg.inference.span import Span
from tdseg.runtime.network import Execution
from tdseg.video import Excerpt
from tdseg.video.reconnecting import open_lasting

ALL = ("masks", "overlay", "video", "csv", "rle", "npz", "matte")
CLASSES = ("Road", "Sky", "Car")
OPTIONS: dict[str, Any] = {"write": ALL, "classes": CLASSES}


def make(
    source: Path, output: Path, spans: list[Span], *, most: int = PART_FRAMES, finish: bool = True, **options: Any
) -> None:
    """Make spans of a video and, if it is to be finished, what is missing then."""
    order, model = Order(write=ALL, classes=CLASSES, **options), small_model()
    with (
        networks(model, None, None, Execution()) as ready_for,
        Recording(source, output, order, asked_of(model, None, None)) as made,
    ):
        made.missing(most)
        for span in spans:
            made.make(span, ready_for, None)
        while finish and (missing := made.missing(most)):
            for span in missing:
                made.make(span, ready_for, None)
        if finish:
            made.finish()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip and, beside it, its result in one pass."""
    folder = tmp_path_factory.mktemp("whole")
    segment_to(clip(folder / "clip.mp4"), folder / "result", model=small_model(), **OPTIONS)
    return folder


@pytest.mark.parametrize(
    "spans",
    [
        [Span(0, 32), Span(32, 64), Span(64, None)],
        [Span(64, None), Span(0, 64)],
        [Span(32, 64), Span(32, 64), Span(64, None)],
    ],
)
def test_spans_in_any_order_join_to_the_result_of_one_pass(whole: Path, tmp_path: Path, spans: list[Span]) -> None:
    make(whole / "clip.mp4", tmp_path, spans)
    assert_equal(whole / "result", tmp_path)
    with av.open(str(tmp_path / "overlay.mp4")) as video:
        times = [float(frame.pts * frame.time_base) for frame in video.decode(video=0)]  # type: ignore[operator]
        assert times == pytest.approx([index / 10 for index in range(73)])
        assert float(video.streams.audio[0].duration * video.streams.audio[0].time_base) > 7  # type: ignore[operator]


@pytest.mark.parametrize("spans", [[Span(0, 32)], [Span(32, 64)], [Span(0, 32), Span(64, None)]])
def test_an_interrupted_run_goes_on(whole: Path, tmp_path: Path, spans: list[Span]) -> None:
    make(whole / "clip.mp4", tmp_path, spans, finish=False)
    with pytest.raises(OutputError, match=r"interrupted run of \d+ frames[\s\S]*--resume"):
        segment_to(whole / "clip.mp4", tmp_path, model=small_model(), **OPTIONS)
    with pytest.raises(OutputError, match=r"another run: classes \['Road', 'Sky', 'Car'\], now \['Road'\]"):
        segment_to(whole / "clip.mp4", tmp_path, model=small_model(), write=ALL, classes=("Road",), resume=True)
    summary = segment_to(whole / "clip.mp4", tmp_path, model=small_model(), resume=True, **OPTIONS)
    assert_equal(whole / "result", tmp_path)
    assert summary.resumed_at == (32 if spans[0].first == 0 else None)
    again = segment_to(whole / "clip.mp4", tmp_path, model=small_model(), resume=True, **OPTIONS)
    assert again.wall_s == summary.wall_s  # it was finished


@pytest.mark.parametrize(
    "options",
    [
        {"stills": True},
        {"excerpt": Excerpt(start=0.25, end=6.95)},
        {"excerpt": Excerpt(start=0.3, every=2)},
        {"names": "index"},
    ],
)
@pytest.mark.parametrize("is_video", [True, False])
def test_parts_of_excerpts_photos_and_frames_of_two_sizes(
    tmp_path: Path, is_video: bool, options: dict[str, Any]
) -> None:
    source = clip(tmp_path / "clip.mp4", 75) if is_video else clip(tmp_path / "frames", 75, change=50)
    segment_to(source, tmp_path / "one", model=small_model(), **OPTIONS, **options)
    make(source, tmp_path / "other", [], **options)
    assert_equal(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("damage", ["cut", "hole", "image"])
def test_a_damaged_source_has_the_result_of_one_pass(tmp_path: Path, damage: str) -> None:
    """Its frames are other ones than its index lets expect."""
    source = clip(tmp_path / "frames", 100, change=100) if damage == "image" else tmp_path / "clip.mp4"
    if damage == "image":
        (source / "0040.png").write_bytes((source / "0040.png").read_bytes()[:60])
    else:
        make_clip(source, moving_frames(100), fps=10, options={"g": "1"}, muxer={"movflags": "faststart"})
        data = bytearray(source.read_bytes())
        data = data[: len(data) * 3 // 5] if damage == "cut" else data
        if damage == "hole":
            data[len(data) // 2 : len(data) // 2 + 9000] = bytes(9000)
        source.write_bytes(data)
    one = segment_to(source, tmp_path / "one", model=small_model(), **OPTIONS)
    make(source, tmp_path / "other", [])
    assert one.problem
    assert_equal(tmp_path / "one", tmp_path / "other")


def test_an_interrupt_keeps_or_publishes(whole: Path, tmp_path: Path) -> None:
    def interrupt(done: int, _: int | None) -> None:
        if done == 40:
            raise KeyboardInterrupt

    both: list[tuple[str, dict[str, Any]]] = [("a", {"resume": True}), ("b", {"overwrite": True})]
    for name, options in both:
        path = tmp_path / name
        if "overwrite" in options:
            segment_to(whole / "clip.mp4", path, model=small_model(), **OPTIONS)  # whole, and stays
        with pytest.raises(KeyboardInterrupt, match=r"4\d frames are kept in .*--resume goes on"):
            segment_to(whole / "clip.mp4", path, model=small_model(), on_progress=interrupt, **OPTIONS, **options)
        segment_to(whole / "clip.mp4", path, model=small_model(), resume=True, **OPTIONS)
        assert_equal(whole / "result", path)


def test_a_live_source_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip(tmp_path / "clip.mkv", 40)
    make(source, tmp_path / "out", [Span(0, 32)], finish=False)

    def live(*args: Any, **options: Any) -> Any:
        reader = open_lasting(*args, **options)
        reader.info = dataclasses.replace(reader.info, num_frames=None)
        return reader

    monkeypatch.setattr(selection, "open_lasting", live)
    with pytest.raises(OutputError, match=r"clip\.mkv, a live source, cannot go on"):
        segment_to(source, tmp_path / "out", model=small_model(), resume=True, **OPTIONS)


def test_parts_of_networks_that_ran_differently_are_not_joined(whole: Path, tmp_path: Path) -> None:
    make(whole / "clip.mp4", tmp_path, [Span(0, 32)], finish=False)
    record = tmp_path / ".partial/parts/000000/part.json"
    record.write_text(record.read_text().replace('"precision":"fp32"', '"precision":"int8"'))
    with pytest.raises(OutputError, match=r"ran in torch int8 at 64x96, others in torch fp32"):
        segment_to(whole / "clip.mp4", tmp_path, model=small_model(), resume=True, **OPTIONS)


def test_a_video_without_an_index_goes_on_by_counting(tmp_path: Path) -> None:
    source = clip(tmp_path / "clip.ts")
    segment_to(source, tmp_path / "one", model=small_model(), **OPTIONS)
    make(source, tmp_path / "other", [Span(0, 32)], finish=False)
    segment_to(source, tmp_path / "other", model=small_model(), resume=True, **OPTIONS)
    assert_equal(tmp_path / "one", tmp_path / "other")
