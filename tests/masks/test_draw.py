from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tdseg.errors import OutputError
from tdseg.masks import draw
from tdseg.masks.palette import color_table

PALETTE = ((10, 20, 30), (200, 100, 50))


def test_color_table_begins_with_the_palette() -> None:
    table = color_table(PALETTE)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table[:2].tolist() == [list(color) for color in PALETTE]
    assert table[255].tolist() == [255, 255, 255]
    assert len(np.unique(color_table()[:32], axis=0)) == 32  # without a palette, classes still differ


def test_overlay_blends_and_lines_boundaries() -> None:
    frame = np.full((6, 8, 3), 100, np.uint8)
    mask = np.zeros((6, 8), np.uint8)
    mask[:, 4:] = 1
    shown = draw.overlay(frame, mask, color_table(PALETTE))
    assert shown.shape == frame.shape
    assert shown.dtype == np.uint8
    assert shown[0, 0].tolist() == [50 + 5, 50 + 10, 50 + 15]
    assert shown[0, 7].tolist() == [50 + 100, 50 + 50, 50 + 25]
    assert (shown[:, 4] == 50 + 127).all()
    assert (frame == 100).all()


def test_saved_mask_is_indexed_and_exact(tmp_path: Path) -> None:
    mask = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8)
    colors = color_table(PALETTE)
    draw.save_mask(tmp_path / "mask.png", mask, colors)
    header = (tmp_path / "mask.png").read_bytes()[16:26]
    assert header[8:] == bytes([8, 3])  # bit depth 8, colour type 3: indexed
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), mask)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colors[mask])


def test_mask_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(image: Image.Image, path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"\x89PNG")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="No space"):
        draw.save_mask(tmp_path / "mask.png", np.zeros((4, 4), np.uint8), color_table())
    assert not list(tmp_path.iterdir())


def test_preview_shows_frame_overlay_and_legend() -> None:
    frame = np.full((60, 300, 3), 90, np.uint8)
    mask = np.zeros((60, 300), np.uint8)
    mask[:, 200:] = 1
    still = draw.preview(frame, mask, ("road", "sky"), color_table(PALETTE))
    assert still.width > 2 * 300
    assert still.height > 60
    assert still.getpixel((20, 20)) == (90, 90, 90)
    colors = {color for _, color in still.getcolors(1 << 24) or ()}
    assert set(PALETTE) <= colors  # the legend's swatches are not blended
