"""The study: what makes a TDNet better and steadier than the per-frame model it is made of, at the same cost.

python benchmarks/study.py --root CAMVID --start lite0-camvid [--output runs/study] [--rows NAME ...] [--seeds 0 1 2]
                           [--full] [--page docs/results.md]

CAMVID is the folder with images/ and labels/ in the SegNet layout; --start a per-frame lite0 that all rows start from.
A trained row is a recipe, `configs/camvid-td4-lite0.yaml` but for the fields that the row names; it is trained in
OUTPUT/ROW-SEED, then streamed through val. An evaluated row uses the weights of a trained one in another way. What is
done is kept in OUTPUT/results.json and not done again; a row that was stopped goes on from its newest checkpoint.

By default sub-networks are frozen and only what merges and classifies is trained, for a few minutes a row on two CPU
cores. --full trains everything, for ten times as many steps: for a GPU.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor

import tdseg
from tdseg.data.camvid import CamVid
from tdseg.evaluate import evaluate
from tdseg.models.state import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.train.loop import WEIGHTS, fit
from tdseg.train.recipe import Recipe

BASE = Path(__file__).parents[1] / "configs" / "camvid-td4-lite0.yaml"
MARKS = re.compile(r"(?<=<!-- study -->\n).*(?=<!-- /study -->)", re.DOTALL)
ATTENTION = {"propagation": "attention", "d_k": 64, "reach": 2, "memory_stride": 4}
MOTION = {"propagation": "motion", "d_k": 32}
UNFROZEN = {"freeze_subnet": False, "steps": 40, "batch": 2}
TEACHER = {"full": 2.0, "sub": 0, "scales": [1.0, 1.33]}
Fields = dict[str, Any]


class Trained(NamedTuple):
    """A row that is a recipe."""

    title: str
    fields: Fields


class Evaluated(NamedTuple):
    """A row that shows the weights of a trained row in another way."""

    title: str
    weights: str
    """Name of the trained row; empty for the start with `tdseg.add_memory`."""
    overrides: Fields = {}  # noqa: RUF012 -- never changed
    alone: bool = False
    """Forget everything before each frame."""


def attention(**fields: Any) -> Fields:
    """Fields of a row with the paper's propagation."""
    return {"overrides": ATTENTION, **fields}


def motion(**fields: Any) -> Fields:
    """Fields of a row with motion propagation."""
    return {"overrides": MOTION, **fields}


ROWS: dict[str, Trained | Evaluated] = {
    "twin": Trained("per-frame twin, trained as long", {"model": "lite0", "overrides": {}, "length": 1}),
    "attention": Trained("td4, attention (the paper's)", attention(losses={"agreement": 0})),
    "attention-agree": Trained("td4, attention, agreement loss", attention()),
    "td2-attention": Trained("td2, attention, agreement loss", attention(model="td2-lite0", length=2)),
    "motion": Trained("td4, motion", motion()),
    "motion-plain": Trained("td4, motion, no agreement loss", motion(losses={"agreement": 0})),
    "motion-distill": Trained("td4, motion, full distillation", motion(distill=TEACHER)),
    "motion-real": Trained("td4, motion, no stills made clips", motion(sources="real")),
    "shared": Trained("td4, attention, shared, all trained", attention(**UNFROZEN)),
    "independent": Trained(
        "td4, attention, independent, all trained", {"overrides": {**ATTENTION, "shared_paths": False}, **UNFROZEN}
    ),
    "independent-grouped": Trained(
        "td4, attention, independent, all trained, grouped distillation",
        {"overrides": {**ATTENTION, "shared_paths": False}, **UNFROZEN, "distill": {"full": 1.0, "sub": 0.5}},
    ),
    "independent-all": Evaluated("all four sub-networks on every frame", "independent", {"warmup": "full"}, alone=True),
    "independent-alone": Evaluated("one of them alone", "independent", {"warmup": "independent"}, alone=True),
    **{
        f"attention-stride-{n}": Evaluated(
            f"td4, attention, memory stride {n}", "attention-agree", {"memory_stride": n}
        )
        for n in (1, 2, 8)
    },
    **{
        f"attention-{mode}": Evaluated(f"td4, attention, warm-up {mode}", "attention-agree", {"warmup": mode})
        for mode in ("independent", "partial")
    },
    "attention-alone": Evaluated(
        "td4, attention, without propagation", "attention-agree", {"warmup": "independent"}, alone=True
    ),
    **{
        f"untrained-td{m}": Evaluated(f"td{m}, motion, nothing trained: `tdseg.add_memory`", "", MOTION | {"paths": m})
        for m in (2, 3, 4, 8)
    },
}
COLUMNS = {
    "mIoU": ("miou", "{:.2f}"),
    "TC": ("tc", "{:.2f}"),
    "flips": ("flip_rate", "{:.2%}"),
    "flips along flow, per second": ("flow_flip_rate", "{:.3f}"),
}


