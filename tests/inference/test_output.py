"""The folder of a result: whole or the former one, and what is of others stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.aimed import PUBLISHING
from support.forked import Forked
from support.small import moving_frames, small_model
from tdseg.errors import OutputError
from tdseg.files import publishing
from tdseg.inference.output import OutputFolder
from tdseg.inference.parts import FrameFigures, NetworkFacts, PartRecord
from tdseg.inference.recorder import Recorder
from tdseg.inference.stream import Result, Stream
from tdseg.inference.summary import Summary, figures_of
from tdseg.inference.writers import WRITERS, About
from tdseg.masks.palette import color_table
from tdseg.video import VideoInfo

NETWORK = NetworkFacts(
    device="cpu", runtime="torch", precision="fp32", memory=None, size=(64, 96), class_names=("a", "b"), palette=()
)
ABOUT = About("s", VideoInfo("s", 64, 96, 10.0, None, False), ("a", "b"), color_table([(1, 2, 3), (4, 5, 6)]))
ORDER = {"model": "m", "write": ["masks"]}


def results(count: int, first: int = 0) -> list[Result]:
    stream = Stream(small_model())
    stream.reset(first)
    return [stream.step(frame, time_s=index / 10) for index, frame in enumerate(moving_frames(count), first)]


def summary(frames: int, write: Sequence[str], *, complete: bool = True) -> Summary:
    latency = dict.fromkeys(("p50", "p95", "p99", "max"), 1.0)
    about = ("m", "s", "cpu", "torch", "fp32", None, frames, complete, None, 96, 64, (64, 96), 0, 0.1, 1.0, 1.0)
    return Summary(*about, latency, None, {"a": 1.0}, write=tuple(write))


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def record(folder: OutputFolder, count: int, write: Sequence[str]) -> None:
    with Recorder(folder.parts, [WRITERS[name] for name in write], ABOUT, NETWORK, 0) as recorder:
        for result in results(count):
            recorder.put(result)
        recorder.end(None)


def publish(path: Path, count: int = 2, write: Sequence[str] = ("masks",), **options: Any) -> Summary:
    complete = options.pop("complete", True)
    with OutputFolder(path, ORDER, **options) as folder:
        record(folder, count, write)
        return folder.publish(summary(count, write, complete=complete), ABOUT)


def test_files_take_their_names_when_all_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "result"
    with OutputFolder(path, ORDER) as folder:
        record(folder, 2, ["masks"])
        assert not (path / "masks").exists()
        folder.publish(summary(2, ["masks"]), ABOUT)
    beside = {"summary.json", "classes.txt", "legend.png"}
    assert files(path) == {"masks/000000.png", "masks/000001.png", *beside}
    assert json.loads((path / "summary.json").read_text())["order"] == ORDER


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="in use"), OutputFolder(tmp_path, ORDER):
        pass
    assert files(tmp_path) == {"thesis.txt"}


def test_overwrite_replaces_only_a_former_result(tmp_path: Path) -> None:
    publish(tmp_path, 3, ["masks", "csv"])
    foreign = {"masks/notes.png", "masks/000000.txt", "masks/000007.png", "thesis.txt", "clip.mp4", "overlay.mp4"}
    for name in foreign:
        (tmp_path / name).write_text("mine")
    publish(tmp_path, 1, ["masks"], overwrite=True)
    assert files(tmp_path) == foreign | {"masks/000000.png", "summary.json", "classes.txt", "legend.png"}
    assert all((tmp_path / name).read_text() == "mine" for name in foreign)
    with pytest.raises(OutputError, match=r"overlay\.mp4 is not of the former result"):
        publish(tmp_path, 1, ["overlay"], overwrite=True)
    assert (tmp_path / "overlay.mp4").read_text() == "mine"
    assert (tmp_path / "masks/000000.png").exists()


def test_overwrite_refuses_what_only_looks_like_a_result(tmp_path: Path) -> None:
    for folder, name in ((tmp_path / "a", "overlay.mp4"), (tmp_path / "b", "masks/000000.png")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        with pytest.raises(OutputError, match=r"no summary\.json"):
            publish(folder, overwrite=True)
        assert files(folder) == {name}


def test_a_summary_of_another_program_is_no_result(tmp_path: Path) -> None:
    texts = {"summary.json": '{"frames": 3, "model": "mine", "write": ["masks"]}', "masks/000000.png": "mine"}
    for names in (["summary.json"], [*texts]):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(texts[name])
        with pytest.raises(OutputError, match=r"no summary\.json of a tdseg result"):
            publish(tmp_path, overwrite=True)
        assert {name: (tmp_path / name).read_text() for name in names} == {name: texts[name] for name in names}


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/000000.png").write_text("mine")
    publish(tmp_path / "result")
    for name in ("masks/000000.png", "masks/000001.png"):
        (tmp_path / "result" / name).unlink()
    (tmp_path / "result/masks").rmdir()
    (tmp_path / "result/masks").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match="masks is a link"):
        publish(tmp_path / "result", overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/.partial").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"\.partial is a link"):
        publish(tmp_path / "other", overwrite=True)
    assert files(tmp_path / "mine") == {"000000.png"}


def test_an_incomplete_result_does_not_replace_a_whole_one(tmp_path: Path) -> None:
    publish(tmp_path, 3, complete=False)
    publish(tmp_path, 2, overwrite=True)
    before = (tmp_path / "summary.json").read_text()
    with pytest.raises(OutputError, match=r"incomplete result of 1 frames[\s\S]*still in"):
        publish(tmp_path, 1, overwrite=True, complete=False)
    assert (tmp_path / "summary.json").read_text() == before


def test_a_run_that_fails_leaves_what_it_made_beside_the_former_result(tmp_path: Path) -> None:
    publish(tmp_path)
    before = (tmp_path / "masks/000000.png").read_bytes()
    with OutputFolder(tmp_path, ORDER, overwrite=True) as folder:
        record(folder, 2, ["csv"])
    assert (tmp_path / "masks/000000.png").read_bytes() == before
    assert (tmp_path / ".partial/parts/000000/shares.csv").exists()
    with pytest.raises(OutputError, match=r"interrupted run of 2 frames[\s\S]*--resume"):
        publish(tmp_path)
    publish(tmp_path, overwrite=True)
    assert not (tmp_path / ".partial").exists()


def test_a_run_that_made_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), OutputFolder(tmp_path / "a" / "result", ORDER):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with OutputFolder(tmp_path / "result", ORDER) as folder:
        record(folder, 1, ["masks"])
        each: list[dict[str, Any]] = [{}, {"overwrite": True}, {"resume": True}]
        for options in each:
            with pytest.raises(OutputError, match=rf"in use by process {os.getpid()}"):
                publish(tmp_path / "result", **options)
        folder.publish(summary(1, ["masks"]), ABOUT)
    assert files(tmp_path / "result") == {"masks/000000.png", "summary.json", "classes.txt", "legend.png"}


def replace(arguments: list[str]) -> int:
    """What a child is killed at."""
    publish(Path(arguments[0]), 3, ["masks", "csv"], overwrite=True)
    return 0


@pytest.mark.slow
def test_a_kill_at_any_moment_of_publishing_leaves_the_old_result_or_the_new_one(tmp_path: Path) -> None:
    """Every call that changes files is the last one once; whoever opens the folder next finds one whole result."""
    old = {"masks/000000.png", "masks/000001.png", "summary.json", "classes.txt", "legend.png"}
    new = old | {"masks/000002.png", "shares.csv"}
    former, path, seen = tmp_path / "former", tmp_path / "result", list[str]()
    publish(former, 2, ["masks"])
    with Forked(tmp_path / "forked", ["inference.test_output"]) as forked:
        for at in range(200):
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(former, path)
            call = "inference.test_output:replace"
            ended = forked.run(str(path), call=call, at=at, number=signal.SIGKILL, within=PUBLISHING)
            assert ended.code in (0, -signal.SIGKILL), ended.told
            publishing.settle(path)
            there = {name for name in files(path) if not name.startswith(".partial")}
            frames = json.loads((path / "summary.json").read_text())["frames"]
            assert (there, frames) in ((old, 2), (new, 3)), at
            seen.append("new" if frames == 3 else "old")
            if ended.code == 0:
                break
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {"old", "new"}


def test_unwritable_places_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Not a directory"):
        publish(tmp_path / "file")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(OutputError, match="Read-only file system"):
        publish(tmp_path / "result")


def part(first: int = 0, **figures: Any) -> PartRecord:
    return PartRecord(network=NETWORK, first=first, figures=FrameFigures(**figures))


def test_figures_of_parts() -> None:
    pixels = [[*counts, *([0] * 254)] for counts in ((6, 2), (1, 7))]
    figures = figures_of(
        [
            part(latencies_ms=[0.0, 1.0], flips=[0.25], pixels=pixels[0]),
            part(latencies_ms=[2.0, 3.0], flips=[0.0], size_changes=1, pixels=pixels[1]),
        ],
        ("road", "sky", "car"),
    )
    assert (figures["frames"], figures["size_changes"]) == (4, 1)
    assert figures["flip_rate"] == pytest.approx(0.125)
    assert figures["class_share"] == pytest.approx({"road": 7 / 16, "sky": 9 / 16, "car": 0}, abs=1e-6)
    assert (figures["latency_ms"]["max"], figures["latency_ms"]["p50"]) == (3.0, 1.5)
    assert figures_of([part(latencies_ms=[1.0], pixels=pixels[0])], ())["flip_rate"] is None


def test_the_record_of_a_part_is_of_its_frames(tmp_path: Path) -> None:
    """A frame before it is what the first is compared with; one of another size is none."""
    with OutputFolder(tmp_path, ORDER) as folder:
        a, b = np.zeros((64, 96), np.uint8), np.zeros((64, 96), np.uint8)
        b[:32] = 1
        masks = [a, b, b, np.ones((2, 2), np.uint8)]
        given = results(4, first=31)
        with Recorder(folder.parts, [], ABOUT, NETWORK, 32) as recorder:
            for result, mask in zip(given, masks, strict=True):
                object.__setattr__(result, "mask", mask)
                recorder.put(result)
        (found,) = folder.parts.read().values()
        figures = found.record.figures
        assert (found.record.first, found.record.frames) == (32, 3)
        assert (figures.flips, figures.size_changes) == ([0.5, 0.0], 1)
        assert figures.pixels[:2] == [64 * 96, 64 * 96 + 4]
        assert figures.times_s == [pytest.approx(3.2), pytest.approx(3.4)]
        assert not found.record.is_full
