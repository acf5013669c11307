"""The same result by one process, several, a cluster, and after kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.results import assert_equal, clip
from support.small import small_model, write_clip
from tdseg.errors import ConfigError, WorkerError
from tdseg.inference.distribution import Distribution, hired
from tdseg.inference.many import segment_all
from tdseg.inference.parts import PART_FRAMES
from tdseg.runtime.network import Execution

WRITE = ("masks", "overlay", "csv")


def crew(kind: str) -> Distribution:
    return Distribution(workers=2, ray="local" if kind == "ray" else None)


def torch_only() -> Execution:
    return Execution(runtime="torch", threads=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_one_video_is_cut_and_joined(weights: Path, tmp_path: Path, kind: str) -> None:
    source = clip(tmp_path / "clip.mp4", 9 * PART_FRAMES + 5)
    told: list[tuple[int, int | None]] = []
    segment_all([source], tmp_path / "one", model=weights, execution=torch_only(), write=WRITE)
    (outcome,) = segment_all(
        [source],
        tmp_path / "many",
        model=weights,
        execution=torch_only(),
        write=WRITE,
        distribution=crew(kind),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert outcome.summary
    assert_equal(tmp_path / "one", tmp_path / "many")
    assert told[-1] == (293, 293)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "ray"])
def test_many_videos_are_shared_whole(weights: Path, tmp_path: Path, kind: str) -> None:
    """One of them is none, which stops no other."""
    (tmp_path / "in").mkdir()
    for index in range(8):
        write_clip(tmp_path / "in" / f"{index}.mp4", 3 + index)
    (tmp_path / "in/5.mp4").write_bytes(b"none")
    options = {"model": weights, "execution": torch_only(), "write": WRITE}
    segment_all([tmp_path / "in"], tmp_path / "one", **options)  # type: ignore[arg-type]
    outcomes = segment_all([tmp_path / "in"], tmp_path / "many", distribution=crew(kind), **options)  # type: ignore[arg-type]
    assert [outcome.summary.frames if outcome.summary else 0 for outcome in outcomes] == [3, 4, 5, 6, 7, 0, 9, 10]
    assert "5.mp4" in str(outcomes[5].error)
    for name in os.listdir(tmp_path / "one"):
        assert_equal(tmp_path / "one" / name, tmp_path / "many" / name)


def _die(path: Path) -> int:
    """The first time, take the process with it."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


@pytest.mark.slow
def test_a_lost_process_is_named_and_a_cluster_does_its_task_again(tmp_path: Path) -> None:
    with hired(crew("processes"), Execution()) as pool, pytest.raises(WorkerError, match="is gone"):
        pool.outcome(pool.start(_die, tmp_path / "a"))
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]  # its processes do not find the tests
    with hired(crew("ray"), Execution()) as cluster:
        assert cluster.outcome(cluster.start(_die, tmp_path / "b")) == 7


def test_what_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    two = Distribution(workers=2)
    with pytest.raises(ConfigError, match="a model that lives in this process"):
        segment_all([write_clip(tmp_path / "clip.mp4", 3)], tmp_path / "out", model=small_model(), distribution=two)
    with pytest.raises(ConfigError, match="stdin for several workers"):
        segment_all(["-"], tmp_path / "out", distribution=two)
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: .*refused"):
        segment_all(
            [tmp_path / "clip.mp4"],
            tmp_path / "out",
            model="lite0s-camvid",
            distribution=Distribution(ray="127.0.0.1:1"),
        )
    with pytest.raises(ConfigError, match="workers 0"):
        Distribution(workers=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_killed_command_goes_on_with_the_same_command(weights: Path, tmp_path: Path) -> None:
    """Alone and with workers, which end with it; meanwhile nobody else works in the folder."""
    source = clip(tmp_path / "clip.mp4", 12 * PART_FRAMES)
    command = [sys.executable, "-m", "tdseg", "segment", str(source), "--model", str(weights), "--runtime", "torch"]
    command += ["--write", ",".join(WRITE), "--quiet", "--threads", "1"]
    subprocess.run([*command, "-o", str(tmp_path / "one")], check=True)
    for workers in ("1", "2"):
        output = tmp_path / workers
        own = [*command, "-o", str(output), "--workers", workers, "--resume"]
        run = subprocess.Popen(own)
        while len(list(output.glob(".partial/parts/0*"))) < 3:
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGSTOP)
        assert subprocess.run(own, check=False, capture_output=True).returncode == 2
        run.send_signal(signal.SIGKILL)
        run.wait()
        subprocess.run(own, check=True)
        assert_equal(tmp_path / "one", output)
        assert json.loads((output / "summary.json").read_text())["resumed_at"]
        assert not (output / ".partial").exists()