class Forgetful(TDNet):
    """A TDNet that meets every frame as the first of a video."""

    def step(self, x: Tensor, state: TDNetState | None = None) -> tuple[Tensor, TDNetState]:
        """See TDNet.step."""
        return super().step(x, self.initial_state(None if state is None else state.path))


def recipe_of(row: Trained, root: Path, start: str, seed: int, *, full: bool) -> Recipe:
    """The recipe of a row."""
    values = yaml.safe_load(BASE.read_text())
    stills = values["sources"][0] | {"root": str(root)}
    values |= {"init": start, "seed": seed, "validation": None, "sources": [stills, *values["sources"][1:]]}
    fields = dict(row.fields)
    if fields.get("distill"):
        fields["distill"] = {"teacher": start, **fields["distill"]}
    if fields.get("sources") == "real":
        neighbours = {"data": "camvid", "root": str(root), "length": 4, "weight": 0.5}
        fields["sources"] = [neighbours, values["sources"][-1]]
    if full:
        fields = {name: value for name, value in fields.items() if name not in ("steps", "batch", "freeze_subnet")}
        values |= {"steps": 10 * values["steps"], "freeze_subnet": False}
    merged = {**values, **fields, "losses": values["losses"] | fields.get("losses", {})}
    if merged["length"] == 1:
        merged["losses"]["agreement"] = 0
    merged["sources"] = [
        source | {"length": min(source.get("length", 1), merged["length"])} for source in merged["sources"]
    ]
    recipe: Recipe = Recipe.parse(merged, where=row.title)
    return recipe


def model_of(row: Evaluated, arguments: argparse.Namespace, seed: int) -> TDNet:
    """The model of an evaluated row."""
    if not row.weights:
        return tdseg.add_memory(tdseg.load(arguments.start), frames=row.overrides["paths"])
    trained = tdseg.load(arguments.output / f"{row.weights}-{seed}" / WEIGHTS)
    config = trained.config.model_copy(update=row.overrides)
    model = (Forgetful if row.alone else TDNet)(config)
    model.load_state_dict(trained.state_dict())
    return model.eval()


def measure(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train the row where it is a recipe, and stream it through val."""
    row = ROWS[name]
    if isinstance(row, Trained):
        output = arguments.output / f"{name}-{seed}"
        recipe = recipe_of(row, arguments.root, arguments.start, seed, full=arguments.full)
        model = fit(recipe, output, resume=True)
    else:
        model = model_of(row, arguments, seed)
    figures = evaluate(model.fuse(), CamVid(arguments.root, "val"))
    return {key: figures[key] for key in ("miou", "per_path", "tc", "flip_rate", "flow_flip_rate", "iou")}


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each row, mean ± standard deviation over seeds where there are several."""
    lines = [["", "seeds", *COLUMNS], ["---"] * (len(COLUMNS) + 2)]
    for name, row in ROWS.items():
        found = [values for key, values in results.items() if key.rpartition("-")[0] == name]
        if found:
            cells = [_cell([values[key] for values in found], form) for key, form in COLUMNS.values()]
            lines.append([row.title, str(len(found)), *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(statistics.stdev(values))}"


def main() -> None:
    """Run what is not done yet; print the table, and put it where it is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--start", required=True, help="packaged weights or a file: the per-frame lite0")
    parser.add_argument("--output", type=Path, default=Path("runs/study"))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--page", type=Path, help="a file with study marks")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    kept = arguments.output / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    for seed in arguments.seeds:
        for name in arguments.rows:
            if f"{name}-{seed}" not in results:
                results[f"{name}-{seed}"] = measure(name, seed, arguments)
                kept.write_text(json.dumps(results, indent=1))
                print(f"{name}-{seed}: {json.dumps(results[f'{name}-{seed}'])}", flush=True)
    print(table(results))
    if arguments.page:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(MARKS.sub(lambda _: table(results), page), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
