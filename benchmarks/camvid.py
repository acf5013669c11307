"""Accuracy and steadiness of trained models on CamVid.

python benchmarks/camvid.py --root CAMVID [--models NAME ...] [--splits val test] [--json FILE]

CAMVID is the folder with images/ and labels/ in the SegNet layout (480×360, 11 classes).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import tdseg
from tdseg.data.camvid import CamVid
from tdseg.measure.evaluate import PROTOCOLS, Showing, score
from tdseg.metrics.flips import FlipRate
from tdseg.zoo.catalog import PACKAGED

RUNS: dict[str, tuple[Showing, ...]] = {"val": ("stream",), "test": ("still", "stream")}


def main() -> None:
    """Print one line for each model, split and protocol, then the IoU of every class."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=sorted(PACKAGED, reverse=True))
    parser.add_argument("--splits", nargs="+", default=["val", "test"], choices=["val", "test"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    reports: dict[str, dict[str, object]] = {}
    for name in arguments.models:
        model = tdseg.load(name).fuse()
        for split in arguments.splits:
            data = CamVid(arguments.root, split)
            for protocol in RUNS[split]:
                report = score(model, data, protocol)
                reports.setdefault(name, {})[f"{split}/{protocol}"] = report
                flips = "" if report["flip_rate"] is None else f"  flips {report['flip_rate']:.2%}"
                print(
                    f"{name:20} {split:5} {protocol:7} mIoU {report['miou']:5.2f}  per path {report['per_path']}"
                    f"  pixels {report['pixel_accuracy']:.2f}{flips}",
                    flush=True,
                )
                print("   " + "  ".join(f"{name} {_shown(value)}" for name, value in report["iou"].items()), flush=True)
    if "val" in arguments.splits:
        data, flip_rate = CamVid(arguments.root, "val"), FlipRate()
        for i in range(len(data)):
            flip_rate.update(data[i].labels[0].numpy())
        print(f"{'labels':20} val   stream  flips {flip_rate.compute():.2%}, by true motion")
    for protocol, meaning in PROTOCOLS.items():
        print(f"{protocol}: {meaning}")
    if arguments.json:
        arguments.json.write_text(json.dumps(reports, indent=2) + "\n")


def _shown(iou: float | None) -> str:
    return "–" if iou is None else f"{iou:.1f}"


if __name__ == "__main__":
    main()
