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
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import study_page
import tdseg
from tdseg.data.camvid import CamVid
from tdseg.measure.cost import parameters
from tdseg.measure.evaluate import evaluate
from tdseg.models.path import Encoded
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe
from tdseg.zoo.catalog import WEIGHTS

BASE = Path(__file__).parents[1] / "configs" / "camvid-td4-lite0.yaml"
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
    "motion": Trained("td4, motion, agreement loss", motion()),
    "motion-plain": Trained("td4, motion, no agreement loss", motion(losses={"agreement": 0})),
    "motion-distill": Trained("td4, motion, agreement loss, full distillation", motion(distill=TEACHER)),
    "motion-real": Trained("td4, motion, no stills made clips", motion(sources="real", losses={"agreement": 0})),
    "shared": Trained("td4, attention, agreement loss, shared, all trained", attention(**UNFROZEN)),
    "independent": Trained(
        "td4, attention, agreement loss, independent, all trained",
        {"overrides": {**ATTENTION, "shared_paths": False}, **UNFROZEN},
    ),
    "independent-grouped": Trained(
        "td4, attention, agreement loss, independent, all trained, grouped distillation",
        {"overrides": {**ATTENTION, "shared_paths": False}, **UNFROZEN, "distill": {"full": 1.0, "sub": 0.5}},
    ),
    "independent-all": Evaluated(
        "those four sub-networks on every frame, at four times the cost", "independent", {}, alone=True
    ),
    "independent-alone": Evaluated("those paths in turn, without propagation", "independent", {}, alone=True),
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
    "attention-alone": Evaluated("td4, attention, without propagation", "attention-agree", {}, alone=True),
    **{
        f"untrained-td{m}": Evaluated(f"td{m}, motion, nothing trained: `tdseg.add_memory`", "", MOTION | {"paths": m})
        for m in (2, 3, 4, 8)
    },
}
KEPT = ("miou", "per_path", "tc", "vc8", "vc16", "flip_rate", "flip_rate_by_phase", "flow_flip_rate", "iou")
"""Of what `evaluate` gives."""


class Forgetful(TDNet):
    """A TDNet that meets every frame as the first of a video."""

    def advance(
        self, x: Tensor, state: TDNetState | None = None, encoded: Encoded | None = None
    ) -> tuple[Tensor, TDNetState]:
        """See TDNet.advance."""
        return super().advance(x, self.initial_state(None if state is None else state.path), encoded)


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
        trained = output / WEIGHTS
        model = tdseg.load(trained) if trained.is_file() else fit(recipe, output, resume=True)
    else:
        model = model_of(row, arguments, seed)
    figures = evaluate(model.fuse(), CamVid(arguments.root, "val"))
    counts = {"parameters": parameters(model) / 1e6, "multiply_adds": multiply_adds(model) / 1e9}
    return {**{key: figures[key] for key in KEPT}, **counts}


def multiply_adds(model: TDNet) -> float:
    """Of a frame, after m others; unlike `tdseg.measure.cost`, it counts what a model does that forgets."""
    with torch.device("meta"):
        twin, x = type(model)(model.config), torch.empty(1, 3, *model.config.size)
    twin.eval().requires_grad_(False)
    state = None
    for _ in range(model.config.paths + 1):
        with FlopCounterMode(display=False) as counter:
            _, state = twin.advance(x, state)
    return float(counter.get_total_flops()) / 2


def results_in(file: Path) -> dict[str, Any]:
    """What is done so far, by this process or by others."""
    return json.loads(file.read_text()) if file.is_file() else {}


def main() -> None:
    """Run what is not done yet; print the table, and put it where it is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--start", required=True, help="packaged weights or a file: the per-frame lite0")
    parser.add_argument("--output", type=Path, default=Path("runs/study"))
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS), help="none: only show")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--page", type=Path, help="a file with marks of study and steadiness")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    kept = arguments.output / "results.json"
    for seed in arguments.seeds:
        for name in arguments.rows:
            if f"{name}-{seed}" not in results_in(kept):
                figures = measure(name, seed, arguments)
                kept.write_text(json.dumps(results_in(kept) | {f"{name}-{seed}": figures}, indent=1))
                print(f"{name}-{seed}: {json.dumps(figures)}", flush=True)
    results = results_in(kept)
    titles = {name: row.title for name, row in ROWS.items()}
    print(study_page.table(results, titles))
    if arguments.page:
        study_page.show(results, titles, arguments.page)


if __name__ == "__main__":
    main()
