"""A model and clips small enough for every test, and lively enough to show a mistake."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.models.tdnet import TDNet
from tdseg.video import VideoWriter
from tdseg.zoo.catalog import create_model

SIZE = (64, 96)
FPS = 10.0


def moving_frames(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Soft coloured blobs that drift, uint8 (H, W, 3)."""
    blobs = torch.rand(1, 3, size[0] // 8, size[1] // 8, generator=torch.Generator().manual_seed(seed)) * 255
    image = torch.nn.functional.interpolate(blobs, size, mode="bicubic")[0].clamp(0, 255)
    still = image.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return [np.ascontiguousarray(np.roll(still, 3 * index, axis=1)) for index in range(count)]


@cache
def small_model() -> TDNet:
    """A td4-lite0, as the paper merges, whose untrained masks vary over the picture: it has seen some frames."""
    torch.manual_seed(0)
    merging = {"propagation": "attention", "d_k": 64, "d_v": 16}
    model = create_model(
        "td4-lite0", size=SIZE, head_channels=16, classes=CAMVID_CLASSES, palette=CAMVID_PALETTE, **merging
    )
    frames = torch.from_numpy(np.stack([moving_frames(4, seed=seed) for seed in range(2)])).permute(0, 1, 4, 2, 3)
    model.train()
    with torch.no_grad():
        for _ in range(16):
            model.forward_clip(model.normalize(frames))
    return model.eval()


def write_masks(path: Path, masks: list[NDArray[np.uint8]]) -> Path:
    """A folder of indexed masks, 000000.png …"""
    path.mkdir()
    for index, mask in enumerate(masks):
        Image.fromarray(mask).save(path / f"{index:06d}.png")
    return path


def write_clip(path: Path, count: int, size: tuple[int, int] = SIZE) -> Path:
    """An mp4 of `moving_frames` at FPS."""
    with VideoWriter(path, size=size, fps=FPS) as writer:
        for index, image in enumerate(moving_frames(count, size)):
            writer.write(image, index / FPS)
    return path
