from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tdseg.data.camvid import CamVid
from tdseg.data.clip import IGNORE
from tdseg.errors import DataError


def write(root: Path, names: list[str], label: int = 3, size: tuple[int, int] = (40, 30)) -> Path:
    for name in names:
        for kind in ("images", "labels"):
            (root / kind / "train").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(root / "images" / "train" / f"{name}.png")
        Image.fromarray(np.full(size[::-1], label, np.uint8)).save(root / "labels" / "train" / f"{name}.png")
    return root


def test_void_is_ignored(tmp_path: Path) -> None:
    data = CamVid(write(tmp_path, ["A_0", "A_1"], label=11), "train")
    assert len(data) == 2
    assert data[0].frames.shape == (1, 3, 30, 40)
    assert (data[0].labels == IGNORE).all()


def test_clips_do_not_cross_sequences(tmp_path: Path) -> None:
    data = CamVid(write(tmp_path, ["A_0", "A_1", "A_2", "B_0", "B_1"]), "train", length=2)
    assert [data.sequence(i) for i in range(len(data))] == ["A", "A", "B"]
    assert data[0].frames.shape == (2, 3, 30, 40)


def test_bad_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        CamVid(tmp_path, "train")
    write(tmp_path, ["A_0"], label=12)
    with pytest.raises(DataError, match="largest value 12"):
        CamVid(tmp_path, "train")[0]
    label = tmp_path / "labels" / "train" / "A_0.png"
    label.write_bytes(label.read_bytes()[:40])
    with pytest.raises(DataError, match=r"A_0\.png"):
        CamVid(tmp_path, "train")[0]
    label.unlink()
    with pytest.raises(DataError, match="no label"):  # at once, not after hours
        CamVid(tmp_path, "train")
