"""The study: TDNets beside the per-frame model they are made of, by accuracy and steadiness, at the same cost.

python benchmarks/study.py --root CAMVID --start lite0-camvid [--output runs/study] [--rows NAME ...] [--seeds 0 1 2]
                           [--full] [--page docs/results.md]

CAMVID is the folder with images/ and labels/ in the SegNet layout; --start a per-frame lite0 that all rows start from.
A trained row is a recipe, `configs/camvid-td4-lite0.yaml` but for the fields that the row names; it is trained in
OUTPUT/ROW-SEED, then streamed through val. Other rows use the weights of a trained one in another way. Figures
are kept in OUTPUT/results.json and not made again; a row that was stopped goes on from its newest checkpoint.

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
from tdseg.files import write_whole
from tdseg.measure.cost import parameters
from tdseg.measure.evaluate import evaluate
from tdseg.models.path import Encoded
from tdseg.models.propagation import TDNetState
from tdseg.models.tdnet import TDNet
from tdseg.train.loop import fit
from tdseg.train.recipe import Recipe
from tdseg.zoo.checkpoint import WEIGHTS

BASE = Path(__file__).parents[1] / "configs" / "camvid-td4-lite0.yaml"
Fields = dict[str, Any]
ATTENTION: Fields = {"overrides": {"propagation": "attention", "d_k": 64, "reach": 2, "memory_stride": 4}}
MOTION: Fields = {"overrides": {"propagation": "motion", "d_k": 32}}
ALL_TRAINED: Fields = {"freeze_subnet": False, "steps": 40, "batch": 2}
INDEPENDENT: Fields = {"overrides": ATTENTION["overrides"] | {"shared_paths": False}, **ALL_TRAINED}
TEACHER = {"full": 2.0, "sub": 0, "scales": [1.0, 1.33]}
SEPARATE: Fields = {"losses": {"agreement": 0}}


class RecipeRow(NamedTuple):
    """A row that is trained as a recipe says."""

    title: str
    fields: Fields


class WeightsRow(NamedTuple):
    """A row that shows the weights of a trained row in another way."""

    title: str
    weights: str
    """Name of the trained row; empty for the start with `tdseg.add_memory`."""
    overrides: Fields = {}  # noqa: RUF012 -- never changed
    kind: type[TDNet] = TDNet


class ForgetfulTDNet(TDNet):
    """Meets every frame as the first of a video."""

    def advance(self, encoded: Encoded, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """See TDNet.advance."""
        logits = self.path(state.path).classify(encoded.code.value)
        return logits, self.initial_state((state.path + 1) % self.config.paths)


class WholeTDNet(TDNet):
    """Runs all paths on every frame, the one whose turn it is last, and forgets the frames before."""

    def encode(self, x: Tensor, path: int) -> list[Encoded]:  # type: ignore[override]
        """By every path."""
        m = self.config.paths
        return [self.path(path + turn).encode(x) for turn in range(1, m + 1)]

    def advance(self, encoded: list[Encoded], state: TDNetState) -> tuple[Tensor, TDNetState]:  # type: ignore[override]
        """See TDNet.advance."""
        *others, own = encoded
        state = self.initial_state((state.path + 1) % self.config.paths)
        for other in others:
            _, state = self._turn(other, state, scored=False)
        return super().advance(own, state)


ROWS: dict[str, RecipeRow | WeightsRow] = {
    "twin": RecipeRow("per-frame twin, trained as long", {"model": "lite0", "overrides": {}, "length": 1}),
    "attention": RecipeRow("td4, attention (the paper's)", ATTENTION | SEPARATE),
    "attention-agree": RecipeRow("td4, attention, agreement loss", ATTENTION),
    "td2-attention": RecipeRow("td2, attention, agreement loss", ATTENTION | {"model": "td2-lite0", "length": 2}),
    "motion": RecipeRow("td4, motion, agreement loss", MOTION),
    "motion-plain": RecipeRow("td4, motion, no agreement loss", MOTION | SEPARATE),
    "motion-distill": RecipeRow("td4, motion, agreement loss, full distillation", MOTION | {"distill": TEACHER}),
    "motion-real": RecipeRow("td4, motion, no stills made clips", MOTION | SEPARATE | {"sources": "real"}),
    "shared": RecipeRow("td4, attention, agreement loss, shared, all trained", ATTENTION | ALL_TRAINED),
    "independent": RecipeRow("td4, attention, agreement loss, independent, all trained", INDEPENDENT),
    "independent-grouped": RecipeRow(
        "td4, attention, agreement loss, independent, all trained, grouped distillation",
        INDEPENDENT | {"distill": {"full": 1.0, "sub": 0.5}},
    ),
    "independent-all": WeightsRow(
        "those four sub-networks on every frame, at four times the cost", "independent", kind=WholeTDNet
    ),
    "independent-alone": WeightsRow("those paths in turn, without propagation", "independent", kind=ForgetfulTDNet),
    **{
        f"attention-stride-{n}": WeightsRow(
            f"td4, attention, memory stride {n}", "attention-agree", {"memory_stride": n}
        )
        for n in (1, 2, 8)
    },
    "attention-alone": WeightsRow("td4, attention, without propagation", "attention-agree", kind=ForgetfulTDNet),
    **{
        f"untrained-td{m}": WeightsRow(f"td{m}, motion, nothing trained: `tdseg.add_memory`", "", {"paths": m})
        for m in (2, 3, 4, 8)
    },
}
KEPT = (
    *("miou", "per_path", "tc", "tc_farneback", "vc8", "vc16", "flip_rate", "flip_rate_by_phase"),
    *("flow_flip_rate", "flow_flip_rate_farneback", "iou"),
)
"""Of what `evaluate` gives."""


def recipe_of(row: RecipeRow, root: Path, start: str, seed: int, *, full: bool) -> Recipe:
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
    return Recipe.parse(merged, where=row.title)


def model_of(row: WeightsRow, arguments: argparse.Namespace, seed: int) -> TDNet:
    """The model of an evaluated row."""
    if not row.weights:
        return tdseg.add_memory(tdseg.load(arguments.start), frames=row.overrides["paths"])
    trained = tdseg.load(arguments.output / f"{row.weights}-{seed}" / WEIGHTS)
    config = trained.config.model_copy(update=row.overrides)
    model = row.kind(config)
    model.load_state_dict(trained.state_dict())
    return model.eval()


def measure(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train the row where it is a recipe, and stream it through val."""
    row = ROWS[name]
    if isinstance(row, RecipeRow):
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
    """Of a frame, after m others; unlike those of `tdseg.measure.cost`, of the kind of row that the model is."""
    with torch.device("meta"):
        twin, x = type(model)(model.config), torch.empty(1, 3, *model.config.size)
    twin.eval().requires_grad_(False)
    state = twin.initial_state()
    for _ in range(model.config.paths + 1):
        with FlopCounterMode(display=False) as counter:
            _, state = twin.advance(twin.encode(x, state.path), state)
    return float(counter.get_total_flops()) / 2


def results_in(file: Path) -> dict[str, Any]:
    """Figures so far, by this process or by others."""
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
                write_whole(kept, json.dumps(results_in(kept) | {f"{name}-{seed}": figures}, indent=1))
                print(f"{name}-{seed}: {json.dumps(figures)}", flush=True)
    results = results_in(kept)
    titles = {name: row.title for name, row in ROWS.items()}
    print(study_page.table(results, titles))
    if arguments.page:
        study_page.show(results, titles, arguments.page)


if __name__ == "__main__":
    main()
