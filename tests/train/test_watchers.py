from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console

from support.small import SIZE, moving_frames, small_model
from tdseg.data.camvid import CamVid
from tdseg.measure.evidence import Example
from tdseg.train.recipe import Recipe
from tdseg.train.watch import Run, Step
from tdseg.zoo.checkpoint import save

pytest.importorskip("tensorboard", reason="training needs: pip install -e '.[train]'")
pytest.importorskip("torchmetrics", reason="evaluation needs: pip install -e '.[metrics]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tdseg.measure.evaluate import evaluate
from tdseg.train.board import Board, side_by_side
from tdseg.train.card import Card, code_version
from tdseg.train.printer import Printer


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of a fabricated CamVid in each of two splits."""
    root = tmp_path_factory.mktemp("camvid")
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for index, frame in enumerate(moving_frames(5)):
            Image.fromarray(frame).save(root / "images" / split / f"A_{index}.png")
            Image.fromarray((frame[..., 0] // 24).astype(np.uint8)).save(root / "labels" / split / f"A_{index}.png")
    return root


@pytest.fixture(scope="module")
def figures(root: Path) -> dict[str, Any]:
    return evaluate(small_model(), CamVid(root, "val"))


def make_run(root: Path, output: Path, start: int = 0, **values: Any) -> Run:
    recipe = Recipe.parse(
        {
            "model": "td4-lite0",
            "sources": [
                {"data": "camvid", "root": str(root), "weight": 3},
                {"data": "camvid", "root": str(root), "length": 4},
            ],
            "validation": {"data": "camvid", "root": str(root), "split": "val"},
            "steps": 8,
            "batch": 2,
            "length": 4,
            "augmentation": {"crop": list(SIZE)},
            "optimizer": {"lr": 1e-3},
            **values,
        },
        where="test",
    )
    return Run(recipe, output, start, small_model())


def make_step(number: int, *, full: float = 1.0, seconds: float = 2.0) -> Step:
    return Step(number, {"full": full, "sub": 0.5}, {}, lr=1e-3, seconds=seconds, waited=0.25 * seconds)


def make_example() -> Example:
    frame = moving_frames(1)[0]
    label = (frame[..., 0] // 24).astype(np.uint8)
    label[:4] = 255
    return Example(frame, label, (frame[..., 1] // 24).astype(np.uint8))


def consoles(*, terminal: bool) -> tuple[Console, Console, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return (
        Console(file=out, width=80),
        Console(file=err, width=160, force_terminal=terminal, color_system=None),
        out,
        err,
    )


def test_lines_where_there_is_no_terminal(tmp_path: Path, root: Path, figures: dict[str, Any]) -> None:
    out, err, results, lines = consoles(terminal=False)
    watcher = Printer(out, err)
    watcher.start(make_run(root, tmp_path, start=2))
    for number in range(3, 9):
        watcher.step(make_step(number, full=number, seconds=2.0 if number < 8 else 14.0))
    watcher.evaluated(8, figures, [make_example()])
    watcher.warn("a [red] image")
    watcher.finish(small_model(), tmp_path / "model.safetensors")
    watcher.close()
    shown = lines.getvalue().splitlines()
    assert [line.split("  ")[0] for line in shown] == ["step 3/8", "step 8/8", "warning: a [red] image"]
    assert shown[0] == (
        "step 3/8  loss 3.500 (full 3.000, sub 0.500)  lr 1.00e-03  4.0 images/s  25% waiting  0:00:10 left"
    )
    assert "loss 6.000 (full 5.500, sub 0.500)" in shown[1]  # means of steps 3 … 8
    assert "2.0 images/s" in shown[1]  # 6 steps of 8 frames in 24 s
    assert "0:00:00 left" in shown[1]
    assert results.getvalue().splitlines()[0] == "resumed at step 2"
    assert f"step 8: mIoU {figures['miou']:.2f} %" in results.getvalue()
    assert "(CamVid val, stream)" in results.getvalue()
    assert f"wrote {tmp_path}" in results.getvalue()


def test_progress_where_there_is_one(tmp_path: Path, root: Path) -> None:
    out, err, results, shown = consoles(terminal=True)
    watcher = Printer(out, err)
    for _ in range(2):  # two stages, with one watcher
        watcher.start(make_run(root, tmp_path))
        for number in range(1, 9):
            watcher.step(make_step(number))
        watcher.close()
        watcher.close()
    assert "8/8" in shown.getvalue()
    assert "loss 1.500 (full 1.000, sub 0.500)" in shown.getvalue()
    assert "resumed" not in results.getvalue()


def scalars(folder: Path, tag: str) -> dict[int, float]:
    events = EventAccumulator(str(folder)).Reload()
    points = events.Scalars(tag)
    assert len({point.step for point in points}) == len(points), "two points for one step"
    return {point.step: point.value for point in points}


def test_curves_go_on_after_a_kill(tmp_path: Path, root: Path, figures: dict[str, Any]) -> None:
    board = Board(pytest.fail)
    board.start(make_run(root, tmp_path))
    for number in range(1, 7):
        board.step(make_step(number, full=number))
    board.evaluated(6, figures, [make_example()] * 2)  # on disk, as at a kill after the checkpoint of step 4
    resumed = Board(pytest.fail)
    resumed.start(make_run(root, tmp_path, start=4))
    for number in range(5, 9):
        resumed.step(make_step(number, full=10 * number))
    resumed.evaluated(8, figures, [make_example()] * 2)
    resumed.close()
    board.close()
    assert scalars(tmp_path, "loss/full") == {1: 1, 2: 2, 3: 3, 4: 4, 5: 50, 6: 60, 7: 70, 8: 80}
    assert scalars(tmp_path, "loss/total")[8] == 80.5
    assert scalars(tmp_path, "train/images_per_second")[1] == 4
    assert scalars(tmp_path, "train/waiting")[8] == 0.25
    assert scalars(tmp_path, "train/lr")[8] == pytest.approx(1e-3)
    assert scalars(tmp_path, "evaluation/miou") == {8: pytest.approx(figures["miou"])}
    assert scalars(tmp_path, "iou/Sky") == {8: pytest.approx(figures["iou"]["Sky"])}
    events = EventAccumulator(str(tmp_path)).Reload()
    (image,) = events.Images("examples/1")
    assert (image.step, image.width, image.height) == (8, 3 * SIZE[1], SIZE[0])


def test_example_of_a_large_frame_is_shrunk() -> None:
    frame = np.zeros((720, 1280, 3), np.uint8)
    picture = side_by_side(Example(frame, frame[..., 0], frame[..., 0]), np.zeros((256, 3), np.uint8))
    assert picture.shape == (360, 3 * 640, 3)


def test_a_full_disk_ends_events_and_no_run(tmp_path: Path, root: Path) -> None:
    script = f"""
import resource, sys
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
from test_watchers import make_run, make_step
from tdseg.train.board import Board
board = Board(lambda message: print("told:", message))
board.start(make_run(Path({str(root)!r}), Path({str(tmp_path)!r})))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for number in range(1, 500):
    board.step(make_step(number))
board.close()
print("trained on")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, *rest = done.stdout.splitlines()
    assert told.startswith("told: no more TensorBoard events: ")
    assert rest == ["trained on"]


def test_card(tmp_path: Path, root: Path, figures: dict[str, Any]) -> None:
    run = make_run(root, tmp_path / "street")
    (tmp_path / "street").mkdir()
    card = Card("tdseg train my.yaml --steps 8")
    card.start(run)
    for number in range(1, 9):
        card.step(make_step(number))
    card.evaluated(8, figures, [])
    weights = tmp_path / "street" / "model.safetensors"
    save(run.model, weights)
    card.describe(run.model, weights)
    card.close()
    text = (tmp_path / "street" / "card.md").read_text()
    for part in (
        "# street\n",
        "`td4-lite0`, memory stride 4",
        f"sha256 `{hashlib.sha256(weights.read_bytes()).hexdigest()}`",
        "licence | yours to state",
        f"camvid train in `{root}` (5 stills), 75% of the batches",
        "(2 clips of 4), 25% of the batches",
        "evaluated on camvid val",
        "`tdseg train my.yaml --steps 8`",
        "0:00:16 for 8 steps |",
        f"tdseg {code_version()}",
        f"| mIoU | {figures['miou']:.2f} % |",
        f"| TC (DIS) | {figures['tc']:.2f} % |",
        f"| TC (Farnebäck) | {figures['tc_farneback']:.2f} % |",
        "| flow flip rate (Farnebäck) | ",
        "| IoU | Sky | Building |",
        figures["protocol"],
    ):
        assert part in text, part
    assert len([path for path in weights.parent.iterdir() if path.name.startswith(".")]) == 0
    shown = text.partition("```yaml\n")[2].partition("```")[0]
    assert Recipe.parse(yaml.safe_load(shown), where="card") == run.recipe


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"score": "all"},
            "| memory | whole, of the 3 frames before, for 25% of the scored frames, 1 of 4 in a clip |",
        ),
        ({"score": "all", "length": 6}, "for 50% of the scored frames, 3 of 6 in"),
        ({"length": 3}, "for 0% of the scored frames, 0 of 1 in"),
        ({"score": "last"}, None),
        ({"score": "last", "length": 7}, None),
    ],
)
def test_card_says_how_many_frames_meet_the_whole_memory(
    tmp_path: Path, root: Path, values: dict[str, Any], line: str | None
) -> None:
    stills = [{"data": "camvid", "root": str(root)}]
    run = make_run(root, tmp_path, sources=stills, validation=None, **values)
    card = Card("tdseg train my.yaml")
    card.start(run)
    save(run.model, tmp_path / "model.safetensors")
    card.describe(run.model, tmp_path / "model.safetensors")
    text = (tmp_path / "card.md").read_text()
    assert ("\n| memory |" in text) == (line is not None)
    assert (line or "") in text


def test_card_of_a_resumed_run_without_validation(tmp_path: Path, root: Path) -> None:
    run = make_run(root, tmp_path, start=6, validation=None)
    card = Card("tdseg train my.yaml")
    card.start(run)
    card.step(make_step(7))
    card.step(make_step(8))
    save(run.model, tmp_path / "model.safetensors")
    card.describe(run.model, tmp_path / "model.safetensors")
    text = (tmp_path / "card.md").read_text()
    assert "0:00:04 for 8 steps, of which 6 in former processes whose time is not counted" in text
    assert "Not evaluated" in text
