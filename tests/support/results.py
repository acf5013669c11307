"""Results of `segment`, and clips that make a mistake show in them."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from support.small import moving_frames
from support.videos import make_clip
from tdseg.files.publishing import MADE, MARK, STAGING
from tdseg.inference.parts import PART_FRAMES

RUN = {"startup_s", "wall_s", "fps", "latency_ms", "resumed_at", "order"}
"""What the summaries of two runs of one video may differ in."""


def clip(path: Path, count: int = 2 * PART_FRAMES + 9, *, change: int | None = None) -> Path:
    """A video with sound that does not repeat; from a frame on it may be of another size."""
    frames = [np.roll(frame, 5 * (index // 32), 0) for index, frame in enumerate(moving_frames(count))]
    if change is None:
        return make_clip(path, frames, fps=10, sound=("aac", 48000, count / 10))
    path.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame if index < change else frame[:48]).save(path / f"{index:04d}.png")
    return path


def files(folder: Path) -> dict[str, bytes]:
    """All that a result consists of, but for its summary."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "summary.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def leave_halfway(place: Path, made: dict[str, bytes], former: Collection[str] = ()) -> None:
    """What a run leaves that is killed while it publishes: files that are not in their places yet.

    Args:
        place: of the result.
        made: what is in these files.
        former: the names of those that go.
    """
    for name, data in made.items():
        (place / STAGING / MADE / name).parent.mkdir(parents=True, exist_ok=True)
        (place / STAGING / MADE / name).write_bytes(data)
    mark = {"made": [*made], "former": [*former], "last": None}
    (place / STAGING / MARK).write_text(json.dumps(mark))


def assert_equal(one: Path, other: Path) -> None:
    """Two results are the same, bit for bit, and their summaries but for what is of the run."""
    assert files(one) == files(other)
    fields = [json.loads((path / "summary.json").read_text()) for path in (one, other)]
    assert {k: v for k, v in fields[0].items() if k not in RUN} == {k: v for k, v in fields[1].items() if k not in RUN}
