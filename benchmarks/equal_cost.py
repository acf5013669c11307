"""Packaged models with a memory against per-frame models of the same cost: their twins at a larger input.

python benchmarks/equal_cost.py --root CAMVID [--models NAME ...] [--output docs/results.md]

CAMVID is the folder with images/ and labels/ in the SegNet layout (480×360, 11 classes). On its val split and on
rendered videos, which none of them was trained on or chosen by: mIoU, what each has over the per-frame model at the
larger input, with the interval of a bootstrap over stretches of CamVid's one video and over whole rendered videos, and
TC along Farnebäck flow, which no memory uses. Nothing is trained. With --output the table goes between the equal-cost
marks of that file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tdseg
from ablations_table import Measured, at_costs, cost, measure, over
from page import put
from steadiness import TWINS
from tdseg.data.source import Source, open_source


def main() -> None:
    """Measure, print the table, and put it where it is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=list(TWINS), choices=list(TWINS), metavar="NAME")
    parser.add_argument("--output", type=Path, help="a file with equal-cost marks")
    arguments = parser.parse_args()
    sources = (Source(data="camvid", root=arguments.root, split="val"), Source(data="synthetic", split="test"))
    data = [open_source(source) for source in sources]
    columns = [f"{clips.name}: {column}" for clips in data for column in ("mIoU", "over the larger input", "TC")]
    lines = [["", "multiply-adds, G", *columns], ["---"] * (len(columns) + 2)]
    for name in arguments.models:
        twin = TWINS[name]
        model, alone = (tdseg.load(each) for each in (name, twin))
        (larger,) = at_costs(alone, [cost(model)])
        labels = {f"`{twin}`": alone, f"`{twin}`, input {larger.config.size[0]}×{larger.config.size[1]}": larger}
        measured = {label: [measure(one, clips) for clips in data] for label, one in labels.items()}
        against = [*measured.values()][-1]
        labels[f"`{name}`"], measured[f"`{name}`"] = model, [measure(model, clips) for clips in data]
        for label, one in labels.items():
            cells = [
                cell
                for figures, other in zip(measured[label], against, strict=True)
                for cell in cells_of(figures, other)
            ]
            lines.append([label, f"{cost(one):.3f}", *cells])
            print(lines[-1], flush=True)
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    print(table)
    if arguments.output:
        put(table, "equal cost", arguments.output)


def cells_of(figures: Measured, other: Measured) -> list[str]:
    """mIoU, what it has over another's, TC."""
    shown = "–" if figures is other else over(figures, other)
    return [f"{figures.miou:.2f}", shown, "–" if figures.tc is None else f"{figures.tc:.2f}"]


if __name__ == "__main__":
    main()
