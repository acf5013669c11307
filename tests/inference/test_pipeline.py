from __future__ import annotations

import dataclasses
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from support.small import FPS, SIZE, moving_frames, small_model, write_clip
from tdseg.errors import ConfigError, OutputError, VideoError
from tdseg.inference import ready, selection
from tdseg.inference.pipeline import default_output, segment, segment_to
from tdseg.inference.stream import Stream
from tdseg.masks import draw
from tdseg.masks.palette import color_table, read_palette
from tdseg.models.tdnet import TDNet
from tdseg.runtime.network import Execution
from tdseg.video import VideoReader, VideoWriter, open_video


@pytest.fixture(scope="module")
def model() -> TDNet:
    return small_model()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 12)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("tdseg-") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread of the pipeline is still running"
        time.sleep(0.01)


def cut_off(clip: Path, path: Path) -> Path:
    """The clip as Matroska, which plays without its end, without its last third."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    return path


def read_masks(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(file)) for file in sorted((folder / "masks").iterdir())]


def frames_of(video: Path) -> int:
    with open_video(video) as reader:
        return sum(1 for _ in reader)


def test_segment_is_a_stream_over_the_frames(model: TDNet, clip: Path) -> None:
    stream = Stream(model.fuse())
    with open_video(clip) as reader:
        expected = [stream.step(frame.image).mask for frame in reader]
    results = list(segment(clip, model))
    assert [result.index for result in results] == list(range(12))
    assert [result.time_s for result in results] == pytest.approx([index / FPS for index in range(12)])
    np.testing.assert_array_equal([result.mask for result in results], expected)


def test_segment_closed_early_stops(model: TDNet, clip: Path) -> None:
    with closing(segment(clip, model)) as results:  # type: ignore[type-var]
        next(results)


def test_segment_warns_of_a_cut_off_source(model: TDNet, clip: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="cut off"):
        results = list(segment(cut_off(clip, tmp_path / "cut.mkv"), model))
    assert 0 < len(results) < 12


def test_result_folder(model: TDNet, clip: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int | None]] = []
    summary = segment_to(clip, tmp_path, model=model, on_progress=lambda *progress: done.append(progress))
    results = list(segment(clip, model))
    np.testing.assert_array_equal(read_masks(tmp_path), [result.mask for result in results])
    made = sorted(file.name for file in tmp_path.iterdir())
    assert made == ["classes.txt", "legend.png", "masks", "overlay.mp4", "summary.json"]
    assert read_palette(tmp_path / "classes.txt").names == model.config.classes
    assert done == [(count, 12) for count in range(1, 13)]
    with open_video(tmp_path / "overlay.mp4") as reader:
        frames = list(reader)
    assert [frame.time_s for frame in frames] == pytest.approx([index / FPS for index in range(12)], abs=1e-3)
    colors = color_table(model.config.palette)
    shown = draw.overlay(results[-1].frame, results[-1].mask, colors)
    assert np.abs(frames[-1].image.astype(int) - shown.astype(int)).mean() < 16  # as far as compression allows
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written["frames"] == summary.frames == 12
    assert (written["height"], written["width"]) == SIZE
    assert written["complete"] is True
    assert written["problem"] is None
    assert set(written["latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert set(written["class_share"]) == set(model.config.classes)
    assert sum(written["class_share"].values()) == pytest.approx(1, abs=1e-4)
    flips = [np.mean(a.mask != b.mask) for a, b in pairwise(results)]
    assert written["flip_rate"] == pytest.approx(np.mean(flips), abs=1e-5)
    assert written["fps"] == pytest.approx(12 / written["wall_s"], rel=0.05)


@pytest.mark.parametrize(("write", "made"), [(("overlay",), {"overlay.mp4"}), (("masks",), {"masks"}), ((), set())])
def test_only_what_is_asked_for(
    model: TDNet, clip: Path, tmp_path: Path, write: tuple[str, ...], made: set[str]
) -> None:
    segment_to(clip, tmp_path, model=model, write=write)
    beside = {"classes.txt", "legend.png"} if write else set()
    assert {file.name for file in tmp_path.iterdir()} == made | beside | {"summary.json"}


def test_size_change_is_in_the_summary(model: TDNet, tmp_path: Path) -> None:
    source = tmp_path / "frames"
    source.mkdir()
    for index, image in enumerate(moving_frames(3) + moving_frames(2, (80, 128))):
        Image.fromarray(image).save(source / f"{index}.png")
    summary = segment_to(source, tmp_path / "result", model=model)
    assert (summary.frames, summary.size_changes, summary.complete) == (5, 1, True)
    assert [mask.shape for mask in read_masks(tmp_path / "result")] == [SIZE] * 3 + [(80, 128)] * 2
    assert frames_of(tmp_path / "result/overlay.mp4") == 5


def test_cut_off_source_keeps_what_decoded(model: TDNet, clip: Path, tmp_path: Path) -> None:
    summary = segment_to(cut_off(clip, tmp_path / "cut.mkv"), tmp_path / "result", model=model)
    assert not summary.complete
    assert "cut off" in str(summary.problem)
    assert 0 < summary.frames < 12
    assert len(read_masks(tmp_path / "result")) == frames_of(tmp_path / "result/overlay.mp4") == summary.frames


def interrupt_at(count: int) -> Callable[[int, int | None], None]:
    def on_progress(done: int, total: int | None) -> None:
        if done == count:
            raise KeyboardInterrupt

    return on_progress


def test_interrupt_leaves_a_whole_but_incomplete_result(model: TDNet, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="5 frames are in"):
        segment_to(clip, tmp_path, model=model, on_progress=interrupt_at(5))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["frames"], summary["complete"]) == (5, False)
    assert len(read_masks(tmp_path)) == frames_of(tmp_path / "overlay.mp4") == 5
    assert not (tmp_path / ".partial").exists()


def test_interrupt_while_files_are_closed_waits_for_them(
    model: TDNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = VideoWriter.close

    def interrupted_close(writer: VideoWriter) -> None:
        for _ in range(2):  # the impatient
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.1)
        close(writer)

    monkeypatch.setattr(VideoWriter, "close", interrupted_close)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match="12 frames are in"):
            segment_to(clip, tmp_path, model=model)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(read_masks(tmp_path)) == frames_of(tmp_path / "overlay.mp4") == 12
    assert not (tmp_path / ".partial").exists()


def test_full_disk_is_told_and_loses_nothing(
    model: TDNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment_to(clip, tmp_path, model=model, write=("masks",))
    before = [mask.copy() for mask in read_masks(tmp_path)]
    save = draw.write_mask

    def full_at_four(path: Path, mask: np.ndarray, colors: np.ndarray) -> None:
        if path.stem == "000004":
            raise OSError(28, "No space left on device")
        save(path, mask, colors)

    monkeypatch.setattr(draw, "write_mask", full_at_four)
    with pytest.raises(OutputError, match=r"No space left on device[\s\S]*\.partial"):
        segment_to(clip, tmp_path, model=model, overwrite=True)
    np.testing.assert_array_equal(read_masks(tmp_path), before)
    assert (next(tmp_path.glob(".partial/parts/.*/masks/000003.png"))).exists()


def test_full_disk_met_by_the_encoder_is_told_likewise(
    model: TDNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("overlay.mp4: No space left on device", expected="room", do="free some")

    monkeypatch.setattr(VideoWriter, "write", full)
    with pytest.raises(OutputError, match=r"No space left on device[\s\S]*made so far is in .*\.partial"):
        segment_to(clip, tmp_path, model=model)
    assert (next(tmp_path.glob(".partial/parts/.*/masks/000000.png"))).exists()


def test_sound_that_cannot_be_read_again_is_left_out(
    model: TDNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_audio(source: Path, *_: object, **__: object) -> VideoReader:
        reader = open_video(source)
        reader.info = dataclasses.replace(reader.info, has_audio=True)
        clip_again.unlink()
        return reader

    clip_again = tmp_path / "clip.mp4"
    clip_again.write_bytes(clip.read_bytes())
    monkeypatch.setattr(selection, "open_lasting", with_audio)
    summary = segment_to(clip_again, tmp_path / "result", model=model)
    assert summary.complete
    assert "no sound" in str(summary.problem)
    assert frames_of(tmp_path / "result/overlay.mp4") == summary.frames == 12


def test_size_beyond_memory_is_refused(
    model: TDNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("can't allocate memory")

    monkeypatch.setattr(TDNet, "advance", no_memory)
    with pytest.raises(ConfigError, match=r"size 64x96[\s\S]*smaller --size"):
        segment_to(clip, tmp_path / "result", model=model)
    assert not list(tmp_path.iterdir())


def test_refused_folder_closes_the_source(
    model: TDNet, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[VideoReader] = []
    monkeypatch.setattr(VideoReader, "close", lambda reader: closed.append(reader))
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OutputError, match="in use"):
        segment_to(clip, tmp_path, model=model)
    assert len(closed) == 1


def test_bad_inputs_write_nothing(model: TDNet, clip: Path, tmp_path: Path) -> None:
    result = tmp_path / "a" / "result"
    with pytest.raises(VideoError):
        segment_to(tmp_path / "missing.mp4", result, model=model)
    with pytest.raises(ConfigError, match="threads 0"):
        segment_to(clip, result, model=model, execution=Execution(threads=0))
    with pytest.raises(ConfigError, match="size 8x8"):
        segment_to(clip, result, model=model, size=(8, 8))
    with pytest.raises(ConfigError, match=r"unknown model(.*\n)+.*an ONNX file, .*hf://org/name"):
        segment_to(clip, result, model="td4-light0")
    assert not (tmp_path / "a").exists()


def test_source_inside_its_result_is_not_replaced(model: TDNet, clip: Path, tmp_path: Path) -> None:
    segment_to(clip, tmp_path, model=model)
    for source in ("overlay.mp4", "masks", "masks/000000.png", ".partial/overlay.mp4"):
        with pytest.raises(OutputError, match="part of the former result"):
            segment_to(tmp_path / source, tmp_path, model=model, overwrite=True)


def test_threads_are_set_for_the_run_only(model: TDNet, clip: Path, tmp_path: Path) -> None:
    before, seen = torch.get_num_threads(), set()
    eight = Execution(threads=8)
    segment_to(clip, tmp_path, model=model, execution=eight, on_progress=lambda *_: seen.add(torch.get_num_threads()))
    assert seen == {2}  # each of the four frames that are encoded at once
    assert torch.get_num_threads() == before


def test_segment_shares_threads_as_segment_to_does_and_restores_them(model: TDNet, clip: Path) -> None:
    before = torch.get_num_threads()
    first, second = (segment(clip, model, execution=Execution(threads=threads)) for threads in (8, 4))
    next(first)
    assert torch.get_num_threads() == 2
    next(second)
    del first  # abandoned, and not the last one opened
    assert torch.get_num_threads() == 1
    assert len(list(second)) == 11
    assert torch.get_num_threads() == before


def test_segment_warms_up(model: TDNet, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[Stream] = []
    monkeypatch.setattr(ready, "warm_up", warmed.append)
    assert next(iter(segment(clip, model, size=(96, 128)))).index == 0
    assert [stream.size for stream in warmed] == [(96, 128)]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("videos/drive.mp4", "drive"),
        (Path("frames"), "frames"),
        (0, "camera-0"),
        ("2", "camera-2"),
        ("-", "stdin"),
        ("https://example.org/a/street.mkv?x=1", "street"),
        ("rtsp://cam.example.org", "cam.example.org"),
    ],
)
def test_default_output(source: str | Path | int, name: str) -> None:
    assert default_output(source) == Path("out", name)
