"""What it costs to squash portrait frames into the model's own size, on CamVid cropped to portrait.

python benchmarks/portrait.py --root CAMVID [--model td6-lite0s-camvid] [--split val]

CAMVID is the folder with images/ and labels/ in the SegNet layout. Of each frame three upright crops of 202×360 pixels,
left, middle and right, are enlarged to 404×720, and streamed as three videos from every path; labels are repeated, not
blended. Prints the mIoU with frames squashed to the model's size, and with the input in their own shape.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import tdseg
from tdseg.data.camvid import CamVid
from tdseg.metrics.iou import ConfusionMatrix
from tdseg.models.tdnet import TDNet

WIDTH, SCALE = 202, 2


def measure(model: TDNet, data: CamVid, size: tuple[int, int] | None) -> tuple[float, tuple[int, int]]:
    """mIoU in percent, mean over starting paths, and the (height, width) that the network saw."""
    scores, seen = [], (0, 0)
    for phase in range(model.config.turns):
        matrix = ConfusionMatrix(len(data.classes))
        for crop in range(3):
            stream = tdseg.Stream(model, size=size)
            sequence = None
            for index in range(len(data)):
                if data.sequence(index) != sequence:
                    stream.reset(phase)
                    sequence = data.sequence(index)
                clip = data[index]
                left = crop * (clip.frames.shape[-1] - WIDTH) // 2
                part = clip.frames[-1, :, :, left : left + WIDTH].permute(1, 2, 0).numpy()
                frame = Image.fromarray(np.ascontiguousarray(part))
                frame = frame.resize((SCALE * frame.width, SCALE * frame.height), Image.Resampling.BICUBIC)
                label = clip.labels[-1, :, left : left + WIDTH].numpy().repeat(SCALE, 0).repeat(SCALE, 1)
                matrix.update(stream.step(np.array(frame)).mask, label)
            seen = stream.size
        scores.append(matrix.miou)
    return float(np.mean(scores)), seen


def main() -> None:
    """Measure both, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", default="td6-lite0s-camvid")
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args()
    model, data = tdseg.load(arguments.model).fuse(), CamVid(arguments.root, arguments.split)
    for name, size in {"squashed": model.config.size, "in their own shape": None}.items():
        miou, (height, width) = measure(model, data, size)
        print(f"{arguments.model}, portrait crops of {data.name} {name}, input {height}x{width}: mIoU {miou:.2f} %")


if __name__ == "__main__":
    main()
