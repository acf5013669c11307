"""A folder of images and masks as one's own data would be, from rendered streets: to try training on.

python examples/make_folder_data.py data/mine [--streets 6] [--frames 8] [--size 360x480]

train/images/000.png, train/masks/000.png …, val/ likewise, data.yaml, and drive.mp4, a video without masks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml
from PIL import Image

from tdseg.masks.classes import CAMVID_CLASSES, CAMVID_PALETTE
from tdseg.masks.draw import save_mask
from tdseg.masks.palette import color_table
from tdseg.street import render_street
from tdseg.video import VideoWriter

EVERY = 3
"""Of so many frames one is kept: neighbours look alike."""
FPS = 15.0


def write_stills(folder: Path, seeds: range, frames: int, size: tuple[int, int]) -> None:
    """Images and indexed masks of some streets, `frames` of each."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    colors, number = color_table(CAMVID_PALETTE), 0
    for seed in seeds:
        for index, frame in enumerate(render_street(seed, num_frames=EVERY * frames, size=size)):
            if index % EVERY == 0:
                Image.fromarray(frame.image).save(folder / "images" / f"{number:03}.png")
                save_mask(folder / "masks" / f"{number:03}.png", frame.label, colors)
                number += 1


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description="A folder of images and masks to try training on.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--streets", type=int, default=6, help="of train; val has two others")
    parser.add_argument("--frames", type=int, default=8, help="of each street")
    parser.add_argument("--size", default="360x480", help="HxW, pixels")
    options = parser.parse_args()
    height, width = (int(side) for side in options.size.split("x"))
    root, size = options.root, (height, width)
    write_stills(root / "train", range(100, 100 + options.streets), options.frames, size)
    write_stills(root / "val", range(200, 202), options.frames, size)
    with VideoWriter(root / "drive.mp4", size=size, fps=FPS) as writer:
        for index, frame in enumerate(render_street(300, num_frames=EVERY * options.frames, size=size, fps=FPS)):
            writer.write(frame.image, index / FPS)
    splits = {split: [{"images": f"{split}/images", "masks": f"{split}/masks"}] for split in ("train", "val")}
    description = {"classes": list(CAMVID_CLASSES), "splits": splits}
    (root / "data.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")
    print(f"{root}: {options.streets * options.frames} images to train on, {2 * options.frames} to validate on")


if __name__ == "__main__":
    main()
